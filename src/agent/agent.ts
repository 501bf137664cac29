/** The agent of a node: holds all state, and connects what observes, decides and acts. */
import type { AgentConfig } from '../config.js';
import { isOnDemand } from '../decide/demand.js';
import { NodeAddresses } from '../decide/node-addresses.js';
import { CoraxError } from '../errors.js';
import type { HostPort, Ip } from '../model/address.js';
import type { SiteFacts } from '../model/facts.js';
import { DRIVER_DEVICES } from '../model/names.js';
import { portsOf } from '../model/nat-profile.js';
import type { OpeningToken } from '../model/opening.js';
import { OVERLAY } from '../model/overlay.js';
import { parseStunServer, type StunServer } from '../nat/servers.js';
import type { NativeEvent } from '../native.js';
import { Network } from '../network/network.js';
import { Opener } from '../probe/opener.js';
import { Prober } from '../probe/prober.js';
import type { StoreBatch } from '../store/store.js';
import type { DriverProblem } from '../tunnel/driver.js';
import { VERSION } from '../version.js';
import { Executor, type Fault } from './executor.js';
import { Failures } from './failures.js';
import { Gateways } from './gateways.js';
import { HandingOver } from './handover.js';
import { Handshakes, tapHandshakes } from './handshakes.js';
import { Intake } from './intake.js';
import { Loop } from './loop.js';
import { NatFacts } from './nat-facts.js';
import { Observer } from './observer.js';
import { Openings } from './openings.js';
import type { AgentParts } from './parts.js';
import { PortMapper } from './port-mapper.js';
import { protectedAddresses, sameAddresses, serverAddresses } from './protected.js';
import { Publisher, type PublishFailure } from './publisher.js';
import { Remotes } from './remotes.js';
import { isOpenings, Rendezvous } from './rendezvous.js';
import { isCentral, sameForRemotes, siteFacts } from './site.js';
import type { Story } from './story.js';
import { Surroundings } from './surroundings.js';
import { TrafficWatch } from './traffic.js';
import { SITE, World } from './world.js';

export class Agent {
  readonly world: World;
  readonly remotes = new Remotes();
  readonly failures = new Failures();
  readonly gateways: Gateways;
  readonly nat: NatFacts;
  readonly portMapper: PortMapper;
  readonly startedAt = Date.now();
  readonly #config: AgentConfig;
  readonly #stun: readonly StunServer[];
  readonly #parts: AgentParts;
  readonly #story: Story;
  readonly #prober: Prober;
  readonly #rendezvous: Rendezvous;
  readonly #executor: Executor;
  readonly #handshakes: Handshakes;
  readonly #observer: Observer;
  readonly #traffic: TrafficWatch;
  readonly #publisher: Publisher;
  readonly #loop: Loop;
  readonly #handingOver = new HandingOver(() => this.#refresh());
  readonly #surroundings: Surroundings;
  readonly #intake: Intake;
  #servers: ReadonlyMap<Ip, string> = new Map();
  #protected: ReadonlyMap<Ip, string> = new Map();
  #site: SiteFacts;

  constructor(parts: AgentParts, story: Story, fault: Fault | null) {
    const { config, engine, driver, store } = parts;
    this.#parts = parts;
    this.world = new World(DRIVER_DEVICES[driver.name]);
    this.#config = config;
    this.#stun = config.stun.map(parseStunServer);
    this.#story = story;
    const network = new Network(engine);
    this.#surroundings = new Surroundings(network);
    const nodeAddresses = config.forwardNodeIp ? new NodeAddresses() : null;
    this.gateways = new Gateways(config.node, this.remotes, driver.name, nodeAddresses);
    this.#intake = new Intake(this.gateways, (batch, changed) => this.#took(batch, changed));
    this.#prober = new Prober(engine);
    const opener = new Opener(engine, (token) => void this.#sample(token));
    const openings = new Openings();
    this.#rendezvous = new Rendezvous({
      opener,
      openings,
      remotes: this.remotes,
      world: this.world,
      mark: (owner) => this.#loop.mark(owner),
      failed: story.trouble,
      worked: story.overcome,
    });
    const adapters = { engine, driver, network, prober: this.#prober, opener };
    this.#executor = new Executor(adapters, story.applied, fault);
    this.nat = new NatFacts(this.#stun, engine, {
      changed: (report) => {
        story.nat(report);
        this.#refresh();
      },
      profiled: (profile) => {
        story.natProfile(profile);
        this.#refresh();
      },
      failed: story.trouble,
      worked: story.overcome,
    });
    this.portMapper = new PortMapper(config, driver.name, story, () => this.#refresh());
    const publishing = {
      written: story.published,
      failed: story.unpublished,
      again: (gateway: string) => this.#loop.mark(gateway === this.gateways.own?.name ? SITE : gateway),
    };
    this.#publisher = new Publisher(store, publishing, () => this.remotes.size);
    this.#loop = new Loop({
      world: this.world,
      remotes: this.remotes,
      failures: this.failures,
      executor: this.#executor,
      openings,
      version: driver.name === 'wireguard' ? VERSION : `${VERSION} ${driver.name}`,
      site: () => this.#site,
      own: () => this.gateways.own,
      events: {
        transition: (remote, from, to) => {
          story.transition(remote, from, to);
          // Its handshake is looked for more often.
          if (to.state === 'punching') this.#observer.hurry();
        },
        opening: story.opening,
        failed: story.failed,
        detour: story.detour,
        publish: (deed) => this.#publisher.publish(deed),
        turned: (steps) => {
          story.turned(steps);
          this.#tellOfStore();
        },
        stumbled: (owner, error) => story.trouble(`decide ${owner === SITE ? 'the node' : owner}`, error),
      },
    });
    this.#handshakes = new Handshakes(this.remotes, { answered: story.shookHands, ended: story.handshakeEnded });
    this.#observer = new Observer({
      driver,
      network,
      prober: this.#prober,
      remotes: this.remotes,
      world: this.world,
      mark: (owner) => this.#loop.mark(owner),
      peerMoved: (remote, to) => {
        if (this.#site.role === 'relay') story.harvested(remote.gateway.name, to);
        else this.#refresh();
      },
      looked: (plane) => {
        story.looked(plane, this.#site.role === 'relay');
        this.#handshakes.looked(Date.now());
      },
      networkChanged: () => this.#lookAtNetwork(),
      handingOver: () => this.#site.handover?.as === 'next',
      rearm: () => this.#arm(),
      failed: story.trouble,
      worked: story.overcome,
    });
    this.#traffic = new TrafficWatch({
      network,
      remotes: this.remotes,
      holderOf: (ip) => this.gateways.holderOf(ip),
      watched: () => this.world.watchesTraffic,
      mark: (owner) => this.#loop.mark(owner),
      failed: story.trouble,
      worked: story.overcome,
    });
    this.#site = this.#gather();
  }

  get site(): SiteFacts {
    return this.#site;
  }

  /** Adopts what stands, then follows the store. Traffic flows as it did until the store was read whole. */
  async start(): Promise<void> {
    await this.#arm();
    this.#servers = await serverAddresses(this.#stun, this.#parts.store.hosts);
    await this.#observer.adopt();
    this.gateways.adopt(this.world.carried());
    await this.#lookAtNetwork();
    await this.#parts.store.start((batch) => this.#intake.take(batch));
    this.nat.start();
    this.#observer.start();
    this.#traffic.start();
  }

  /** All that the engine hears by; what is open stays as it is, except for the raw socket, which is opened anew. */
  async #arm(): Promise<void> {
    const { engine, driver } = this.#parts;
    await Promise.all([this.#executor.open(), engine.watchNetwork(), this.#prober.restore(), driver.arm?.()]);
  }

  async stop(): Promise<void> {
    this.#handingOver.stop();
    this.#publisher.stop();
    const { store } = this.#parts;
    await Promise.all([this.nat.stop(), this.portMapper.stop(), this.#traffic.stop(), this.#observer.stop()]);
    await Promise.all([store.stop(), this.#intake.settled()]);
    await this.#loop.stop();
    this.#parts.driver.stop?.();
  }

  onEvents(events: readonly NativeEvent[]): void {
    for (const event of events) {
      if (event.type === 'raw') this.nat.onRaw(event);
      else if (event.type === 'handshake') this.#handshakes.answered(event, Date.now());
      else if (event.type === 'answered') this.#onAnswered();
      else if (isOpenings(event)) this.#rendezvous.hear(event, this.#site);
      else this.#observer.onEvent(event);
    }
  }

  async #sample(token: OpeningToken): Promise<void> {
    this.#rendezvous.sampled({ type: 'sample', token, latest: await this.nat.latestMapping() });
  }

  /** An edge that shook hands may have done so from another hole. */
  #onAnswered(): void {
    if (this.#site.role === 'relay') this.#observer.lookSoon();
  }

  #took(batch: StoreBatch, changed: ReadonlySet<string>): void {
    this.#followed(changed);
    // By now it is known whether this node is a relay: who is refused is told by relays.
    for (const refusal of batch.refused) this.#story.refused(refusal.name, `${refusal.reason} (${refusal.source})`);
  }

  #followed(changed: ReadonlySet<string>): void {
    for (const name of changed) this.#told(name);
    this.#refresh();
    this.#observer.hurry();
  }

  #told(name: string): void {
    // One that became the own one, or was it, may have left things behind under its name.
    this.#loop.mark(name);
    if (name === this.gateways.own?.name) this.#loop.mark(SITE);
    const reason = this.gateways.refused.get(name);
    if (reason !== undefined) this.#story.refused(name, reason);
  }

  /** Gathers the facts about the node anew and marks those for whom they changed. */
  #refresh(): void {
    // It is gathered when they are taken.
    if (this.#intake.begins) return;
    this.#protect();
    const before = this.#site;
    this.#site = this.#gather();
    if (isOnDemand(this.#site) && !isOnDemand(before)) this.remotes.keepDirect(Date.now());
    const { role, handover } = this.#site;
    if (role !== before.role || handover?.as !== before.handover?.as) this.#story.part(this.#site);
    if (this.#site.synced !== before.synced || !sameForRemotes(before, this.#site)) this.#loop.markAll();
    else this.#loop.mark(SITE);
    if (this.#site.synced) this.portMapper.follow(this.#site.role === 'edge' ? this.#surroundings.router : null);
    this.nat.needHole(this.#site.role === 'edge' && this.#site.relays.length === 0 && this.#site.synced);
  }

  #protect(): void {
    const addresses = protectedAddresses(this.#servers, this.#surroundings.underlay);
    if (sameAddresses(addresses, this.#protected)) return;
    this.#protected = addresses;
    for (const name of this.gateways.protect(addresses)) this.#told(name);
  }

  #gather(): SiteFacts {
    const own = this.gateways.own;
    const facts = siteFacts({
      node: this.#config.node,
      driver: this.#parts.driver.name,
      onePlane: this.#parts.driver.onePlane ?? false,
      publicKey: this.#parts.publicKey,
      direct: this.#config.direct,
      hardNat: this.#config.hardNat,
      own,
      relays: this.gateways.relays,
      remoteEdges: this.gateways.remoteEdges,
      relayEndpoints: this.#relayEndpoints(),
      underlay: this.#surroundings.underlay,
      probeAddress: this.#surroundings.probeAddress(own, this.#config.node),
      nat: this.nat.report,
      ports: portsOf(this.nat.profile),
      profiling: this.nat.profiling,
      mapped: this.portMapper.external(own),
      stunHole: this.nat.hole,
      synced: this.gateways.synced,
      unread: this.gateways.unread,
    });
    return { ...facts, ...this.#handingOver.follow(facts, Date.now()) };
  }

  /**
   * Where the relays are seen now: on an edge, the relay plane has no other peers. Those of nobody known stand
   * for as long as something is unread, and may be a relay's.
   */
  #relayEndpoints(): HostPort[] {
    const known = [...this.gateways.relays].map(({ gateway }) => this.remotes.get(gateway.name)?.facts.relay.peer);
    const strangers = this.gateways.unread ? this.remotes.strangers('relay') : [];
    return [...known, ...strangers].flatMap((peer) => peer?.endpoint ?? []);
  }

  async #lookAtNetwork(): Promise<void> {
    const isOther = await this.#surroundings.look();
    await this.#checkProbeAddress();
    await this.#tapHandshakes();
    await this.#rendezvous.open(this.#site);
    if (!isOther) return;
    this.nat.kick();
    this.portMapper.kick();
    this.#refresh();
  }

  /** Nothing but what is measured depends on it. */
  async #tapHandshakes(): Promise<void> {
    const { engine, driver } = this.#parts;
    await tapHandshakes(engine, driver.name, this.#surroundings.underlay?.device ?? null).then(
      () => this.#story.overcome('handshake tap'),
      (error: unknown) => this.#story.trouble('handshake tap', error),
    );
  }

  async #checkProbeAddress(): Promise<void> {
    const { probeAddress } = this.#site;
    if (probeAddress === null) return;
    const isSet = [this.world.devices.relay, OVERLAY.device].some((device) =>
      this.world.observed.has(`address ${device} ${probeAddress}`),
    );
    if (!(await this.#surroundings.rejects(probeAddress, isSet))) return;
    this.#story.trouble('probe address', new Error(`${probeAddress} is not delivered on this node: no probes`));
    this.#refresh();
  }

  /** The loop turns every few seconds at least: soon enough for what a person is to read. */
  #tellOfStore(): void {
    const { lastError } = this.#parts.store.health();
    if (lastError === null) this.#story.overcome('store');
    else this.#story.trouble('store', new CoraxError('CORAX_STORE', lastError.message));
  }

  /** Is this the relay that publishes holes? */
  get central(): boolean {
    return isCentral(this.#site);
  }

  /** Writes to the store that do not come about. */
  get unpublished(): readonly PublishFailure[] {
    return this.#publisher.failures;
  }

  /** What is wrong with the tunnel's backend as a whole. */
  get driverProblems(): readonly DriverProblem[] {
    return this.#parts.driver.problems?.() ?? [];
  }

  /** What was sent to the kernel since the start. */
  engineStats() {
    const { wireguardMessages, wireguardPeers, routeMessages, nftTransactions, probesSent } =
      this.#parts.engine.stats();
    return { wireguardMessages, wireguardPeers, routeMessages, nftTransactions, probesSent };
  }

  /** Null, or why the node is not ready to carry traffic. */
  unready(): string | null {
    const { synced, lastError } = this.#parts.store.health();
    if (!synced || !this.gateways.synced)
      return `the store was not read yet${lastError === null ? '' : `: ${lastError.message}`}`;
    const { role } = this.#site;
    if (role === 'idle') return null;
    if (role === 'member') {
      return this.world.observed.has(`overlay ${OVERLAY.device}`) ? null : `${OVERLAY.device} is not up`;
    }
    const { relay } = this.world.devices;
    return this.world.observed.has(`device ${relay}`) ? null : `${relay} is not up`;
  }
}
