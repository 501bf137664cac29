/**
 * The page's live part: server-sent events (WHATWG HTML 9.2) to a few readers. The agent is asked once a second and
 * only while somebody looks; what is sent is what changed.
 */
import type { ServerResponse } from 'node:http';
import { setImmediate as breathe } from 'node:timers/promises';
import type { PathChange, PeerStatus } from '../../model/status.js';
import type { ErrorSink } from '../http.js';
import {
  changeView,
  type Delta,
  difference,
  type Head,
  type HeadView,
  headView,
  type PeerView,
  type Reset,
  viewOf,
} from './view.js';

export interface PageSource {
  head(): Head;
  /** Asked for a few at a time. */
  peers(): Iterable<PeerStatus>;
  /** Newest first; the list is another one when something was added. */
  changes(): readonly PathChange[];
}

export interface FeedLimits {
  readonly readers: number;
  readonly intervalMs: number;
  /** A reader that has not taken what it was sent for so many turns is dropped. */
  readonly lateTurns: number;
  /** One that has more than this waiting is dropped at once; bytes. */
  readonly backlog: number;
}

export const FEED_LIMITS: FeedLimits = { readers: 8, intervalMs: 1000, lateTurns: 10, backlog: 16 << 20 };

/** Between two of these the loop has its turn. */
const PEERS_PER_SLICE = 100;

/** What is known of all at one moment. */
interface Look {
  readonly head: HeadView;
  readonly headText: string;
  readonly peers: ReadonlyMap<string, PeerView>;
  readonly changes: readonly PathChange[];
}

interface Reader {
  readonly response: ServerResponse;
  fresh: boolean;
  lateTurns: number;
}

export class Feed {
  readonly #source: PageSource;
  readonly #onError: ErrorSink;
  readonly #limits: FeedLimits;
  readonly #readers = new Set<Reader>();
  #last: Look | null = null;
  #timer: NodeJS.Timeout | null = null;
  #turning = false;
  #closed = false;

  constructor(source: PageSource, onError: ErrorSink, limits: FeedLimits = FEED_LIMITS) {
    this.#source = source;
    this.#onError = onError;
    this.#limits = limits;
  }

  get readers(): number {
    return this.#readers.size;
  }

  get isFull(): boolean {
    return this.#readers.size >= this.#limits.readers;
  }

  /** Nobody looks, and nothing is asked of the agent. */
  get isResting(): boolean {
    return this.#readers.size === 0 && this.#timer === null && !this.#turning;
  }

  /** From now on the response is the feed's. */
  add(response: ServerResponse): void {
    const reader: Reader = { response, fresh: true, lateTurns: 0 };
    this.#readers.add(reader);
    response.on('close', () => this.#readers.delete(reader));
    response.on('error', () => this.#drop(reader));
    if (this.#closed) response.end();
    else this.#schedule(0);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const { response } of this.#readers) response.end();
  }

  #schedule(ms: number): void {
    if (this.#turning || this.#closed) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#turn(), ms);
    this.#timer.unref();
  }

  async #turn(): Promise<void> {
    this.#timer = null;
    this.#turning = true;
    try {
      await this.#tell();
    } catch (error) {
      this.#onError(error);
      // They come again by themselves, and are told anew
      for (const reader of this.#readers) this.#drop(reader);
    }
    this.#turning = false;
    if (this.#readers.size === 0) this.#last = null;
    else this.#schedule(this.#limits.intervalMs);
  }

  async #tell(): Promise<void> {
    for (const reader of this.#readers) this.#judge(reader);
    const before = this.#last;
    const look = await this.#look();
    this.#last = look;
    const readers = [...this.#readers];
    const known = readers.filter(({ fresh }) => !fresh);
    const fresh = readers.filter((reader) => reader.fresh);
    for (const reader of fresh) reader.fresh = false;
    if (known.length > 0) await this.#send(known, deltas(before, look));
    if (fresh.length > 0) await this.#send(fresh, beginning(look));
  }

  async #look(): Promise<Look> {
    const head = headView(this.#source.head());
    const peers = new Map<string, PeerView>();
    for (const peer of this.#source.peers()) {
      const view = viewOf(peer);
      peers.set(view.gateway, view);
      if (peers.size % PEERS_PER_SLICE === 0) await breathe();
    }
    return { head, headText: JSON.stringify(head), peers, changes: this.#source.changes() };
  }

  async #send(readers: readonly Reader[], messages: Iterable<string>): Promise<void> {
    for (const message of messages) {
      for (const reader of message === '' ? [] : readers) {
        const { response } = reader;
        if (response.writableEnded || response.destroyed) continue;
        response.write(message);
        if (response.writableLength > this.#limits.backlog) this.#drop(reader);
      }
      await breathe();
    }
  }

  #judge(reader: Reader): void {
    reader.lateTurns = reader.response.writableNeedDrain ? reader.lateTurns + 1 : 0;
    if (reader.lateTurns >= this.#limits.lateTurns) this.#drop(reader);
  }

  #drop(reader: Reader): void {
    this.#readers.delete(reader);
    reader.response.destroy();
  }
}

/** JSON has no line ends of its own, so one data line holds it. */
function message(event: string, data: Reset | Delta): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function* beginning(look: Look): Generator<string> {
  const now = Date.now() / 1000;
  const { head, peers } = look;
  yield message('reset', { now, head, changes: look.changes.map(changeView), count: peers.size });
  yield* inSlices(undefined, look);
}

function* deltas(before: Look | null, look: Look): Generator<string> {
  const gone = [...(before?.peers.keys() ?? [])].filter((gateway) => !look.peers.has(gateway));
  const seen = before?.changes ?? [];
  const changes = look.changes === seen ? [] : look.changes.slice(0, indexOrEnd(look.changes, seen[0])).map(changeView);
  const delta: Delta = {
    now: Date.now() / 1000,
    ...(look.headText === before?.headText ? {} : { head: look.head }),
    ...(gone.length === 0 ? {} : { gone }),
    ...(changes.length === 0 ? {} : { changes }),
  };
  yield* inSlices(before?.peers, look, delta);
}

function indexOrEnd<T>(list: readonly T[], item: T | undefined): number {
  const index = item === undefined ? -1 : list.indexOf(item);
  return index < 0 ? list.length : index;
}

/**
 * The changed peers, so many a message; what else there is to say comes with the last, which there always is. An
 * empty one only lets others have their turn.
 */
function* inSlices(
  before: ReadonlyMap<string, PeerView> | undefined,
  { peers }: Look,
  rest: Delta = { now: Date.now() / 1000 },
): Generator<string> {
  let changed: [string, Partial<PeerView>][] = [];
  let looked = 0;
  for (const [gateway, view] of peers) {
    looked += 1;
    if (looked % PEERS_PER_SLICE === 0) yield '';
    const what = difference(before?.get(gateway), view);
    if (what === null) continue;
    changed.push([gateway, what]);
    if (changed.length < PEERS_PER_SLICE) continue;
    // Not the whole second's word yet: only the last one is
    yield message('part', { now: rest.now, peers: changed });
    changed = [];
  }
  yield message('delta', changed.length === 0 ? rest : { ...rest, peers: changed });
}
