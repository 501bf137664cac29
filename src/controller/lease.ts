/**
 * Leadership by a Lease (coordination.k8s.io/v1), with client-go's times and rules: who holds it renews it, who
 * wants it waits until it was not renewed for as long as it says. Only the own monotonic clock counts, never the
 * time that another wrote. Of our own, because @kubernetes/client-node has no leader election.
 */
import { messageOf } from '../errors.js';
import { ApiError, type KubeApi, pause } from '../store/kubernetes/api.js';

export interface LeaseName {
  readonly namespace: string;
  readonly name: string;
}

export interface LeaseTimes {
  /** Others wait so long after the last renewal. */
  readonly durationMs: number;
  /** A leader that could not renew for so long leads no more. Less than `durationMs`. */
  readonly deadlineMs: number;
  /** Between two tries. */
  readonly retryMs: number;
}

/** client-go's, and in its proportions where another duration is wanted. */
export const LEASE_TIMES: LeaseTimes = leaseTimes(15);

export function leaseTimes(durationS: number): LeaseTimes {
  const durationMs = durationS * 1000;
  return { durationMs, deadlineMs: Math.floor((durationMs * 2) / 3), retryMs: durationMs / 5 };
}

export interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}

export interface Lease {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly spec?: LeaseSpec | null;
}

/** Whether a lease is renewed, by looking at it again and again. */
export class LeaseWatch {
  readonly #now: () => number;
  #text: string | null = null;
  #changed = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  see(spec: LeaseSpec): void {
    const text = JSON.stringify([spec.holderIdentity, spec.renewTime, spec.leaseTransitions]);
    if (text === this.#text) return;
    this.#text = text;
    this.#changed = this.#now();
  }

  /** Was it not seen to change for so long? */
  expired(ms: number): boolean {
    return this.#now() - this.#changed >= ms;
  }
}

export function leasePath({ namespace, name }: LeaseName): string {
  return `${collection(namespace)}/${encodeURIComponent(name)}`;
}

function collection(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}

/** Null where there is none. @throws ApiError */
export async function readLease(api: KubeApi, lease: LeaseName, signal: AbortSignal): Promise<Lease | null> {
  try {
    return (await api.json('GET', leasePath(lease), { signal })) as Lease;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export interface LeadershipEvents {
  changed(leads: boolean, holder: string | null): void;
  /** A try failed; there will be another. */
  failed(message: string): void;
}

export class Leadership {
  readonly #api: KubeApi;
  readonly #lease: LeaseName;
  readonly #identity: string;
  readonly #events: LeadershipEvents;
  readonly #times: LeaseTimes;
  readonly #now: () => number;
  readonly #watch: LeaseWatch;
  readonly #stop = new AbortController();
  #held: Lease | null = null;
  /** When the last renewal that succeeded was begun; null: not leading. */
  #renewed: number | null = null;
  #told = false;
  /** Rings when leadership lapses: that is told then, not when the API answers again. */
  #lapse: NodeJS.Timeout | undefined;
  #holder: string | null = null;
  #lastError: string | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(
    api: KubeApi,
    lease: LeaseName,
    identity: string,
    events: LeadershipEvents,
    times: LeaseTimes = LEASE_TIMES,
    now: () => number = () => performance.now(),
  ) {
    this.#api = api;
    this.#lease = lease;
    this.#identity = identity;
    this.#events = events;
    this.#times = times;
    this.#now = now;
    this.#watch = new LeaseWatch(now);
  }

  /** At this moment: a leader that cannot renew stops by itself before anybody else may begin. */
  get leads(): boolean {
    return this.#renewed !== null && this.#now() - this.#renewed < this.#times.deadlineMs;
  }

  get holder(): string | null {
    return this.#holder;
  }

  /** Of the last try; null where it went well. */
  get lastError(): string | null {
    return this.#lastError;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Gives the lease back, so that the next leader need not wait. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    clearTimeout(this.#lapse);
    if (!this.leads || this.#held === null) return;
    this.#renewed = null;
    const spec = { ...this.#held.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
    const signal = AbortSignal.timeout(this.#times.retryMs);
    await this.#put({ ...this.#held, spec }, signal).catch(() => {});
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#try(AbortSignal.any([signal, AbortSignal.timeout(Math.floor(this.#times.deadlineMs / 2))]));
        this.#lastError = null;
      } catch (error) {
        if (signal.aborted) return;
        this.#held = null;
        this.#lastError = messageOf(error);
        this.#events.failed(this.#lastError);
      }
      this.#tell();
      const spread = this.#renewed === null ? 1 + Math.random() * 0.2 : 1;
      await pause(this.#times.retryMs * spread, signal).catch(() => {});
    }
  }

  #tell(): void {
    if (!this.leads) this.#renewed = null;
    if (this.#told === this.leads) return;
    this.#told = this.leads;
    this.#events.changed(this.leads, this.#holder);
  }

  async #try(signal: AbortSignal): Promise<void> {
    const begun = this.#now();
    // What was written last is what is there, unless somebody else wrote: then the write is refused
    const lease = this.leads && this.#held !== null ? this.#held : await readLease(this.#api, this.#lease, signal);
    const spec = lease?.spec ?? {};
    const holder = spec.holderIdentity || null;
    const mine = holder === this.#identity;
    if (lease !== null && !mine) {
      this.#watch.see(spec);
      this.#renewed = null;
      this.#holder = holder;
      if (holder !== null && !this.#watch.expired(Math.max(1, spec.leaseDurationSeconds ?? 0) * 1000)) return;
    }
    const now = microTime();
    const wanted: LeaseSpec = {
      ...spec,
      holderIdentity: this.#identity,
      leaseDurationSeconds: Math.ceil(this.#times.durationMs / 1000),
      acquireTime: mine ? (spec.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (spec.leaseTransitions ?? 0) + (mine || lease === null ? 0 : 1),
    };
    if (!(await this.#write(lease, wanted, signal))) return;
    // Where it lapsed while this was under way: who listens has missed nothing
    this.#tell();
    this.#renewed = begun;
    this.#holder = this.#identity;
    clearTimeout(this.#lapse);
    this.#lapse = setTimeout(() => this.#tell(), this.#times.deadlineMs - (this.#now() - begun) + 1);
  }

  /** False where somebody else was quicker. */
  async #write(lease: Lease | null, spec: LeaseSpec, signal: AbortSignal): Promise<boolean> {
    try {
      if (lease === null) {
        const { namespace, name } = this.#lease;
        const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec };
        this.#held = (await this.#api.json('POST', collection(namespace), { body, signal })) as Lease;
      } else await this.#put({ ...lease, spec }, signal);
      return true;
    } catch (error) {
      this.#held = null;
      if (error instanceof ApiError && error.status === 409) return false;
      throw error;
    }
  }

  async #put(lease: Lease, signal: AbortSignal): Promise<void> {
    // With metadata.resourceVersion in it: refused where another wrote since
    this.#held = (await this.#api.json('PUT', leasePath(this.#lease), { body: lease, signal })) as Lease;
  }
}

/** RFC 3339 with microseconds, as Kubernetes' MicroTime is parsed. */
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
