/**
 * Keeps one port mapped at one router: asks by each protocol until one grants, renews at half the lifetime, asks again
 * when the router has lost it, and takes it back at the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatHostPort, type HostPort, type Ip, sameHostPort } from '../../model/address.js';
import { MAPPING_TITLES, type MappingProtocol, type MappingState, type PortMapping } from '../../model/port-mapping.js';
import type { Listen } from './announcements.js';
import type { MapOutcome, MappingClient, Wish } from './protocol.js';

export type MappingResult = 'granted' | 'refused' | 'silent' | 'unsupported';

export interface KeeperEvents {
  /** A mapping came, changed or went. */
  readonly changed: (mapping: PortMapping | null) => void;
  /** The router was asked for the first time. */
  readonly settled: () => void;
  /** One question and what came of it. */
  readonly asked: (protocol: MappingProtocol, result: MappingResult) => void;
  /** The router no longer had what it had granted. */
  readonly lost: (protocol: MappingProtocol) => void;
}

export interface KeeperOptions {
  readonly router: Ip;
  readonly wish: Wish;
  /** In the order in which they are tried. */
  readonly clients: readonly MappingClient[];
  readonly events: KeeperEvents;
  readonly listen: Listen;
  /** 0 up to 1; Math.random. */
  readonly random?: () => number;
  /** Milliseconds; tests are faster. */
  readonly pace?: Partial<Pace>;
}

export interface Pace {
  /** After nobody granted anything, and at most: twice as long after each time. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  /** Routers restart for all their nodes at once: up to so long passes before they are asked again. */
  readonly spreadMs: number;
  /** RFC 6887 11.2.1: no two renewals are closer. */
  readonly leastRenewMs: number;
  /** Instead of the protocol's own. */
  readonly checkEveryMs: number | null;
}

const PACE: Pace = {
  firstPauseMs: 60_000,
  longestPauseMs: 3_600_000,
  spreadMs: 1000,
  leastRenewMs: 4000,
  checkEveryMs: null,
};
const HALF = 1 / 2;

interface Grant {
  readonly client: MappingClient;
  readonly external: HostPort;
  readonly renewAt: number;
  readonly endsAt: number;
}

export class MappingKeeper {
  readonly #options: KeeperOptions;
  readonly #pace: Pace;
  readonly #random: () => number;
  readonly #abort = new AbortController();
  #state: MappingState = { asked: false, mapping: null, reason: 'the router is being asked' };
  #running: Promise<void> | null = null;
  /** Ends the present sleep early. */
  #wake = new AbortController();
  #announcedLoss = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#pace = { ...PACE, ...options.pace };
    this.#random = options.random ?? Math.random;
  }

  get state(): MappingState {
    return this.#state;
  }

  get router(): Ip {
    return this.#options.router;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** The network changed: what was refused may be granted now, and what stood may be gone. */
  kick(): void {
    this.#wake.abort();
  }

  /** Takes back what stands. Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.kick();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { router, listen } = this.#options;
    let grant: Grant | null = null;
    const close = listen(router, (bytes) => {
      if (grant?.client.announced(bytes) !== true) return;
      this.#announcedLoss = true;
      this.kick();
    });
    let failures = 0;
    while (!this.#ended) {
      grant = await this.#obtain();
      if (grant === null) {
        const { firstPauseMs, longestPauseMs } = this.#pace;
        await this.#sleep(Math.min(longestPauseMs, firstPauseMs * 2 ** failures) * (0.8 + 0.4 * this.#random()));
        failures += 1;
        continue;
      }
      failures = 0;
      while (grant !== null && !this.#ended) grant = await this.#hold(grant);
    }
    close();
    if (grant !== null) await grant.client.release(this.#wishFor(grant));
    this.#tell(null, 'taken back');
  }

  get #ended(): boolean {
    return this.#abort.signal.aborted;
  }

  /** By the first protocol that grants. */
  async #obtain(): Promise<Grant | null> {
    const reasons: string[] = [];
    let closed: MapOutcome | null = null;
    for (const client of this.#options.clients) {
      const outcome: MapOutcome =
        closed !== null && client.atRouterPort ? closed : await this.#ask(client, this.#options.wish);
      if (outcome.kind === 'granted') return this.#take(client, outcome);
      if (this.#ended) {
        // It may have been granted unheard.
        await client.release(this.#options.wish);
        return null;
      }
      if (outcome.kind === 'unsupported' && outcome.closed) closed = outcome;
      reasons.push(`${MAPPING_TITLES[client.name]}: ${whyNot(outcome)}`);
    }
    this.#tell(null, `${this.#options.router} grants none (${reasons.join('; ')})`);
    return null;
  }

  /** Waits for what comes first, a check or a renewal. @returns what stands then; null: nothing */
  async #hold(grant: Grant): Promise<Grant | null> {
    const { client } = grant;
    const every = this.#pace.checkEveryMs ?? client.checkEveryMs;
    const now = performance.now();
    await this.#sleep(Math.min(grant.renewAt - now, every * (0.9 + 0.2 * this.#random())));
    if (this.#ended) return grant;
    if (await this.#isLost(grant)) {
      this.#options.events.lost(client.name);
      await this.#sleep(this.#random() * this.#pace.spreadMs);
      return this.#ended ? grant : this.#again(grant, true);
    }
    return performance.now() >= grant.renewAt && !this.#ended ? this.#again(grant, false) : grant;
  }

  /** Silence says nothing: a router that restarts is silent for a while. */
  async #isLost(grant: Grant): Promise<boolean> {
    const announced = this.#announcedLoss;
    this.#announcedLoss = false;
    if (announced) return true;
    return (await grant.client.check(this.#wishFor(grant), this.#abort.signal)) === 'lost';
  }

  /** The same outside port is asked for: then nobody else need hear of it. */
  async #again(grant: Grant, lost: boolean): Promise<Grant | null> {
    const outcome = await this.#ask(grant.client, this.#wishFor(grant));
    if (outcome.kind === 'granted') return this.#take(grant.client, outcome);
    const now = performance.now();
    if (!lost && outcome.kind === 'silent' && now < grant.endsAt) {
      // RFC 6887 11.2.1: half of what is left, again and again.
      const renewAt = now + Math.max(this.#pace.leastRenewMs, (grant.endsAt - now) * HALF);
      return { ...grant, renewAt };
    }
    this.#tell(null, `${this.#options.router} no longer grants it (${whyNot(outcome)})`);
    return null;
  }

  async #ask(client: MappingClient, wish: Wish): Promise<MapOutcome> {
    const outcome = await client.map(wish, this.#abort.signal);
    if (!this.#ended || outcome.kind === 'granted') this.#options.events.asked(client.name, outcome.kind);
    return outcome;
  }

  /** RFC 6887 11.2.1: renewed at a random time between a half and five eighths of the lifetime. */
  #take(client: MappingClient, { external, lifetimeS }: MapOutcome & { kind: 'granted' }): Grant {
    const now = performance.now();
    const [lifetimeMs, expiresAt] = [lifetimeS * 1000, Date.now() + lifetimeS * 1000];
    const { router } = this.#options;
    const reason = `${router} maps ${formatHostPort(external)} here by ${MAPPING_TITLES[client.name]}`;
    this.#tell({ protocol: client.name, router, external, expiresAt }, reason);
    const renewAt = now + Math.max(this.#pace.leastRenewMs, lifetimeMs * (HALF + this.#random() / 8));
    return { client, external, renewAt, endsAt: now + lifetimeMs };
  }

  #wishFor({ external }: Grant): Wish {
    return { ...this.#options.wish, externalPort: external.port };
  }

  #tell(mapping: PortMapping | null, reason: string): void {
    const { mapping: before, asked } = this.#state;
    this.#state = { asked: true, mapping, reason };
    const same =
      sameHostPort(before?.external ?? null, mapping?.external ?? null) && before?.protocol === mapping?.protocol;
    if (!same) this.#options.events.changed(mapping);
    if (!asked) this.#options.events.settled();
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#ended) return;
    this.#wake = new AbortController();
    // What was announced while nobody slept must not wait for the next check.
    if (this.#announcedLoss) return;
    await sleep(Math.max(0, ms), undefined, { signal: this.#wake.signal }).catch(() => undefined);
  }
}

function whyNot(outcome: MapOutcome): string {
  if (outcome.kind === 'refused') return outcome.reason;
  return outcome.kind === 'unsupported' ? 'not spoken there' : 'no answer';
}
