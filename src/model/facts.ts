/** What the agent has observed, as decide sees it. All times are Unix milliseconds unless they say otherwise. */
import type { HostPort, Ip, Prefix } from './address.js';
import type { Gateway, SiteNode, TunnelEndpoint } from './gateway.js';
import type { PublicKey } from './key.js';
import type { DriverName, Plane } from './names.js';
import type { NatReport } from './nat.js';
import type { NatPorts } from './nat-profile.js';
import type { OpeningFacts } from './opening.js';

/**
 * This node's part: `edge` and `relay` hold their gateway's tunnel, `member` reaches remotes by the node that does,
 * `idle` has none of it.
 */
export type Role = 'edge' | 'relay' | 'member' | 'idle';

/** Who gets a direct plane; `auto` is `all` up to DIRECT_ALL_LIMIT remote edges, and `demand` above. */
export type DirectPolicy = 'auto' | 'all' | 'demand' | 'none';

/** The way out of this node for everything that is not tunnelled. */
export interface Underlay {
  readonly device: string;
  readonly mtu: number;
  /** The node's own addresses, of every device that is not ours. */
  readonly addresses: readonly Ip[];
  /** Where the world reaches this node by IPv6; null without a global address and a way out. */
  readonly ipv6: Ip | null;
}

/** The nodes of the own gateway among themselves. Addresses are private ones, IPv4. */
export interface Overlay {
  /** This node's. */
  readonly address: Ip;
  /** The gateway node's; null where this node is it. */
  readonly gateway: Ip | null;
  /** On the gateway node: the others. */
  readonly members: readonly SiteNode[];
}

/** A node's part is changing hands within its gateway. */
export type Handover =
  /** This node held the tunnel until a moment ago; now it is the node with this private address. */
  | { readonly as: 'former'; readonly to: Ip }
  /** This node holds it since a moment ago; before it was the node with this private address. */
  | { readonly as: 'next'; readonly from: Ip; readonly since: number };

/** A gateway whose active endpoint can be connected to: it has a key (with libreswan one made from its name). */
export interface Site {
  readonly gateway: Gateway;
  readonly endpoint: TunnelEndpoint;
  readonly key: PublicKey;
}

/** A relay that can be reached. */
export interface Relay extends Site {
  readonly address: HostPort;
}

/** What a tunnel driver knows of a peer on one plane. */
export interface PeerFacts {
  readonly endpoint: HostPort | null;
  /** Unix seconds; 0 = never. */
  readonly lastHandshake: number;
  /** Does a session stand, whatever its age? Null: its age says (WireGuard). */
  readonly session: boolean | null;
  readonly rxBytes: number;
  readonly txBytes: number;
  /** When rxBytes was last seen to grow; 0 = never. */
  readonly receivedAt: number;
  /** When txBytes was last seen to grow by more than keepalives do; 0 = never. */
  readonly sentAt: number;
}

/** What the prober knows of one remote on one plane. */
export interface ProbeFacts {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly rttMs: number | null;
  readonly jitterMs: number | null;
  /** Of the latest probes, as a fraction of 1; null before the first. */
  readonly loss: number | null;
  readonly lostInRow: number;
  readonly answeredInRow: number;
  /** The largest packet that was answered, bytes. */
  readonly answeredSize: number;
  readonly generation: number;
}

export interface PlaneFacts {
  readonly peer: PeerFacts | null;
  readonly probe: ProbeFacts | null;
}

/** The peer of a remote before its active endpoint moved to another node. */
export interface Former {
  readonly key: PublicKey;
  /** When it moved. */
  readonly since: number;
  /** It was a direct peer too. */
  readonly direct: boolean;
}

/** What is observed of one remote gateway. */
export interface RemoteFacts {
  /** Between edges its peer is the central relay. */
  readonly relay: PlaneFacts;
  readonly direct: PlaneFacts;
  /** The path that the other end says it is on, by its probes; null = not heard. */
  readonly remotePath: Plane | null;
  /** Absent where the remote's active endpoint did not move. */
  readonly former?: Former;
  /** Between edges: what is observed of the central relay itself. */
  readonly central?: Pick<RemoteFacts, 'relay' | 'former'>;
  /** When its relay-plane peer was last made to ask for a session at once; absent: never. */
  readonly nudgedAt?: number;
  /** When there was traffic with it last, where that is watched; absent: never. */
  readonly trafficAt?: number;
  /** Absent where this node takes part in none. */
  readonly opening?: OpeningFacts;
}

/** All that is not about one remote. */
export interface SiteFacts {
  readonly node: string;
  readonly driver: DriverName;
  /** The kernel has no XFRM interfaces, which make two planes of IPsec. Known from the start on. */
  readonly onePlane: boolean;
  readonly self: Site | null;
  readonly role: Role;
  readonly overlay: Overlay | null;
  readonly handover: Handover | null;
  readonly publicKey: PublicKey;
  /** Null: the node has no address for probes; liveness is then passive. */
  readonly probeAddress: Ip | null;
  readonly underlay: Underlay | null;
  readonly nat: NatReport | null;
  /** How the NAT gives out ports; null where that is not known. */
  readonly ports: NatPorts | null;
  /** It is being found out. */
  readonly profiling: boolean;
  /** Usable relays, by node name in byte order; the last is the central one. */
  readonly relays: readonly Relay[];
  /** Where the kernel has our relay-plane peers now: on an edge these are relays too. */
  readonly relayEndpoints: readonly HostPort[];
  /** The store was read whole at least once. Until then nothing is removed. */
  readonly synced: boolean;
  /** Gateways stand in the store of which no version could ever be read: what stands unasked may be theirs. */
  readonly unread: boolean;
  readonly direct: DirectPolicy;
  /** Openings through NATs that let no packet in first are tried (--hard-nat). */
  readonly hardNat: boolean;
  /** Own prefixes, of all nodes of the own gateway. */
  readonly subnets: readonly Prefix[];
  /**
   * Admitted remote edges, rounded up to a power of two: so that one edge more seldom is a change for all
   * the others.
   */
  readonly scale: number;
  /** There are more remote edges than `auto` gives a direct plane to unasked. */
  readonly crowded: boolean;
  /** Where the router maps the tunnel's port to; null where it does not. */
  readonly mapped: HostPort | null;
  /** The own hole by STUN from the tunnel's port; only asked for where no relay exists. */
  readonly stunHole: HostPort | null;
}
