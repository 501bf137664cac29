/** Writes to the store, one at a time for each endpoint, paced, and only while there is something to write. */
import { performance } from 'node:perf_hooks';
import { codeOf, messageOf } from '../errors.js';
import type { PublishDeed } from '../model/step.js';
import type { GatewayStore } from '../store/store.js';
import { WriteQueue } from './write-queue.js';
import { writesPerSecond } from './write-rate.js';

export interface PublisherEvents {
  readonly written: (deed: PublishDeed) => void;
  readonly failed: (deed: PublishDeed, error: unknown, times: number) => void;
  /** Look at the gateway again: what was to be written may be another thing by now. */
  readonly again: (gateway: string) => void;
}

/** After a quiet time so many seconds' worth of writes may go at once. */
const BURST_S = 2;
/** A store that answers slowly is given no more at once; what waits here can still be changed, or overtaken. */
const MOST_ABREAST = 8;
/** Who was written within this does not go before others that wait. */
const RECENT_MS = 30_000;
/** The store tells of its own change within this; until then the same fields are not written again. */
const ECHO_MS = 5_000;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

/** A write that does not come about. */
export interface PublishFailure {
  readonly gateway: string;
  readonly code: string;
  readonly message: string;
  /** Unix milliseconds of the first failure in a row. */
  readonly since: number;
  readonly times: number;
}

interface Entry {
  deed: PublishDeed | null;
  busy: boolean;
  /** What was written last, and when. */
  written: string;
  writtenAt: number;
  lookingAgain: boolean;
  failure: PublishFailure | null;
  retryAt: number;
}

export class Publisher {
  readonly #store: GatewayStore;
  readonly #events: PublisherEvents;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();
  /** What can be written. What is under way or backs off is not here. */
  readonly #ready = new WriteQueue<Entry>();
  readonly #watchers: () => number;
  #tokens = Number.POSITIVE_INFINITY;
  #filledAt: number;
  #writing = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /**
   * @param watchers how many hear of each write: see {@link writesPerSecond}
   * @param now a monotonic clock in milliseconds: the wall clock may be set back
   */
  constructor(
    store: GatewayStore,
    events: PublisherEvents,
    watchers: () => number,
    now: () => number = () => performance.now(),
  ) {
    this.#store = store;
    this.#events = events;
    this.#watchers = watchers;
    this.#now = now;
    this.#filledAt = now();
  }

  /** The latest wish for an endpoint replaces an earlier one that was not written yet. */
  publish(deed: PublishDeed): void {
    const key = `${deed.gateway}/${deed.nodeName}`;
    const entry = this.#entries.get(key) ?? newEntry();
    this.#entries.set(key, entry);
    entry.deed = deed;
    this.#enqueue(entry);
    this.#pump();
  }

  /** What could not be written last, where somebody still wishes it. */
  get failures(): PublishFailure[] {
    const now = this.#now();
    return [...this.#entries.values()].flatMap(({ failure, deed, busy, retryAt }) =>
      failure !== null && (deed !== null || busy || now < retryAt + ECHO_MS) ? failure : [],
    );
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #enqueue(entry: Entry): void {
    const now = this.#now();
    if (entry.deed === null || entry.busy || now < entry.retryAt) return;
    this.#ready.add(entry, entry.failure === null && now - entry.writtenAt >= RECENT_MS);
  }

  #pump(): void {
    if (this.#stopped) return;
    const now = this.#now();
    const rate = writesPerSecond(this.#watchers());
    this.#tokens = Math.min(BURST_S * rate, this.#tokens + ((now - this.#filledAt) / 1000) * rate);
    this.#filledAt = now;
    while (this.#tokens >= 1 && this.#writing < MOST_ABREAST) {
      const entry = this.#ready.take();
      if (entry === undefined) break;
      const { deed } = entry;
      if (deed === null || this.#isEcho(entry, deed, now)) {
        entry.deed = null;
        continue;
      }
      this.#tokens -= 1;
      void this.#write(entry, deed);
    }
    clearTimeout(this.#timer);
    if (this.#ready.size > 0) this.#timer = setTimeout(() => this.#pump(), 1000 / rate);
  }

  /** It was written just now, and the store will say so. */
  #isEcho(entry: Entry, deed: PublishDeed, now: number): boolean {
    if (now - entry.writtenAt >= ECHO_MS || JSON.stringify(deed.fields) !== entry.written) return false;
    this.#lookAgain(entry, deed.gateway, now);
    return true;
  }

  /** Somebody may have undone the write before its echo came: whoever wished for it is asked once more after that. */
  #lookAgain(entry: Entry, gateway: string, now: number): void {
    if (entry.lookingAgain) return;
    entry.lookingAgain = true;
    setTimeout(
      () => {
        entry.lookingAgain = false;
        this.#events.again(gateway);
      },
      entry.writtenAt + ECHO_MS - now,
    ).unref();
  }

  async #write(entry: Entry, deed: PublishDeed): Promise<void> {
    entry.busy = true;
    entry.deed = null;
    this.#writing += 1;
    try {
      const result = await this.#store.publish({ gateway: deed.gateway, nodeName: deed.nodeName, set: deed.fields });
      entry.written = JSON.stringify(deed.fields);
      entry.writtenAt = this.#now();
      entry.failure = null;
      if (result === 'written') this.#events.written(deed);
    } catch (error) {
      const times = (entry.failure?.times ?? 0) + 1;
      entry.failure = {
        gateway: deed.gateway,
        code: codeOf(error) ?? 'CORAX_STORE',
        message: `${deed.nodeName} is not published: ${messageOf(error)}`,
        since: entry.failure?.since ?? Date.now(),
        times,
      };
      entry.retryAt = this.#now() + Math.min(FIRST_RETRY_MS * 2 ** (times - 1), LAST_RETRY_MS);
      if (!this.#stopped) this.#events.failed(deed, error, times);
      const retry = () => {
        this.#enqueue(entry);
        this.#pump();
        this.#events.again(deed.gateway);
      };
      setTimeout(retry, entry.retryAt - this.#now()).unref();
    } finally {
      entry.busy = false;
      this.#writing -= 1;
      this.#enqueue(entry);
      this.#pump();
    }
  }
}

function newEntry(): Entry {
  return {
    deed: null,
    busy: false,
    written: '',
    writtenAt: Number.NEGATIVE_INFINITY,
    lookingAgain: false,
    failure: null,
    retryAt: 0,
  };
}
