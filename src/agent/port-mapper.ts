/** The mapping of the tunnel's port at this node's router: asked for while the node is an edge, and given back after. */
import type { AgentConfig } from '../config.js';
import type { HostPort, Ip } from '../model/address.js';
import type { Gateway } from '../model/gateway.js';
import { type DriverName, TUNNEL_PORT } from '../model/names.js';
import {
  MAPPING_PROTOCOLS,
  type MappingPolicy,
  type MappingProtocol,
  type MappingState,
} from '../model/port-mapping.js';
import { listenForAnnouncements } from '../nat/portmap/announcements.js';
import { ownAddressToward } from '../nat/portmap/exchange.js';
import { loadMappingIdentity, type MappingIdentity } from '../nat/portmap/identity.js';
import { MappingKeeper } from '../nat/portmap/keeper.js';
import { NatPmpClient } from '../nat/portmap/nat-pmp.js';
import { PcpClient } from '../nat/portmap/pcp.js';
import type { MappingClient } from '../nat/portmap/protocol.js';
import { UpnpClient } from '../nat/portmap/upnp.js';
import type { Story } from './story.js';

export class PortMapper {
  readonly #config: AgentConfig;
  readonly #story: Story;
  readonly #changed: () => void;
  readonly #protocols: readonly MappingProtocol[];
  /** Undefined: nobody said yet. */
  #wanted: Ip | null | undefined;
  #keeper: MappingKeeper | null = null;
  /** One change of router at a time: the old one gets its mapping back first. */
  #turn: Promise<void> = Promise.resolve();

  /** @param changed what {@link external} says may be another */
  constructor(config: AgentConfig, driver: DriverName, story: Story, changed: () => void) {
    this.#config = config;
    this.#story = story;
    this.#changed = changed;
    this.#protocols = protocolsOf(config.portMapping, driver);
  }

  /** Null while nobody is asked. */
  get state(): MappingState | null {
    return this.#keeper?.state ?? null;
  }

  /** Where the router maps the tunnel's port to. Until it was asked, what an earlier run has published stands. */
  external(own: Gateway | null): HostPort | null {
    if (this.#protocols.length === 0 || this.#wanted === null) return null;
    if (this.state?.asked === true) return this.state.mapping?.external ?? null;
    return own?.endpoints.find(({ nodeName }) => nodeName === this.#config.node)?.mapped ?? null;
  }

  /** From whom there is to be a mapping; null: from nobody. */
  follow(router: Ip | null): void {
    const wanted = this.#protocols.length === 0 ? null : router;
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.#turn = this.#turn
      .then(() => this.#change(wanted))
      .catch((error: unknown) => {
        this.#story.trouble('port mapping', error);
      });
  }

  /** The network changed. */
  kick(): void {
    this.#keeper?.kick();
  }

  async stop(): Promise<void> {
    this.follow(null);
    await this.#turn;
  }

  async #change(router: Ip | null): Promise<void> {
    await this.#keeper?.stop();
    this.#keeper = null;
    // It may have changed again meanwhile.
    if (router === null || router !== this.#wanted) return;
    const { portMapping: told } = this.#story;
    const identity = await loadMappingIdentity(this.#config.stateDir);
    this.#keeper = new MappingKeeper({
      router,
      wish: { internalPort: TUNNEL_PORT, externalPort: identity.port },
      clients: this.#protocols.map((name) => clientOf(name, router, identity)),
      events: {
        ...told,
        settled: this.#changed,
        changed: (mapping) => {
          told.changed(mapping);
          this.#changed();
        },
      },
      listen: listenForAnnouncements,
    });
    this.#keeper.start();
  }
}

/** WireGuard says nothing to who lacks a key; pluto answers strangers, so a person decides to show it to the world. */
function protocolsOf(policy: MappingPolicy, driver: DriverName): readonly MappingProtocol[] {
  if (policy === 'off' || (policy === 'auto' && driver !== 'wireguard')) return [];
  return policy === 'auto' || policy === 'on' ? MAPPING_PROTOCOLS : [policy];
}

function clientOf(name: MappingProtocol, router: Ip, { nonce }: MappingIdentity): MappingClient {
  const link = { router, now: () => performance.now() };
  if (name === 'pcp') return new PcpClient({ ...link, nonce });
  if (name === 'nat-pmp') return new NatPmpClient(link);
  return new UpnpClient({ ...link, ownAddress: () => ownAddressToward(router) });
}
