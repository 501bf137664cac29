/**
 * Counters that survive a reset. The kernel's counters of a peer start again from 0 when the peer is
 * re-added; Prometheus' must only rise for as long as the agent runs.
 */
export class CounterKeeper {
  readonly #counters = new Map<string, { base: number; last: number }>();

  /** Takes the kernel's value and gives ours: where the value fell, it counts on from what was there. */
  update(key: string, kernel: number): number {
    const counter = this.#counters.get(key);
    if (counter === undefined) {
      this.#counters.set(key, { base: 0, last: kernel });
      return kernel;
    }
    if (kernel < counter.last) counter.base += counter.last;
    counter.last = kernel;
    return counter.base + kernel;
  }

  /** What was counted so far; 0 for a key never seen. For a peer that is away for a moment. */
  value(key: string): number {
    const counter = this.#counters.get(key);
    return counter === undefined ? 0 : counter.base + counter.last;
  }

  delete(key: string): void {
    this.#counters.delete(key);
  }

  get size(): number {
    return this.#counters.size;
  }
}
