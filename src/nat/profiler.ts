/** The NAT's profile in the background: soon after the NAT was found, and again every few hours. */
import { setTimeout as sleepMs } from 'node:timers/promises';
import type { NatReport } from '../model/nat.js';
import type { MappingLifetime, MappingSample, NatProfile } from '../model/nat-profile.js';
import { type IdleOutcome, narrowed, nextIdleTime } from './lifetime.js';
import { profileOf } from './profile.js';
import { type ProfileTarget, profileTarget } from './sample.js';

export interface NatProfilerOptions {
  /** Rejects with the signal's reason on abort; so does `testIdle`. */
  readonly sample: (target: ProfileTarget, signal: AbortSignal) => Promise<readonly MappingSample[]>;
  readonly testIdle: (
    target: ProfileTarget,
    idleS: number,
    profile: NatProfile,
    signal: AbortSignal,
  ) => Promise<IdleOutcome>;
  /** Called with each step of what is known; null where there is no NAT any more, or another one. */
  readonly onProfile: (profile: NatProfile | null) => void;
  readonly onError: (error: unknown) => void;
  /** Milliseconds from the end of one round to the next, ± 20 %; six hours. */
  readonly againMs?: number;
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const UNMEASURED: MappingLifetime = { livedS: null, goneS: null };
/** A test may meet a lost packet or a mapping that somebody flushed; three of them, and it is for another day. */
const MAX_UNCLEAR = 3;

export class NatProfiler {
  readonly #options: Required<NatProfilerOptions>;
  #abort: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();
  #profile: NatProfile | null = null;
  #pending = false;

  constructor(options: NatProfilerOptions) {
    this.#options = { againMs: 6 * 3_600_000, sleep: pause, ...options };
  }

  get profile(): NatProfile | null {
    return this.#profile;
  }

  /** Nothing is known yet, and soon something will be. */
  get pending(): boolean {
    return this.#pending;
  }

  /** What discovery found is new: what was known of the NAT may be another's. */
  look(report: NatReport): void {
    this.#abort?.abort();
    this.#tell(null);
    const target = profileTarget(report);
    this.#pending = target !== null;
    if (target === null) return;
    const abort = new AbortController();
    this.#abort = abort;
    this.#running = this.#running.then(() => this.#run(target, abort.signal));
  }

  /** Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    await this.#running;
  }

  async #run(target: ProfileTarget, signal: AbortSignal): Promise<void> {
    const { sleep, againMs, onError } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#round(target, signal);
      } catch (error) {
        if (signal.aborted) return;
        onError(error);
        this.#settle();
      }
      await sleep(againMs * (0.8 + 0.4 * Math.random()), signal).catch(() => {});
    }
  }

  async #round(target: ProfileTarget, signal: AbortSignal): Promise<void> {
    const { sample, testIdle } = this.#options;
    const samples = await sample(target, signal);
    if (signal.aborted) return;
    // Until the new time-out is measured, the old one stands.
    let profile: NatProfile = { ...profileOf(samples), lifetime: this.#profile?.lifetime ?? null };
    this.#pending = false;
    this.#tell(profile);
    let lifetime = UNMEASURED;
    let unclear = 0;
    for (let idleS = nextIdleTime(lifetime); idleS !== null; idleS = nextIdleTime(lifetime)) {
      const outcome = await testIdle(target, idleS, profile, signal);
      if (signal.aborted) return;
      if (outcome === 'unclear') unclear += 1;
      if (unclear === MAX_UNCLEAR) return;
      if (outcome === 'unclear') continue;
      lifetime = narrowed(lifetime, idleS, outcome);
      profile = { ...profile, lifetime };
      this.#tell(profile);
    }
  }

  /** There is no profile, and none is on its way. */
  #settle(): void {
    if (!this.#pending) return;
    this.#pending = false;
    this.#options.onProfile(null);
  }

  #tell(profile: NatProfile | null): void {
    if (profile === null && this.#profile === null) return;
    this.#profile = profile;
    this.#options.onProfile(profile);
  }
}

const pause = (ms: number, signal: AbortSignal) => sleepMs(ms, undefined, { signal, ref: false });
