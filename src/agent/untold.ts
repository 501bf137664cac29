/** That events on Gateways do not come about, for `corax status`. */
import { messageOf } from '../errors.js';
import type { StatusError } from '../model/status.js';

/** Events are few: whether the next one is told may not be known for hours. Then the last one is old news. */
const OLD_MS = 600_000;

export class Untold {
  #message = '';
  /** Unix milliseconds; null while they are told. */
  #since: number | null = null;
  #last = 0;

  /** @param error null: one was told */
  see(error: unknown, now = Date.now()): void {
    if (error === null) {
      this.#since = null;
      return;
    }
    this.#since ??= now;
    this.#last = now;
    this.#message = `events on Gateways are not told: ${messageOf(error)}`;
  }

  errors(now: number): StatusError[] {
    if (this.#since === null || now - this.#last > OLD_MS) return [];
    return [{ code: 'CORAX_STORE', gateway: null, message: this.#message, since: this.#since / 1000 }];
  }
}
