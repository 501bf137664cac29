/** Steps that failed: when each may be tried again, and what to tell a person meanwhile. */
import { codeOf, messageOf } from '../errors.js';

export interface Failure {
  readonly owner: string;
  readonly code: string;
  readonly message: string;
  /** Unix milliseconds of the first failure in a row. */
  readonly since: number;
  readonly times: number;
  /** Monotonic milliseconds (performance.now), as every `now` here: the wall clock may be set back. */
  readonly retryAt: number;
  /** Tried again when its time has come; otherwise just not before (whoever asked asks again by itself). */
  readonly wakes: boolean;
}

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 60_000;
/** What does not come back by itself is forgotten this long after it could have. */
const FORGOTTEN_MS = 60_000;

export class Failures {
  readonly #byKey = new Map<string, Failure>();
  readonly #keysOf = new Map<string, Set<string>>();

  get all(): Iterable<Failure> {
    return this.#byKey.values();
  }

  /** May this be tried now? */
  due(key: string, now: number): boolean {
    const failure = this.#byKey.get(key);
    return failure === undefined || now >= failure.retryAt;
  }

  failed(key: string, owner: string, error: unknown, now: number, wakes = true): Failure {
    const before = this.#byKey.get(key);
    const times = (before?.times ?? 0) + 1;
    const pause = Math.min(FIRST_RETRY_MS * 2 ** (times - 1), LAST_RETRY_MS);
    const failure: Failure = {
      owner,
      code: codeOf(error) ?? 'CORAX_NETLINK',
      message: messageOf(error),
      since: before?.since ?? Date.now(),
      times,
      retryAt: now + pause * (0.8 + 0.4 * Math.random()),
      wakes,
    };
    if (before !== undefined && before.owner !== owner) this.succeeded(key);
    this.#byKey.set(key, failure);
    this.#keysOf.set(owner, (this.#keysOf.get(owner) ?? new Set()).add(key));
    return failure;
  }

  succeeded(key: string): void {
    const owner = this.#byKey.get(key)?.owner;
    if (owner === undefined) return;
    this.#byKey.delete(key);
    const keys = this.#keysOf.get(owner);
    keys?.delete(key);
    if (keys?.size === 0) this.#keysOf.delete(owner);
  }

  /** What failed for want of something else that is there now can be tried at once. @returns whose it is */
  release(waitedFor: (key: string, owner: string) => boolean): Set<string> {
    const owners = new Set<string>();
    for (const [key, { owner }] of this.#byKey) {
      if (!waitedFor(key, owner)) continue;
      this.succeeded(key);
      owners.add(owner);
    }
    return owners;
  }

  /** The owner no longer asks for what failed. */
  forget(owner: string, stillWanted: (key: string) => boolean): void {
    for (const key of this.#keysOf.get(owner) ?? []) {
      if (this.#byKey.get(key)?.wakes && !stillWanted(key)) this.succeeded(key);
    }
  }

  /**
   * Whatever was due at the beginning of a turn was tried in it, and has failed again or succeeded; if not,
   * nobody asks for it any more. Without this a retry that is never made would be due for ever.
   */
  expire(now: number): void {
    for (const [key, failure] of this.#byKey) {
      const until = failure.wakes ? failure.retryAt : failure.retryAt + FORGOTTEN_MS;
      if (until <= now) this.succeeded(key);
    }
  }

  /** Owners whose time to try again has come. */
  *dueOwners(now: number): Generator<string> {
    for (const { owner, retryAt, wakes } of this.#byKey.values()) if (wakes && now >= retryAt) yield owner;
  }

  nextRetry(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { retryAt, wakes } of this.#byKey.values()) if (wakes) next = Math.min(next, retryAt);
    return next;
  }
}
