/**
 * Who is written next. Every other turn is the oldest's, so that nobody waits for ever; the turns between are the
 * newest's: one edge that moves while ten thousand wait need not wait for them. What was in the queue is there once.
 */
export class WriteQueue<T> {
  /** In the order of coming. */
  readonly #waiting = new Set<T>();
  /** Those that may go first, the newest last; some may have been taken as the oldest meanwhile. */
  #newest: T[] = [];
  #oldestNext = false;

  get size(): number {
    return this.#waiting.size;
  }

  /** @param mayGoFirst not for who was written a moment ago: it would be first again and again */
  add(entry: T, mayGoFirst: boolean): void {
    if (this.#waiting.has(entry)) return;
    this.#waiting.add(entry);
    if (mayGoFirst) this.#newest.push(entry);
  }

  take(): T | undefined {
    const newest = this.#oldestNext ? undefined : this.#takeNewest();
    this.#oldestNext = !this.#oldestNext;
    const [oldest] = newest === undefined ? this.#waiting : [newest];
    if (oldest !== undefined) this.#waiting.delete(oldest);
    if (this.#newest.length > 2 * this.#waiting.size) {
      this.#newest = this.#newest.filter((entry) => this.#waiting.has(entry));
    }
    return oldest;
  }

  #takeNewest(): T | undefined {
    for (let entry = this.#newest.pop(); entry !== undefined; entry = this.#newest.pop()) {
      if (this.#waiting.has(entry)) return entry;
    }
    return undefined;
  }
}
