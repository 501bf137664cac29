import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Turns } from './deeds.js';

/**
 * Turns of the event loop by the processor time that each took: neither others' load nor the collector's helpers
 * count. It keeps the loop turning, so it costs what the thread has left, for as long as it measures.
 */
export class TurnMeter {
  readonly #delay = monitorEventLoopDelay({ resolution: 1 });
  readonly #first = threadTime();
  #last = this.#first;
  #turns = 0;
  #longest = 0;
  #going = true;

  constructor() {
    this.#delay.enable();
    setImmediate(() => this.#turn());
  }

  stop(): Turns {
    this.#going = false;
    this.#delay.disable();
    const totalMs = this.#last - this.#first;
    return { turns: this.#turns, longestMs: this.#longest, totalMs, delayedMs: this.#delay.max / 1e6 };
  }

  #turn(): void {
    const now = threadTime();
    this.#turns += 1;
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
    if (this.#going) setImmediate(() => this.#turn());
  }
}

/** Milliseconds of processor time of the main thread. */
function threadTime(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}
