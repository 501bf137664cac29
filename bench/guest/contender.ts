/** Somebody who does the work, and how long it takes them. */
import { setTimeout as delay } from 'node:timers/promises';

/** What is in the files that the contender is given, in turn; nothing of it is timed. */
export interface Work {
  readonly what: 'snapshot' | 'put' | 'move' | 'remove';
  readonly peers: number;
  readonly times: number;
}

export interface Contender {
  /** Milliseconds, one a time. */
  run(work: Work): Promise<number[]>;
}

export function millisecondsSince(start: bigint): number {
  return Number(process.hrtime.bigint() - start) / 1e6;
}

declare const gc: () => void;
const SETTLE_MS = 500;

/**
 * To be called when all is prepared: what went before is not to be counted, neither this process's garbage, which V8
 * collects on threads of its own, nor what the kernel does later. On the instruction clock waiting is free.
 */
export async function settle(): Promise<void> {
  gc();
  await delay(SETTLE_MS);
}

/** Milliseconds of each time, after one that does not count: code that runs for the first time is slow. */
export async function timed(times: number, act: () => Promise<unknown>): Promise<number[]> {
  const taken: number[] = [];
  await act();
  for (let time = 0; time < times; time++) {
    await settle();
    const start = process.hrtime.bigint();
    await act();
    taken.push(millisecondsSince(start));
  }
  return taken;
}
