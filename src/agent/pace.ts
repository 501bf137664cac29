/** When the peers are looked at next: by the clock, or because somebody asked for it. */
import { performance } from 'node:perf_hooks';

/** Counters and handshakes are read this often; while somebody is being punched through to, more often. */
const POLL_MS = 1_000;
const EAGER_POLL_MS = 200;
/** However often somebody asks for a look, looking takes no more than this part of the time. */
const MOST_OF_TIME = 0.1;

export class Pace {
  /** Somebody asked since the last look began; looks that follow one that was asked for. */
  #asked = false;
  #again = 0;
  /** Monotonic milliseconds. */
  #beganAt = 0;
  #notBefore = 0;

  /** Look soon, and once more a little later. */
  ask(): void {
    this.#asked = true;
    this.#again = 1;
  }

  began(): void {
    this.#asked = false;
    this.#beganAt = performance.now();
  }

  ended(): void {
    const now = performance.now();
    this.#notBefore = now + (now - this.#beganAt) * (1 / MOST_OF_TIME - 1);
  }

  /** Milliseconds until the next look. */
  next(eager: boolean): number {
    if (this.#asked) return Math.max(0, Math.min(POLL_MS, this.#notBefore - performance.now()));
    if (this.#again > 0) {
      this.#again -= 1;
      return EAGER_POLL_MS;
    }
    return eager ? EAGER_POLL_MS : POLL_MS;
  }
}
