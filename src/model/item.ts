/**
 * Everything that corax puts into the world is an item with a key: what ought to be there (decide), what
 * is there (the agent's observation), and the steps between the two all speak of items.
 */
import type { HostPort, Ip, Prefix } from './address.js';
import { formatHostPort, sameHostPort } from './address.js';
import type { PublicKey } from './key.js';
import type { Plane } from './names.js';
import type { Mac } from './overlay.js';

export interface DeviceItem {
  readonly kind: 'device';
  readonly plane: Plane;
  readonly name: string;
  readonly listenPort: number;
  readonly mtu: number;
}

/** The probe address, a /32 on each device. */
export interface AddressItem {
  readonly kind: 'address';
  readonly device: string;
  readonly address: Ip;
}

export interface RuleItem {
  readonly kind: 'rule';
  readonly priority: number;
  readonly family: 4 | 6;
  readonly table: number;
  readonly source: Ip | null;
  readonly tos: number;
  readonly fwmark: number;
  /** Only ICMP: so that nobody else's TOS is taken for a probe's. */
  readonly icmp: boolean;
}

export interface FirewallItem {
  readonly kind: 'firewall';
  /** Rewrite between the tunnel port and the direct plane's, but for these; null without a direct plane. */
  readonly relays: readonly HostPort[] | null;
  /** Keep what is relayed from one edge to another out of conntrack. */
  readonly relaying: boolean;
  /** Pod subnets of the own site: what leaves them by a tunnel keeps its source. */
  readonly localSubnets: readonly Prefix[];
  readonly devices: readonly string[];
  /**
   * Packets only seem to go by the devices: IPsec takes them by their prefixes, to and from whatever device the tunnel's
   * own packets use.
   */
  readonly byPolicy: boolean;
  /** Remember whom there is traffic with. */
  readonly watchesTraffic: boolean;
  /** For the other nodes of the own gateway; null without any. */
  readonly overlay: {
    readonly device: string;
    /** Mark what comes in by these devices; on a member none. */
    readonly marks: readonly string[];
    /** The tunnel changes hands: this node had it, or has it now. */
    readonly handover: 'former' | 'next' | null;
    /** On a member: what leaves by the overlay and is not from the own site's pods gets this source. */
    readonly source: Ip | null;
  } | null;
}

/** What goes to `remote` from the direct plane leaves by this local port, and what comes back there is the direct plane's. */
export interface OutsidePortItem {
  readonly kind: 'outside-port';
  readonly remote: HostPort;
  readonly localPort: number;
}

/** raven0, with its own address and MAC. */
export interface OverlayItem {
  readonly kind: 'overlay';
  readonly name: string;
  readonly address: Ip;
  readonly mac: Mac;
  readonly mtu: number;
}

/** `mac` is behind the node `destination`. */
export interface FdbItem {
  readonly kind: 'fdb';
  readonly device: string;
  readonly mac: Mac;
  readonly destination: Ip;
}

/** `mac` has the address. */
export interface NeighbourItem {
  readonly kind: 'neighbour';
  readonly device: string;
  readonly address: Ip;
  readonly mac: Mac;
}

export interface PeerItem {
  readonly kind: 'peer';
  readonly plane: Plane;
  readonly gateway: string;
  readonly key: PublicKey;
  /** A hint, given when the peer is added; WireGuard follows the peer from there (roaming). */
  readonly endpoint: HostPort | null;
  /** Libreswan's alone. */
  readonly ipsec?: IpsecPart;
}

/** What IPsec has to be told of a peer beside: an SA is for a pair of prefixes, and each end has a name. */
export interface IpsecPart {
  /** The node's own address on which the tunnel ends. */
  readonly host: Ip;
  /** By which the two ends are known, in names and IDs: their nodes' private addresses. */
  readonly localName: Ip;
  readonly remoteName: Ip;
  /** The own gateway's. */
  readonly subnets: readonly Prefix[];
  /** Of the plane's XFRM interface; null: this kernel has none, and a packet is taken by its prefixes alone. */
  readonly ifId: number | null;
  /** Which prefixes this end stands for: its own, those of all edges (pair by pair, as raven has it), or any. */
  readonly local: 'own' | 'edges' | 'any';
  /** Which the other end stands for: those that the peer carries, or any. */
  readonly remote: 'carried' | 'any';
  /** One end does: initiations that cross leave SAs that the other does not have. */
  readonly initiates: boolean;
  /** The tunnel's port here is not translated: it is spoken to on {@link TUNNEL_PORT} from the first packet on. */
  readonly fixedPort: boolean;
}

/** A prefix that a peer may send from and is sent to: an allowed IP. A prefix has one peer a plane. */
export interface CarryItem {
  readonly kind: 'carry';
  readonly plane: Plane;
  readonly prefix: Prefix;
  readonly peer: PublicKey;
}

export interface RouteItem {
  readonly kind: 'route';
  readonly table: number;
  readonly prefix: Prefix;
  readonly metric: number;
  /** Null is an unreachable route. */
  readonly device: string | null;
  /** A gateway on the device's link, whatever addresses the device has. */
  readonly via: Ip | null;
  readonly source: Ip | null;
}

export interface ProbeItem {
  readonly kind: 'probe';
  readonly gateway: string;
  readonly plane: Plane;
  readonly source: Ip;
  readonly destination: Ip;
  readonly intervalMs: number;
  readonly fastIntervalMs: number;
  /** Bytes of the whole IP packet. */
  readonly size: number;
  /** The path that this end is on, told to the other. */
  readonly path: Plane;
  /** Another generation starts with fresh counters. */
  readonly generation: number;
}

export type Item =
  | DeviceItem
  | OverlayItem
  | FdbItem
  | NeighbourItem
  | AddressItem
  | RuleItem
  | FirewallItem
  | OutsidePortItem
  | PeerItem
  | CarryItem
  | RouteItem
  | ProbeItem;

export type ItemKey = string;

/** Two items with one key cannot both be in force. */
export function keyOf(item: Item): ItemKey {
  switch (item.kind) {
    case 'device':
      return `device ${item.name}`;
    case 'overlay':
      return `overlay ${item.name}`;
    case 'fdb':
      return `fdb ${item.device} ${item.mac}`;
    case 'neighbour':
      return `neighbour ${item.device} ${item.address}`;
    case 'address':
      return `address ${item.device} ${item.address}`;
    case 'rule':
      return `rule ${item.family} ${item.priority} ${item.table} ${item.source ?? '-'} ${item.tos} ${item.fwmark}`;
    case 'firewall':
      return 'firewall';
    case 'outside-port':
      return `outside-port ${formatHostPort(item.remote)}`;
    case 'peer':
      return `peer ${item.plane} ${item.key}`;
    case 'carry':
      return `carry ${item.plane} ${item.prefix}`;
    case 'route':
      return `route ${item.table} ${item.prefix} ${item.metric}`;
    case 'probe':
      return `probe ${item.plane} ${item.gateway}`;
  }
}

/** Do two items of one key ask for the same? A peer's endpoint is a hint and does not count. */
export function sameItem(a: Item, b: Item): boolean {
  if (a === b) return true;
  if (a.kind === 'peer' && b.kind === 'peer') return a.gateway === b.gateway && sameIpsec(a.ipsec, b.ipsec);
  if (a.kind === 'outside-port' && b.kind === 'outside-port') return a.localPort === b.localPort;
  if (a.kind === 'firewall' && b.kind === 'firewall') return sameFirewall(a, b);
  const left = a as unknown as Record<string, unknown>;
  const right = b as unknown as Record<string, unknown>;
  return Object.keys(left).every((field) => left[field] === right[field]);
}

function sameIpsec(a: IpsecPart | undefined, b: IpsecPart | undefined): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function sameFirewall(a: FirewallItem, b: FirewallItem): boolean {
  return (
    a.relaying === b.relaying &&
    a.byPolicy === b.byPolicy &&
    a.watchesTraffic === b.watchesTraffic &&
    JSON.stringify(a.overlay) === JSON.stringify(b.overlay) &&
    sameList(a.relays, b.relays, sameHostPort) &&
    sameList(a.localSubnets, b.localSubnets, Object.is) &&
    sameList(a.devices, b.devices, Object.is)
  );
}

function sameList<T>(a: readonly T[] | null, b: readonly T[] | null, same: (a: T, b: T) => boolean): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((value, index) => same(value, b[index] as T));
}
