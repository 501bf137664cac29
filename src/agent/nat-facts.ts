/** What is known of the own NAT: its behaviour, and where no relay can see it, its hole. */
import { networkInterfaces } from 'node:os';
import { SAMPLE_MAPPINGS } from '../decide/opening-size.js';
import { type HostPort, sameHostPort } from '../model/address.js';
import { TUNNEL_PORT } from '../model/names.js';
import type { NatReport } from '../model/nat.js';
import type { NatProfile } from '../model/nat-profile.js';
import { localAddressesOf } from '../nat/discover.js';
import { HoleProbe } from '../nat/hole.js';
import { type PastFirewall, testIdle } from '../nat/lifetime.js';
import { NatProfiler } from '../nat/profiler.js';
import { profileTarget, sampleMappings } from '../nat/sample.js';
import { resolveServer, type StunServer } from '../nat/servers.js';
import { openUdp } from '../nat/udp.js';
import { NatWatcher } from '../nat/watcher.js';
import type { Engine, NativeEvent } from '../native.js';
import { discoverBehindFirewall, withTap } from './discovery.js';
import { RawEvents } from './raw-events.js';

export interface NatFactsEvents {
  /** The report or the hole changed. */
  readonly changed: (report: NatReport | null) => void;
  /** More is known of the NAT, or nothing any more. */
  readonly profiled: (profile: NatProfile | null) => void;
  readonly failed: (what: string, error: unknown) => void;
  /** What had failed, or might have, did not. */
  readonly worked: (what: string) => void;
}

const HOLE_EVERY_MS = 20_000;
const DISCOVERY = 'NAT discovery';
const HOLE = 'hole by STUN';
const PROFILE = 'NAT profile';
const LATEST = 'latest NAT mapping';
const RESOLVE_MS = 2_500;

export class NatFacts {
  readonly #servers: readonly StunServer[];
  readonly #watcher: NatWatcher | null;
  readonly #profiler: NatProfiler;
  readonly #holeProbe: HoleProbe;
  readonly #raw = new RawEvents();
  readonly #events: NatFactsEvents;
  #holeTimer: NodeJS.Timeout | undefined;
  #hole: HostPort | null = null;
  readonly #abort = new AbortController();
  /** The engine has one STUN tap: who needs it waits for who has it. */
  #tapFree: Promise<unknown> = Promise.resolve();
  #needed = false;
  #latest: Promise<HostPort | null> | null = null;
  #report: NatReport | null = null;

  constructor(servers: readonly StunServer[], engine: Pick<Engine, 'rawSend' | 'stunTap'>, events: NatFactsEvents) {
    this.#servers = servers;
    this.#events = events;
    const names = servers.map((server) => server.text);
    const onRaw = this.#raw.listen;
    const tap = { engine, onRaw, failed: (error: unknown) => events.failed('STUN tap', error) };
    this.#watcher =
      servers.length === 0
        ? null
        : new NatWatcher({
            discover: async (signal) => {
              const report = await this.#inTurn(() => {
                const localAddresses = localAddressesOf(networkInterfaces());
                return discoverBehindFirewall(tap, { servers: names, localAddresses, signal });
              });
              events.worked(DISCOVERY);
              return report;
            },
            onReport: (report) => {
              this.#report = report;
              events.changed(report);
              this.#profiler.look(report);
            },
            onError: (error) => events.failed(DISCOVERY, error),
          });
    const sockets = { open: openUdp, bindAddress: null };
    const pastFirewall: PastFirewall = (run) => this.#inTurn(() => withTap(tap, run));
    this.#profiler = new NatProfiler({
      sample: async (target, signal) => {
        const samples = await sampleMappings(target, { ...sockets, signal });
        events.worked(PROFILE);
        return samples;
      },
      testIdle: ({ server, rttMs }, idleS, profile, signal) =>
        testIdle(server, idleS * 1000, profile, { ...sockets, signal, rttMs, pastFirewall }),
      onProfile: events.profiled,
      onError: (error) => events.failed(PROFILE, error),
    });
    this.#holeProbe = new HoleProbe(
      { send: async (packet) => (await engine.rawSend([packet]))[0] ?? null, onRaw },
      { sourcePort: TUNNEL_PORT },
    );
  }

  get report(): NatReport | null {
    return this.#report;
  }

  get profile(): NatProfile | null {
    return this.#profiler.profile;
  }

  /** Its first profile is on its way. */
  get profiling(): boolean {
    return this.#profiler.pending;
  }

  /** The latest of two new mappings: a sequence goes on from there. Null where nobody tells; never rejects. */
  latestMapping(): Promise<HostPort | null> {
    // Who asks meanwhile hears the same.
    this.#latest ??= this.#sampleLatest().finally(() => {
      this.#latest = null;
    });
    return this.#latest;
  }

  async #sampleLatest(): Promise<HostPort | null> {
    const target = this.#report === null ? null : profileTarget(this.#report);
    if (target === null) return null;
    const options = { open: openUdp, bindAddress: null, signal: this.#abort.signal, count: SAMPLE_MAPPINGS };
    try {
      const samples = await sampleMappings(target, options);
      this.#events.worked(LATEST);
      return samples.at(-1)?.mapped ?? null;
    } catch (error) {
      this.#events.failed(LATEST, error);
      return null;
    }
  }

  /** By STUN from the tunnel's own port; null unless {@link needHole} asked for it. */
  get hole(): HostPort | null {
    return this.#needed ? this.#hole : null;
  }

  start(): void {
    this.#watcher?.start();
  }

  /** The network changed. */
  kick(): void {
    this.#watcher?.kick();
  }

  onRaw(event: Extract<NativeEvent, { type: 'raw' }>): void {
    this.#raw.deliver([event]);
  }

  /** No relay sees this edge: its hole is asked of the STUN servers, again and again, while that is so. */
  needHole(needed: boolean): void {
    if (needed === this.#needed) return;
    this.#needed = needed;
    clearTimeout(this.#holeTimer);
    if (needed) this.#askForHole();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.needHole(false);
    await this.#watcher?.stop();
    await this.#profiler.stop();
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#tapFree.then(run);
    this.#tapFree = turn.catch(() => {});
    return turn;
  }

  #askForHole(): void {
    const ask = async () => {
      for (const server of this.#servers) {
        const address = await resolveServer(server, RESOLVE_MS, this.#abort.signal);
        const outcome = address === null ? null : await this.#holeProbe.ask(address, { signal: this.#abort.signal });
        if (outcome?.kind !== 'answered') continue;
        if (!sameHostPort(outcome.mapped, this.#hole)) {
          this.#hole = outcome.mapped;
          this.#events.changed(this.#report);
        }
        return;
      }
    };
    void ask()
      .then(() => this.#events.worked(HOLE))
      .catch((error: unknown) => this.#events.failed(HOLE, error))
      .finally(() => {
        if (this.#needed) this.#holeTimer = setTimeout(() => this.#askForHole(), HOLE_EVERY_MS);
      });
  }
}
