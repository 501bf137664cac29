/** The latest changes of paths, for people who come after they happened. */
import type { PathMemory } from '../decide/path.js';
import type { PathChange } from '../model/status.js';
import type { StoryEvents } from './events.js';

/** An evening's worth on an edge; on a flapping node the last minutes. */
const LIMIT = 200;

export class History {
  readonly #now: () => number;
  #changes: PathChange[] = [];

  /** `now` in Unix milliseconds. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** Newest first. */
  get all(): readonly PathChange[] {
    return this.#changes;
  }

  /** Newest first. */
  of(gateway: string, most: number): PathChange[] {
    return this.#changes.filter((change) => change.gateway === gateway).slice(0, most);
  }

  /** Passes everything on, and keeps the transitions. */
  listening(to: StoryEvents): StoryEvents {
    return {
      ...to,
      transition: (gateway, from, path) => {
        this.#record(gateway, from, path);
        to.transition(gateway, from, path);
      },
    };
  }

  #record(gateway: string, from: PathMemory | null, { state, reason }: PathMemory): void {
    const change = { at: this.#now() / 1000, gateway, from: from?.state ?? 'relayed', to: state, reason };
    this.#changes = [change, ...this.#changes.slice(0, LIMIT - 1)];
  }
}
