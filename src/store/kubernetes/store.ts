/**
 * Gateways as resources of a Kubernetes cluster. While the API is away the last known state stays in force, and
 * what changed meanwhile is picked up after.
 */
import { CoraxError, codeOf, messageOf } from '../../errors.js';
import { parseGateway } from '../../model/gateway.js';
import { printable } from '../../model/quote.js';
import { Catalogue } from '../catalogue.js';
import type { EndpointPatch, GatewayStore, StoreBatch, StoreHealth } from '../store.js';
import { Access } from './access.js';
import { ApiError, type ApiTimes, KubeApi } from './api.js';
import { GATEWAYS_PATH, type GatewayObject, isLater, type Known, known } from './gateways.js';
import { Held } from './held.js';
import { type KubeObject, objectKey, Reflector, type ReflectorTimes } from './reflector.js';
import type { KubeSource } from './source.js';
import { Writer } from './writer.js';

export interface KubernetesOptions extends Partial<ApiTimes>, Partial<ReflectorTimes> {
  /** Sent as User-Agent: "corax/0.1.0". */
  readonly agentName?: string;
  /** Changes are collected so long. */
  readonly debounceMs?: number;
}

const DEBOUNCE_MS = 20;
/** Before the first batch, what was read is put together in pieces of so many: all at once would take too long. */
const HELD_AT_ONCE = 500;

interface Entry {
  /** Of the version that the catalogue has. */
  readonly parsed: string;
  /** As it was seen last, in a write of ours too. */
  known: Known;
}

export class KubernetesStore implements GatewayStore {
  readonly api: KubeApi;
  readonly #access: Access;
  readonly #catalogue = new Catalogue();
  readonly #entries = new Map<string, Entry>();
  readonly #reflector: Reflector;
  readonly #writer: Writer;
  readonly #debounceMs: number;
  #onChange: (batch: StoreBatch) => void = () => {};
  #debounce: NodeJS.Timeout | null = null;
  #synced = false;
  #stopped = false;
  #told = false;
  /** `unread` as it was given last; null before the first batch. */
  #unread: boolean | null = null;
  readonly #held = new Held();
  #unheld = 0;
  #error: StoreHealth['lastError'] = null;
  #lastSync: number | null = null;
  #reads = 0;

  constructor(source: KubeSource, options: KubernetesOptions = {}) {
    this.#access = new Access(source);
    this.api = new KubeApi(this.#access, options.agentName ?? 'corax', options);
    this.#debounceMs = options.debounceMs ?? DEBOUNCE_MS;
    this.#writer = new Writer(this.api, {
      get: (gateway) => this.#entries.get(gateway)?.known,
      learn: (gateway, object) => this.#learn(gateway, object),
    });
    const events = {
      put: (object: KubeObject, listed: boolean) => this.#put(object, listed),
      gone: (object: KubeObject) => this.#gone(objectKey(object)),
      whole: (keys: ReadonlySet<string>) => this.#whole(keys),
      current: () => this.#current(),
      failed: (error: unknown) => this.#failed(error),
    };
    this.#reflector = new Reflector(this.api, GATEWAYS_PATH, events, options);
  }

  get hosts(): readonly string[] {
    return this.#access.hosts;
  }

  async start(onChange: (batch: StoreBatch) => void): Promise<void> {
    this.#onChange = onChange;
    await this.#reflector.start();
  }

  publish(patch: EndpointPatch): Promise<'written' | 'unchanged'> {
    if (this.#stopped) return Promise.reject(new CoraxError('CORAX_STORE', 'the store is stopped'));
    return this.#writer.publish(patch);
  }

  health(): StoreHealth {
    return {
      synced: this.#synced,
      lastError: this.#error,
      lastSync: this.#lastSync,
      refused: this.#catalogue.refusals,
      reads: this.#reads,
      writes: this.#writer.writes,
    };
  }

  /** The uid of a gateway that is there; null where it is not known. */
  uidOf(gateway: string): string | null {
    return this.#entries.get(gateway)?.known.uid || null;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#debounce !== null) clearTimeout(this.#debounce);
    await this.#reflector.stop();
    await this.#writer.settled();
    await this.api.close();
  }

  #put(object: KubeObject, listed: boolean): void {
    this.#reads += 1;
    const name = objectKey(object);
    const before = this.#entries.get(name);
    const now = known(object as GatewayObject);
    const parsed = `${now.uid} ${now.version}`;
    // What is read whole is true; a watch may tell of what a write of ours has overtaken.
    const overtaken = !listed && before?.known.uid === now.uid && !isLater(now.version, before.known.version);
    this.#entries.set(name, { parsed, known: overtaken ? before.known : now });
    if (before?.parsed === parsed) return;
    const result = parseGateway(object, name);
    this.#catalogue.put(sourceOf(name), result.ok ? result : { ...result, line: null });
    this.#changed();
  }

  #gone(name: string): void {
    this.#entries.delete(name);
    this.#catalogue.delete(sourceOf(name));
    this.#changed();
  }

  #whole(names: ReadonlySet<string>): void {
    for (const name of this.#entries.keys()) if (!names.has(name)) this.#gone(name);
    this.#synced = true;
    this.#current();
    this.#report();
  }

  #current(): void {
    this.#error = null;
    this.#lastSync = Date.now();
  }

  #learn(name: string, now: Known): void {
    const entry = this.#entries.get(name);
    // One that nobody told of yet, or that is gone again, comes and goes by the watch.
    if (entry?.known.uid === now.uid && isLater(now.version, entry.known.version)) entry.known = now;
  }

  #failed(error: unknown): void {
    const stays = this.#synced ? '; what was read before stays in force' : '';
    const code = error instanceof CoraxError ? error.code : 'CORAX_STORE';
    const at = this.#error?.at ?? Date.now();
    this.#error = { code, message: explain(error) + stays, at, denied: isDenied(error) };
  }

  #changed(): void {
    if (this.#stopped) return;
    // The first change starts the clock; those that follow do not put it off.
    if (this.#synced) this.#debounce ??= setTimeout(() => this.#report(), this.#debounceMs);
    else if (++this.#unheld % HELD_AT_ONCE === 0) this.#held.add(this.#catalogue.take());
  }

  #report(): void {
    if (this.#debounce !== null) clearTimeout(this.#debounce);
    this.#debounce = null;
    if (this.#stopped) return;
    let batch = this.#catalogue.take();
    if (!this.#told) {
      this.#held.add(batch);
      batch = this.#held.take(this.#catalogue.refusals);
    }
    const empty = batch.upserted.length + batch.refused.length + batch.removed.length === 0;
    if (empty && this.#unread === batch.unread) return;
    this.#told = true;
    this.#unread = batch.unread;
    this.#onChange({ synced: true, ...batch });
  }
}

/** What a refusal names as the place to look at: as kubectl takes it. */
function sourceOf(name: string): string {
  return `gateways/${name}`;
}

const ADVICE: Readonly<Record<number, string>> = {
  401: "the token is not (or no longer) valid: does the pod's service account exist, is the kubeconfig of this cluster?",
  403: "give this agent's service account the role that deploy/ has for it",
  404: 'the cluster has no Gateway resource of this version: install its CRD (OpenYurt brings it, and so does deploy/)',
};

/** OpenSSL's words for a certificate, as Node gives them. */
const BAD_CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET_ISSUER|VERIFY)/;

/** Is it about a certificate, a token or a permission, which waiting does not mend? */
export function isDenied(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status === 401 || error.status === 403 || BAD_CERTIFICATE.test(codeOf(error.cause) ?? '');
}

function explain(error: unknown): string {
  if (error instanceof CoraxError) return error.message;
  if (!(error instanceof ApiError)) return `the Kubernetes API: ${printable(messageOf(error))}`;
  if (error.status === 0) return `the Kubernetes API does not answer: ${error.message}`;
  const advice = ADVICE[error.status];
  return `the Kubernetes API answers ${error.status}: ${error.message}${advice === undefined ? '' : ` (${advice})`}`;
}
