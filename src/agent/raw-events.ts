/** 'raw' events of an engine, for those who listen just now. */
import type { RawAnswer } from '../nat/hole.js';
import type { NativeEvent } from '../native.js';

export class RawEvents {
  readonly #listeners = new Set<(answer: RawAnswer) => void>();

  /** Calls back until the returned function is called. */
  readonly listen = (listener: (answer: RawAnswer) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** What is not a 'raw' event is passed over. */
  readonly deliver = (events: readonly NativeEvent[]): void => {
    for (const event of events) {
      if (event.type !== 'raw') continue;
      for (const listener of this.#listeners) listener(event);
    }
  };
}
