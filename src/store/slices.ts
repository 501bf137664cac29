/** Long work in slices, so that the event loop turns between them. */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

const SLICE_MS = 5;

export class Slices {
  #since = performance.now();

  /** To be awaited between two pieces of work: gives way where the slice is used up. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await nextTurn();
    this.#since = performance.now();
  }
}
