/** One timer for many: calls back with the names whose time has come. */
export class Alarms {
  readonly #at = new Map<string, number>();
  readonly #ring: (names: readonly string[]) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | null = null;
  #next = Number.POSITIVE_INFINITY;

  constructor(ring: (names: readonly string[]) => void, now: () => number) {
    this.#ring = ring;
    this.#now = now;
  }

  /** Instead of the alarm that the name has. */
  set(name: string, at: number): void {
    this.#at.set(name, at);
    if (at < this.#next) this.#arm(at);
  }

  delete(name: string): void {
    this.#at.delete(name);
  }

  clear(): void {
    this.#at.clear();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#next = Number.POSITIVE_INFINITY;
  }

  #arm(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#next = at;
    this.#timer = setTimeout(() => this.#due(), Math.max(0, at - this.#now()));
  }

  #due(): void {
    this.#timer = null;
    this.#next = Number.POSITIVE_INFINITY;
    const now = this.#now();
    const due: string[] = [];
    let next = Number.POSITIVE_INFINITY;
    for (const [name, at] of this.#at) {
      if (at <= now) due.push(name);
      else next = Math.min(next, at);
    }
    for (const name of due) this.#at.delete(name);
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
    if (due.length > 0) this.#ring(due);
  }
}
