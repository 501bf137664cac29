/**
 * The agent's loop, memory, adapters and publisher, all of them real, with stand-ins where the kernel and the API
 * would be. As src/agent/agent.ts puts them together; that one asks too much of a kernel to do without.
 */
import { Executor } from '#src/agent/executor.js';
import { Failures } from '#src/agent/failures.js';
import { Gateways } from '#src/agent/gateways.js';
import { Loop } from '#src/agent/loop.js';
import { Openings } from '#src/agent/openings.js';
import { Publisher } from '#src/agent/publisher.js';
import { Remotes } from '#src/agent/remotes.js';
import { sameForRemotes, siteFacts } from '#src/agent/site.js';
import { SITE, World } from '#src/agent/world.js';
import { parseIp } from '#src/model/address.js';
import type { DirectPolicy, SiteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import type { PublicKey } from '#src/model/key.js';
import { Network } from '#src/network/network.js';
import { Opener } from '#src/probe/opener.js';
import { Prober } from '#src/probe/prober.js';
import type { EndpointPatch, GatewayStore } from '#src/store/store.js';
import { WireguardDriver } from '#src/tunnel/wireguard.js';
import { StandIn } from './stand-in.js';

/** Of the device that the driver believes to be its own. */
export const PRIVATE_KEY = new Uint8Array(32).fill(64);

export class Rig {
  readonly kernel = new StandIn();
  readonly world = new World();
  readonly remotes = new Remotes();
  readonly gateways: Gateways;
  readonly driver: WireguardDriver;
  readonly network: Network;
  readonly prober: Prober;
  readonly loop: Loop;
  /** Writes to the store. */
  readonly written: EndpointPatch[] = [];
  /** What the store says of a write, at once. */
  echo: (patch: EndpointPatch) => Gateway | null = () => null;
  #site: SiteFacts;
  #turns = 0;
  #writesSeen = 0;
  #settled: (() => void) | null = null;
  readonly #node: string;
  readonly #direct: DirectPolicy;
  readonly #key: PublicKey;

  constructor(node: string, publicKey: PublicKey, direct: DirectPolicy = 'auto') {
    this.#direct = direct;
    this.#node = node;
    this.#key = publicKey;
    this.gateways = new Gateways(node, this.remotes);
    const { engine } = this.kernel;
    this.driver = new WireguardDriver(engine, PRIVATE_KEY, new Uint8Array(32));
    this.network = new Network(engine);
    this.prober = new Prober(engine);
    const store = { publish: async (patch: EndpointPatch) => this.#write(patch) } as unknown as GatewayStore;
    const events = {
      written: () => {},
      failed: (_deed: unknown, error: unknown) => {
        throw error;
      },
      again: (gateway: string) => this.loop.mark(gateway === this.gateways.own?.name ? SITE : gateway),
    };
    // Its pacing would be all that is measured: for it, a minute goes by between any two looks at the clock.
    let time = 0;
    const publisher = new Publisher(
      store,
      events,
      () => 1,
      () => {
        time += 60_000;
        return time;
      },
    );
    const { driver, network, prober } = this;
    this.loop = new Loop({
      world: this.world,
      remotes: this.remotes,
      failures: new Failures(),
      executor: new Executor({ engine, driver, network, prober, opener: new Opener(engine, () => {}) }, () => {}),
      version: '0.1.0',
      site: () => this.#site,
      own: () => this.gateways.own,
      openings: new Openings(),
      events: {
        opening: () => undefined,
        detour: () => undefined,
        transition: () => {},
        failed: ({ error }) => {
          throw error;
        },
        publish: (deed) => publisher.publish(deed),
        turned: (steps) => this.#turned(steps),
        stumbled: (_owner, error) => {
          throw error;
        },
      },
    });
    this.#site = this.#gather();
  }

  /** As the agent does on a batch of the store's. */
  take(upserted: readonly Gateway[]): void {
    for (const name of this.gateways.take({ synced: true, upserted, refused: [], removed: [], unread: false })) {
      this.loop.mark(name);
    }
    const before = this.#site;
    this.#site = this.#gather();
    if (this.#site.synced !== before.synced || !sameForRemotes(before, this.#site)) this.loop.markAll();
    else this.loop.mark(SITE);
  }

  /** Resolves when a turn found nothing to do, and nothing was written meanwhile. */
  async rest(): Promise<void> {
    const from = this.#turns;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
      this.loop.mark(SITE);
    });
    if (this.#turns === from) throw new Error('the loop did not turn');
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  #turned(steps: number): void {
    this.#turns += 1;
    if (steps > 0 || this.written.length > this.#writesSeen) {
      this.#writesSeen = this.written.length;
      this.loop.mark(SITE);
    } else {
      this.#settled?.();
      this.#settled = null;
    }
  }

  async #write(patch: EndpointPatch): Promise<'written'> {
    this.written.push(patch);
    const gateway = this.echo(patch);
    if (gateway !== null) this.take([gateway]);
    return 'written';
  }

  #gather(): SiteFacts {
    const address = parseIp('203.0.113.1');
    return siteFacts({
      node: this.#node,
      driver: 'wireguard',
      onePlane: false,
      publicKey: this.#key,
      direct: this.#direct,
      hardNat: true,
      ports: null,
      profiling: false,
      own: this.gateways.own,
      relays: this.gateways.relays,
      remoteEdges: this.gateways.remoteEdges,
      relayEndpoints: [],
      underlay: { device: 'eth0', mtu: 1500, addresses: address === null ? [] : [address], ipv6: null },
      probeAddress: this.gateways.own?.active?.probeAddress ?? null,
      nat: null,
      mapped: null,
      stunHole: null,
      synced: this.gateways.synced,
      unread: false,
    });
  }
}
