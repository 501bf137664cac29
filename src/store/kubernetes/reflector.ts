/**
 * Follows a collection of the Kubernetes API: reads it whole in pages, then watches it, and does so again for as
 * long as it takes. Of our own, because the client library's informer neither pages nor comes back by itself.
 * (Kubernetes API concepts: "Efficient detection of changes", "Retrieving large results sets in chunks".)
 */
import { CoraxError } from '../../errors.js';
import { printable, quote } from '../../model/quote.js';
import { Slices } from '../slices.js';
import { ApiError, type KubeApi, pause } from './api.js';

/** As the API has it. What is in it is the reader's to check. */
export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
  };
}

export interface ReflectorEvents {
  /** One object as it is now; `listed` in a reading of the whole, else it was just written. */
  put(object: KubeObject, listed: boolean): void;
  gone(object: KubeObject): void;
  /** The whole was read. `keys` ({@link objectKey}) are all that there are. */
  whole(keys: ReadonlySet<string>): void;
  /** All that happened until now was seen. */
  current(): void;
  /** It is tried again, and again; until then nothing is known to have changed. */
  failed(error: unknown): void;
}

export interface ReflectorTimes {
  /** A watch is ended by the server after this to twice this, so that not all come back at once. */
  readonly watchSeconds: number;
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
}

export const REFLECTOR_TIMES: ReflectorTimes = { watchSeconds: 300, firstRetryMs: 500, lastRetryMs: 30_000 };

const FIRST_PAGE = 100;
const LARGEST_PAGE = 500;
/** Parsing JSON cannot be interrupted, nor the collector that copies what is left of it: milliseconds each. */
const PAGE_BYTES = 1 << 18;
/** A list that is older than what the server still knows is begun anew, so often at once. */
const LIST_TRIES = 3;
/** A watch that ends sooner than this, having told nothing, is as good as none. */
const SHORT_WATCH_MS = 1000;
const LONGEST_LINE = 64 << 20;

class EndedAtOnce extends Error {}

/** What we know of the state may be wrong; most often 410 Gone, in a watch's ERROR event. */
class Doubt extends Error {}

export class Reflector {
  readonly #api: KubeApi;
  readonly #path: string;
  readonly #events: ReflectorEvents;
  readonly #times: ReflectorTimes;
  readonly #stop = new AbortController();
  /** The state that the next watch follows on; null: read the whole first. */
  #version: string | null = null;
  #failures = 0;
  #running: Promise<void> = Promise.resolve();
  #lists = 0;

  /** @param path of the collection: "/apis/raven.openyurt.io/v1beta1/gateways" */
  constructor(api: KubeApi, path: string, events: ReflectorEvents, times: Partial<ReflectorTimes> = {}) {
    this.#api = api;
    this.#path = path;
    this.#events = events;
    this.#times = { ...REFLECTOR_TIMES, ...times };
  }

  /** Readings of the whole that were begun. */
  get lists(): number {
    return this.#lists;
  }

  /** Resolves after the first attempt to read the whole, well or not. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(resolve).finally(resolve);
    });
  }

  /** Nothing is told after it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(attempted: () => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        this.#version ??= await this.#list();
        attempted();
        await this.#watch(this.#version);
      } catch (error) {
        if (signal.aborted) return;
        if (mustReadAgain(error)) this.#version = null;
        this.#events.failed(error);
        attempted();
        await this.#backOff().catch(() => {});
      }
    }
  }

  /** Exponential, and spread: all agents lose the API at the same moment. */
  #backOff(): Promise<void> {
    const { firstRetryMs, lastRetryMs } = this.#times;
    const most = Math.min(lastRetryMs, firstRetryMs * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 30);
    return pause(most * (0.5 + Math.random() / 2), this.#stop.signal);
  }

  async #list(): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#listOnce();
      } catch (error) {
        if (!isGone(error) || attempt === LIST_TRIES) throw error;
      }
    }
  }

  async #listOnce(): Promise<string> {
    this.#lists += 1;
    const slices = new Slices();
    const keys = new Set<string>();
    let limit = FIRST_PAGE;
    let token = '';
    for (;;) {
      const query = { limit, ...(token === '' ? {} : { continue: token }) };
      const text = await this.#api.text('GET', this.#path, { query, signal: this.#stop.signal });
      await slices.pause();
      const page = parsePage(text);
      await slices.pause();
      for (const object of page.items) {
        keys.add(objectKey(object));
        this.#events.put(object, true);
        await slices.pause();
        this.#stop.signal.throwIfAborted();
      }
      if (page.continue === '') {
        this.#events.whole(keys);
        this.#failures = 0;
        return page.version;
      }
      token = page.continue;
      limit = Math.max(1, Math.min(LARGEST_PAGE, Math.floor((page.items.length * PAGE_BYTES) / text.length)));
    }
  }

  async #watch(version: string): Promise<void> {
    const { signal } = this.#stop;
    const timeoutSeconds = Math.ceil(this.#times.watchSeconds * (1 + Math.random()));
    const query = { watch: true, allowWatchBookmarks: true, resourceVersion: version, timeoutSeconds };
    const began = Date.now();
    const slices = new Slices();
    let told = false;
    const stream = await this.#api.stream(this.#path, { query, signal });
    // A server that lets nobody stay is not yet a good one.
    const stands = setTimeout(() => this.#events.current(), SHORT_WATCH_MS);
    try {
      for await (const line of lines(stream)) {
        this.#take(JSON.parse(line));
        told = true;
        this.#failures = 0;
        await slices.pause();
        signal.throwIfAborted();
      }
    } finally {
      clearTimeout(stands);
    }
    if (!told && Date.now() - began < SHORT_WATCH_MS) throw new EndedAtOnce('every watch is ended at once');
    this.#failures = 0;
  }

  #take(event: unknown): void {
    const { type, object } = event as { type?: unknown; object?: unknown };
    if (type === 'ERROR') {
      const { message } = (object ?? {}) as { message?: unknown };
      throw new Doubt(printable(String(message ?? 'the watch failed'), 500));
    }
    const changed = checkObject(object);
    if (type === 'ADDED' || type === 'MODIFIED') this.#events.put(changed, false);
    else if (type === 'DELETED') this.#events.gone(changed);
    else if (type !== 'BOOKMARK') throw new Doubt(`a watch event of an unknown type, ${quote(type)}`);
    this.#version = changed.metadata.resourceVersion ?? this.#version;
    this.#events.current();
  }
}

/** Unique in its collection. */
export function objectKey({ metadata: { name, namespace } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/**
 * Is what we know of the state too old, or doubtful? Where the API just did not answer, or has too much to do, a
 * watch follows on where the last one ended, which costs it next to nothing.
 */
function mustReadAgain(error: unknown): boolean {
  if (error instanceof CoraxError || error instanceof EndedAtOnce) return false;
  return !(error instanceof ApiError && [0, 429, 500, 502, 503].includes(error.status));
}

function isGone(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410;
}

interface Page {
  readonly items: readonly KubeObject[];
  readonly version: string;
  /** Empty on the last page. */
  readonly continue: string;
}

function parsePage(text: string): Page {
  const list = JSON.parse(text) as {
    metadata?: { resourceVersion?: unknown; continue?: unknown };
    items?: unknown;
  } | null;
  const { resourceVersion, continue: token } = list?.metadata ?? {};
  if (typeof resourceVersion !== 'string') throw new Doubt('what was listed is no list');
  const items = (Array.isArray(list?.items) ? list.items : []) as readonly unknown[];
  return {
    items: items.map(checkObject),
    version: resourceVersion,
    continue: typeof token === 'string' ? token : '',
  };
}

function checkObject(object: unknown): KubeObject {
  const { metadata } = (object ?? {}) as { metadata?: { name?: unknown; resourceVersion?: unknown } };
  // A bookmark has a version and no name.
  if (typeof metadata?.name === 'string' || typeof metadata?.resourceVersion === 'string') return object as KubeObject;
  throw new Doubt('an object without metadata');
}

async function* lines(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    if (rest.length > LONGEST_LINE) throw new Doubt('a watch event over 64 MiB');
    for (const part of parts) if (part !== '') yield part;
  }
}
