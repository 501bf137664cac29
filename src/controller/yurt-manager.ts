/**
 * Does yurt-manager run in this cluster? Then it fills the status of Gateways, and two that do would undo each
 * other's work. Its leader renews a Lease: one that is held and renewed says so, one that was left behind is
 * told apart by watching it for a while. (Its CRD, with the conversion webhook, stays when yurt-manager goes.)
 */
import { messageOf } from '../errors.js';
import { ApiError, type KubeApi, pause } from '../store/kubernetes/api.js';
import { type LeaseName, LeaseWatch, readLease } from './lease.js';

export type Presence =
  /** Nothing is known yet, or it cannot be found out: `why`. */
  | { readonly kind: 'unknown'; readonly why: string | null }
  | { readonly kind: 'absent' }
  | { readonly kind: 'runs'; readonly holder: string };

export interface YurtTimes {
  readonly lookMs: number;
  /** A lease that was not renewed for so many of its durations was left behind. */
  readonly patience: number;
}

export const YURT_TIMES: YurtTimes = { lookMs: 10_000, patience: 3 };

const DEFAULT_DURATION_S = 15;

export class YurtManager {
  readonly #api: KubeApi;
  readonly #lease: LeaseName;
  readonly #onChange: (presence: Presence) => void;
  readonly #times: YurtTimes;
  readonly #watch: LeaseWatch;
  readonly #stop = new AbortController();
  #presence: Presence = { kind: 'unknown', why: null };
  #running: Promise<void> = Promise.resolve();

  constructor(
    api: KubeApi,
    lease: LeaseName,
    onChange: (presence: Presence) => void,
    times: YurtTimes = YURT_TIMES,
    now: () => number = () => performance.now(),
  ) {
    this.#api = api;
    this.#lease = lease;
    this.#onChange = onChange;
    this.#times = times;
    this.#watch = new LeaseWatch(now);
  }

  get presence(): Presence {
    return this.#presence;
  }

  /** Resolves after the first look. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#running = this.#run(resolve).finally(resolve);
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(looked: () => void): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const presence = await this.#look(signal);
      if (signal.aborted) return;
      const changed = JSON.stringify(presence) !== JSON.stringify(this.#presence);
      this.#presence = presence;
      if (changed) this.#onChange(presence);
      looked();
      await pause(this.#times.lookMs, signal).catch(() => {});
    }
  }

  async #look(signal: AbortSignal): Promise<Presence> {
    try {
      const lease = await readLease(this.#api, this.#lease, signal);
      const holder = lease?.spec?.holderIdentity;
      if (!lease?.spec || !holder) return { kind: 'absent' };
      this.#watch.see(lease.spec);
      const duration = (lease.spec.leaseDurationSeconds || DEFAULT_DURATION_S) * 1000;
      return this.#watch.expired(duration * this.#times.patience) ? { kind: 'absent' } : { kind: 'runs', holder };
    } catch (error) {
      // While the API is away nothing is written anyway; what was known stays
      const refused = error instanceof ApiError && error.status === 403;
      if (!refused && this.#presence.kind !== 'unknown') return this.#presence;
      return { kind: 'unknown', why: messageOf(error) };
    }
  }
}
