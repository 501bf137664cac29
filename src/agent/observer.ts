/** Looks at the tunnel, the probes and the network, and tells whom what it saw concerns. */
import { constants } from 'node:os';
import { codeOf } from '../errors.js';
import { type HostPort, type Prefix, sameHostPort } from '../model/address.js';
import { type DeviceItem, type Item, keyOf } from '../model/item.js';
import type { PublicKey } from '../model/key.js';
import { PLANES, type Plane } from '../model/names.js';
import type { NativeError, NativeEvent } from '../native.js';
import { isNetworkItem, type Network } from '../network/network.js';
import { type Prober, statedPath } from '../probe/prober.js';
import type { PeerUpdate, TunnelDriver } from '../tunnel/driver.js';
import { Pace } from './pace.js';
import type { Remote, Remotes } from './remotes.js';
import { hangsOn, SITE, type World } from './world.js';

export interface ObserverParts {
  readonly driver: TunnelDriver;
  readonly network: Network;
  readonly prober: Prober;
  readonly remotes: Remotes;
  readonly world: World;
  /** The owner has to be looked at again. */
  readonly mark: (owner: string) => void;
  /** A relay-plane peer moved: on an edge that is where a relay is, on a relay an edge's hole. */
  readonly peerMoved: (remote: Remote, to: HostPort | null) => void;
  /** The peers of a plane were read. */
  readonly looked: (plane: Plane) => void;
  /** Links, addresses or routes changed. */
  readonly networkChanged: () => Promise<void>;
  /** This node has just become its gateway's active one. */
  readonly handingOver: () => boolean;
  /** Opens anew what the engine hears by, as far as it was lost. */
  readonly rearm: () => Promise<void>;
  readonly failed: (what: string, error: unknown) => void;
  readonly worked: (what: string) => void;
}

/** While somebody is being punched through to, counters and handshakes are read more often, for so long. */
const EAGER_FOR_MS = 30_000;
const EAGER_HANDOVER_MS = 10_000;
/** Everything in the kernel is compared with what it should be this often, whatever was heard. */
const AUDIT_MS = 30_000;
/** Network changes come in bursts. */
const SETTLE_MS = 200;
/** A node that has just become the active one makes most of them itself, and has better things to do than to look at them. */
const SETTLE_HANDOVER_MS = 2_000;

/**
 * Whether an earlier agent's table stands is not worth asking: setting it is one transaction, and so is
 * removing it, there or not. This is like none that anybody wants.
 */
const UNKNOWN_FIREWALL: Item = {
  kind: 'firewall',
  relays: null,
  relaying: false,
  localSubnets: [],
  devices: [],
  byPolicy: false,
  watchesTraffic: false,
  overlay: null,
};

const UNREAD_PROBE = {
  sent: 0,
  received: 0,
  lost: 0,
  rttMs: null,
  jitterMs: null,
  loss: null,
  lostInRow: 0,
  answeredInRow: 0,
  answeredSize: 0,
} as const;

export class Observer {
  readonly #parts: ObserverParts;
  readonly #pace = new Pace();
  #pollTimer: NodeJS.Timeout | undefined;
  #auditTimer: NodeJS.Timeout | undefined;
  #settleTimer: NodeJS.Timeout | undefined;
  #polling: Promise<void> | null = null;
  /** An overrun may have been the end of what the engine hears by. */
  #armed = true;
  /** The next poll comes soon. */
  #eager = false;
  #stopped = false;

  constructor(parts: ObserverParts) {
    this.#parts = parts;
  }

  /** What stands when the agent starts: nothing of it is owned yet. */
  async adopt(): Promise<void> {
    const { driver, network, world } = this.#parts;
    world.found([...(await driver.observe()), ...(await network.observe()), UNKNOWN_FIREWALL], () => true);
    await this.#poll();
  }

  start(): void {
    this.#schedulePoll();
    this.#auditTimer = setInterval(() => void this.audit(), AUDIT_MS);
  }

  /**
   * The peers are to be looked at now rather than at the next poll, and once more soon after: of a first handshake the
   * kernel only tells when its first data packet has come.
   */
  lookSoon(): void {
    this.#pace.ask();
    if (this.#polling === null) this.#schedulePoll();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#pollTimer);
    clearInterval(this.#auditTimer);
    clearTimeout(this.#settleTimer);
    await this.#polling;
  }

  onEvent(event: NativeEvent): void {
    switch (event.type) {
      case 'probe':
        this.#onProbe(event);
        break;
      case 'remote-state':
        this.#onRemoteState(event);
        break;
      case 'overrun':
        this.#armed = false;
        this.#settle();
        break;
      case 'network':
        this.#settle();
        break;
      case 'xfrm':
        this.#parts.driver.hear?.(event);
        break;
      default:
        break;
    }
  }

  #settle(): void {
    clearTimeout(this.#settleTimer);
    const settleMs = this.#parts.handingOver() ? SETTLE_HANDOVER_MS : SETTLE_MS;
    this.#settleTimer = setTimeout(() => void this.audit(), settleMs);
  }

  /** Before it is looked at what is: what changes from then on is told. Where it fails, the next audit tries again. */
  async #rearm(): Promise<void> {
    if (this.#armed) return;
    const { rearm, failed, worked } = this.#parts;
    this.#armed = true;
    try {
      await rearm();
      worked('rearm');
    } catch (error) {
      this.#armed = false;
      failed('rearm', error);
    }
  }

  /** Compares what is in force with what is known of it; whoever lost something is told. */
  async audit(): Promise<void> {
    const { driver, network, world, mark, networkChanged, failed, worked } = this.#parts;
    if (this.#stopped) return;
    await this.#rearm();
    try {
      await networkChanged();
      for (const device of PLANES.flatMap((plane) => this.#deviceOf(plane) ?? [])) {
        if (!(await driver.isUp(device))) this.#deviceAltered(device);
      }
      const items = await network.observe();
      const covers = (item: Item) => isNetworkItem(item) && item.kind !== 'firewall';
      for (const owner of world.found(items, covers)) mark(owner);
      const firewall = world.observed.get('firewall');
      if (firewall?.kind === 'firewall' && !(await network.firewallStands(firewall))) {
        world.lost('firewall');
        mark(SITE);
      }
      worked('audit');
    } catch (error) {
      failed('audit', error);
    }
  }

  /** The next look comes soon, if something is about to happen. */
  hurry(): void {
    if (this.#polling !== null || this.#eager || !this.#isEager()) return;
    this.#schedulePoll();
  }

  #isEager(): boolean {
    const now = Date.now();
    return this.#isHandingOver(now) || this.#isPunching(now);
  }

  #schedulePoll(): void {
    if (this.#stopped) return;
    clearTimeout(this.#pollTimer);
    this.#eager = this.#isEager();
    this.#pollTimer = setTimeout(() => {
      this.#pace.began();
      this.#polling = this.#poll().finally(() => {
        this.#pace.ended();
        this.#polling = null;
        this.#schedulePoll();
      });
    }, this.#pace.next(this.#eager));
  }

  async #poll(): Promise<void> {
    const { driver, prober, remotes, mark, looked, failed, worked } = this.#parts;
    for (const plane of PLANES) {
      const device = this.#deviceOf(plane);
      if (device === null) continue;
      try {
        const { altered, peers } = await driver.poll(device);
        if (altered) this.#deviceAltered(device);
        await this.#onPeers(plane, peers);
        looked(plane);
        worked(`poll ${device.name}`);
      } catch (error) {
        if (codeOf(error) === 'CORAX_CLOSED') return;
        // Any other error is the question's, not the device's: what stands must not be built anew for it.
        if (isGone(error)) this.#deviceLost(plane);
        failed(`poll ${device.name}`, error);
      }
    }
    for await (const slice of inSlices(await prober.read().catch(() => [])))
      for (const { gateway, plane, facts } of slice) remotes.seeProbe(gateway, plane, facts);
    for (const remote of this.#unsettled()) mark(remote.gateway.name);
  }

  /** Not for ever: a direct plane that works and is worse than the relay stays a candidate. */
  #isPunching(now: number): boolean {
    for (const { path } of this.#unsettled()) {
      if (path?.state === 'punching' && now - path.startedAt < EAGER_FOR_MS) return true;
    }
    return false;
  }

  /** A remote's subnets, or this node's, wait for a tunnel's first session. */
  #isHandingOver(now: number): boolean {
    return this.#parts.handingOver() || now - this.#parts.remotes.movedAt < EAGER_HANDOVER_MS;
  }

  /** Whose path may change with what was read: few, whatever the number of remotes. */
  *#unsettled(): Generator<Remote> {
    for (const remote of this.#parts.remotes.all) {
      if (remote.path !== null && remote.path.state !== 'relayed') yield remote;
    }
  }

  #deviceOf(plane: Plane): DeviceItem | null {
    const { world } = this.#parts;
    const device = world.observed.get(`device ${world.devices[plane]}`);
    return device?.kind === 'device' ? device : null;
  }

  /** It is set up again, and what hangs on it stays. One that nobody wants yet is not ours to judge. */
  #deviceAltered(device: DeviceItem): void {
    const { world, mark } = this.#parts;
    const owner = world.ownerOf(keyOf(device));
    if (owner === undefined) return;
    world.lost(keyOf(device));
    mark(owner);
  }

  async #onPeers(plane: Plane, updates: Iterable<PeerUpdate>): Promise<void> {
    const { world, mark } = this.#parts;
    const gone = new Set<PublicKey>();
    for await (const slice of inSlices(updates)) {
      for (const update of slice) {
        this.#onPeer(update);
        if (update.gone) gone.add(update.key);
        else if (update.carries !== null) this.#onCarries(update, new Set(update.carries));
      }
    }
    // Those that this agent took away itself are not in the world any more.
    if (![...gone].some((key) => world.observed.has(`peer ${plane} ${key}`))) return;
    const owners = world.lostWhere(
      (item) =>
        (item.kind === 'peer' && item.plane === plane && gone.has(item.key)) ||
        (item.kind === 'carry' && item.plane === plane && gone.has(item.peer)),
    );
    for (const owner of owners) mark(owner);
  }

  #onPeer(update: PeerUpdate): void {
    const { remotes, mark, peerMoved } = this.#parts;
    const before = remotes.withKey(update.key)?.facts[update.plane].peer?.endpoint ?? null;
    const remote = remotes.seePeer(update, Date.now());
    if (remote === null || !(update.moved || update.gone)) return;
    mark(remote.gateway.name);
    // A rekey is news, and no move.
    const after = update.gone ? null : update.endpoint;
    if (update.plane === 'relay' && !sameHostPort(before, after)) peerMoved(remote, after);
  }

  /** Has somebody taken from the peer what it is to carry? */
  #onCarries({ plane, key }: PeerUpdate, left: ReadonlySet<Prefix>): void {
    const { world, mark } = this.#parts;
    for (const item of world.carriedBy(plane, key)) {
      const owner = left.has(item.prefix) ? undefined : world.lost(keyOf(item));
      if (owner !== undefined) mark(owner);
    }
  }

  /** Somebody deleted a device of ours: it, its peers and routes are put back. */
  #deviceLost(plane: Plane): void {
    const { world, remotes, mark } = this.#parts;
    remotes.dropPeers(plane);
    for (const owner of world.lostWhere(hangsOn(plane))) mark(owner);
  }

  #onProbe(event: Extract<NativeEvent, { type: 'probe' }>): void {
    const { prober, remotes, mark } = this.#parts;
    const subject = prober.subjectOf(event);
    if (subject === null) return;
    const { gateway, plane, generation } = subject;
    const seen = remotes.get(gateway)?.facts[plane].probe;
    // The first event may come before the first reading, which brings the numbers.
    const known = seen ?? { ...UNREAD_PROBE, generation };
    const { lostInRow, answeredInRow } = event;
    const received = known.received + (answeredInRow > 0 ? 1 : 0);
    const rttMs = known.rttMs ?? event.rttMs;
    remotes.seeProbe(gateway, plane, { ...known, lostInRow, answeredInRow, received, rttMs });
    mark(gateway);
  }

  #onRemoteState(event: Extract<NativeEvent, { type: 'remote-state' }>): void {
    const { remotes, mark } = this.#parts;
    const { address, path } = statedPath(event);
    const remote = remotes.withProbeAddress(address);
    if (remote === undefined || path === null || remote.facts.remotePath === path) return;
    remote.facts = { ...remote.facts, remotePath: path };
    mark(remote.gateway.name);
  }
}

/** However many there are, others get their turn after so many. */
const SLICE = 500;

async function* inSlices<T>(items: Iterable<T>): AsyncGenerator<T[]> {
  let slice: T[] = [];
  for (const item of items) {
    slice.push(item);
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await new Promise((resolve) => setImmediate(resolve));
  }
  yield slice;
}

/** The kernel's word for a device that is not there. */
function isGone(error: unknown): boolean {
  return codeOf(error) === 'CORAX_NETLINK' && (error as NativeError).errno === constants.errno.ENODEV;
}
