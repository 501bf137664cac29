/** Work of many keys: one piece of a key at a time, in the order in which it was asked for, a few keys at once. */
export class Turns {
  /** The last piece of each key that is under way or waits. */
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(abreast: number) {
    this.#free = abreast;
  }

  /** What came before it under its key may have failed: that is no matter. */
  run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const piece = before.catch(() => {}).then(() => this.#inTurn(work));
    this.#last.set(key, piece);
    const forget = () => {
      if (this.#last.get(key) === piece) this.#last.delete(key);
    };
    piece.then(forget, forget);
    return piece;
  }

  /** Resolves when nothing is under way and nothing waits. */
  async settled(): Promise<void> {
    while (this.#last.size > 0) await Promise.allSettled(this.#last.values());
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
