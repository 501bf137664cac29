/**
 * The only importer of the addon, and the contract that native/binding keeps.
 *
 * Everything that can block (netlink, nf_tables) runs on the engine's one native thread, in the order
 * in which it was asked for, and pluto, which takes its time, on one of its own; promises settle on the
 * event loop. Addresses cross the boundary as text, except in columns, where they are 16 bytes: IPv4 as an
 * IPv4-mapped IPv6 address (RFC 4291 2.5.5.2).
 * The addon trusts nothing: wrong types, lengths and ranges throw a TypeError before anything is sent.
 */
import { createRequire } from 'node:module';
import { CoraxError, messageOf } from './errors.js';
import type { Pluto, PlutoOptions } from './native/pluto.js';
import type { XfrmDeletions, XfrmDelta, XfrmEvent, XfrmPolicies, XfrmStates } from './native/xfrm.js';

export type * from './native/pluto.js';
export type * from './native/xfrm.js';

/**
 * Peers to program, one entry a peer, as columns. The flags say which of the other columns count.
 * `allowedIps` holds 18 bytes each: family (4 or 6), prefix length, 16 address bytes; those of peer i are
 * entries allowedIpOffsets[i] up to allowedIpOffsets[i + 1].
 */
export interface PeerColumns {
  readonly count: number;
  /** 32 bytes a peer. */
  readonly publicKeys: Uint8Array;
  /** Bits of {@link PeerFlag}. */
  readonly flags: Uint8Array;
  /** 32 bytes a peer; read where PresharedKey is set. */
  readonly presharedKeys: Uint8Array;
  /** 16 bytes a peer; read where Endpoint is set. */
  readonly endpointAddresses: Uint8Array;
  readonly endpointPorts: Uint16Array;
  /** Seconds; read where Keepalive is set. */
  readonly keepalives: Uint16Array;
  /** count + 1 entries. */
  readonly allowedIpOffsets: Uint32Array;
  readonly allowedIps: Uint8Array;
}

export const PeerFlag = {
  Remove: 1,
  ReplaceAllowedIps: 2,
  UpdateOnly: 4,
  Endpoint: 8,
  PresharedKey: 16,
  Keepalive: 32,
} as const;

/** What the kernel says of a WireGuard device (WG_CMD_GET_DEVICE). The private key never leaves native code. */
export interface WgDevice {
  readonly ifindex: number;
  /** 32 bytes, or null while the device has no private key. */
  readonly publicKey: Uint8Array | null;
  readonly listenPort: number;
  readonly fwmark: number;
}

/** Peers as the kernel has them, in dump order. */
export interface WgSnapshot extends WgDevice {
  readonly count: number;
  readonly publicKeys: Uint8Array;
  /** 16 bytes a peer; all zero, and port 0, where the kernel knows no endpoint. */
  readonly endpointAddresses: Uint8Array;
  readonly endpointPorts: Uint16Array;
  readonly keepalives: Uint16Array;
  /** Unix time in seconds with fraction; 0 = never. */
  readonly lastHandshakes: Float64Array;
  readonly rxBytes: Float64Array;
  readonly txBytes: Float64Array;
  readonly allowedIpOffsets: Uint32Array;
  /** As in {@link PeerColumns}. */
  readonly allowedIps: Uint8Array;
}

export const ChangeFlag = {
  Added: 1,
  Removed: 2,
  Endpoint: 4,
  Handshake: 8,
  /** rx or tx bytes. Alone: nothing else changed. */
  Counters: 16,
  AllowedIps: 32,
} as const;

/**
 * What differs from the snapshot that the engine holds for this device (which it then replaces; wgSnapshot()
 * leaves it alone): the peers that changed, as a snapshot's columns, and how. Without an earlier snapshot
 * everything is Added.
 */
export interface WgDelta extends WgSnapshot {
  /** Bits of {@link ChangeFlag}, one entry a peer. */
  readonly changes: Uint8Array;
  /** Peers on the device in all. */
  readonly total: number;
}

/** Of a VXLAN device (RFC 7348). */
export interface Vxlan {
  readonly vni: number;
  readonly port: number;
  /** It learns from what comes in which MAC is behind which host. */
  readonly learning: boolean;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND, for example "wireguard", "bridge", "veth"; null for a physical device. */
  readonly kind: string | null;
  /** IFLA_XFRM_IF_ID of an "xfrm" device: whose policies and SAs are its own; else null. */
  readonly ifId: number | null;
  /** Of a "vxlan" device; else null. */
  readonly vxlan: Vxlan | null;
  /** "aa:0f:f0:00:00:02"; null where it has none of six bytes. */
  readonly mac: string | null;
  readonly mtu: number;
  /** IFF_UP */
  readonly up: boolean;
  /** IFF_LOWER_UP: has a carrier */
  readonly running: boolean;
}

export interface Address {
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host */
  readonly scope: number;
}

/** Of a device: behind which host a MAC is ("fdb", of a VXLAN device), or who has an address ("arp"). */
export interface Neighbour {
  readonly kind: 'fdb' | 'arp';
  readonly mac: string;
  /** IPv4 or, of an FDB, IPv6. */
  readonly address: string;
  /** NUD_PERMANENT: set by somebody, and not found out. */
  readonly permanent: boolean;
}

export interface Route {
  readonly table: number;
  /** Destination as a CIDR; "0.0.0.0/0" and "::/0" are the default routes. */
  readonly destination: string;
  /** RTN_*: 1 unicast, 2 local, 7 unreachable */
  readonly type: number;
  readonly metric: number;
  readonly oif: number | null;
  readonly gateway: string | null;
  readonly source: string | null;
  /** RTPROT_*; ours are {@link ROUTE_PROTOCOL}. */
  readonly protocol: number;
}

/** Routes of one table, IPv4's first, one entry a route, as columns: there may be tens of thousands. */
export interface RouteColumns {
  readonly table: number;
  readonly count: number;
  /** 18 bytes each: family (4 or 6), prefix length, 16 address bytes. */
  readonly destinations: Uint8Array;
  /** As in {@link Route}, and so on. */
  readonly types: Uint8Array;
  readonly protocols: Uint8Array;
  readonly metrics: Uint32Array;
  /** 0 = none. */
  readonly oifs: Uint32Array;
  /** 16 bytes each; all zero = none. */
  readonly gateways: Uint8Array;
  /** 16 bytes each; all zero = none. */
  readonly sources: Uint8Array;
}

export interface Rule {
  readonly priority: number;
  readonly family: 4 | 6;
  readonly table: number;
  /** As a CIDR. */
  readonly source: string | null;
  readonly tos: number;
  readonly fwmark: number;
  readonly fwmask: number;
  /** FRA_PROTOCOL: who made the rule. */
  readonly protocol: number;
  /** FRA_IP_PROTO: the transport that the rule is for; 0 = any. */
  readonly ipProtocol: number;
  /** It has more selectors than these (destination, device, port, "not" …), or does not look up a table. */
  readonly other: boolean;
}

/**
 * RTPROT of every route and rule of ours: free in linux/rtnetlink.h and /etc/iproute2/rt_protos, and none of
 * those that FRR takes for its own and clears away (191–198), so that ours are known as ours.
 */
export const ROUTE_PROTOCOL = 0xcc;

export type NetworkOp =
  /** "dummy" drops whatever is sent by it. */
  | { readonly op: 'link-create'; readonly name: string; readonly kind: 'wireguard' | 'dummy' }
  | {
      readonly op: 'link-create';
      readonly name: string;
      readonly kind: 'xfrm';
      /** At least 1. One that is there already with this kind and another ifId is EEXIST. */
      readonly ifId: number;
      /** IFLA_XFRM_LINK, the device below; absent = none. */
      readonly link?: string;
    }
  | {
      readonly op: 'link-create';
      readonly name: string;
      readonly kind: 'vxlan';
      /** 24 bits. One that is there already with this kind and other settings or another MAC is EEXIST. */
      readonly vni: number;
      readonly port: number;
      /** The device's own. It does not learn others'. */
      readonly mac: string;
    }
  | {
      /** `mac` is behind the host `address` (IPv4). One entry a MAC. */
      readonly op: 'fdb-replace' | 'fdb-delete';
      readonly device: string;
      readonly mac: string;
      readonly address: string;
    }
  | {
      /** `mac` has the address (IPv4), and is not to be asked for. */
      readonly op: 'neighbour-replace' | 'neighbour-delete';
      readonly device: string;
      readonly mac: string;
      readonly address: string;
    }
  | { readonly op: 'link-delete'; readonly name: string }
  | {
      readonly op: 'link-set';
      readonly name: string;
      readonly mtu?: number;
      readonly up?: boolean;
      /** net.ipv4.conf.NAME.rp_filter, over netlink (IFLA_INET_CONF), because /proc/sys may be read-only. */
      readonly rpFilter?: 0 | 1 | 2;
      /** net.ipv4.conf.NAME.forwarding, likewise. */
      readonly forwarding?: boolean;
    }
  | {
      readonly op: 'address-add' | 'address-delete';
      readonly device: string;
      readonly address: string;
      readonly prefixLength: number;
      /** Never taken as the source of what leaves by another device. Absent: global. */
      readonly scope?: 'link';
    }
  | {
      /** NLM_F_REPLACE | NLM_F_CREATE: one atomic change. */
      readonly op: 'route-replace' | 'route-delete';
      readonly table: number;
      readonly destination: string;
      readonly metric?: number;
      /** Absent with type unreachable. */
      readonly device?: string;
      /** On the device's link, whatever addresses the device has (onlink). */
      readonly gateway?: string;
      readonly source?: string;
      readonly type?: 'unicast' | 'unreachable';
    }
  | {
      readonly op: 'rule-add' | 'rule-delete';
      readonly family: 4 | 6;
      readonly priority: number;
      readonly table: number;
      /** A CIDR, or an address: the prefix that holds it alone. */
      readonly source?: string;
      readonly tos?: number;
      readonly fwmark?: number;
      /** FRA_IP_PROTO, 1–255 */
      readonly ipProtocol?: number;
    };

/** An error of the kernel's, in its own words. */
export interface NativeError extends Error {
  readonly code: 'CORAX_NETLINK' | 'CORAX_NFT' | 'CORAX_SOCKET' | 'CORAX_PLUTO' | 'CORAX_CLOSED' | 'CORAX_QUEUE_FULL';
  /** Positive errno, 0 where there is none. */
  readonly errno: number;
  /** "EEXIST" */
  readonly errnoName: string;
  /** Extended ACK text (NLMSGERR_ATTR_MSG), or null. */
  readonly extAck: string | null;
}

/** A packet to send from a raw IPPROTO_UDP socket; it shares the tunnel port's NAT mapping. */
export interface RawPacket {
  readonly sourcePort: number;
  readonly address: string;
  readonly port: number;
  /** IP TTL, 1–255. */
  readonly ttl: number;
  /** At most 1,472 bytes. */
  readonly payload: Uint8Array;
}

export interface FanOptions {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly sockets: number;
  /** 1–255 */
  readonly ttl: number;
  readonly fwmark: number;
  readonly token: Uint8Array;
  /** Up to 60,000. */
  readonly lifeMs: number;
}

export interface SprayOptions {
  readonly id: number;
  readonly sourcePort: number;
  readonly address: string;
  /** Both included. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly token: Uint8Array;
}

export interface ProbeTarget {
  /** Chosen by the caller, unique, 0–2^32−1; names the target in every answer. */
  readonly id: number;
  /** IPv4 probe addresses. */
  readonly source: string;
  readonly destination: string;
  /** IP TOS byte: picks the plane by rule. */
  readonly tos: number;
  /** Between probes while all is well. After a lost one the next follow every fastIntervalMs. */
  readonly intervalMs: number;
  readonly fastIntervalMs: number;
  /** Bytes of the whole IP packet, 64 up; sent with DF. */
  readonly size: number;
  /** Carried in the payload, 0–255: the path that this node is on. The other end reads it as remoteState. */
  readonly state: number;
}

/** Results, one entry a target, as columns; counters run from the target's (re-)creation. */
export interface ProbeSnapshot {
  readonly count: number;
  readonly ids: Uint32Array;
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly lost: Float64Array;
  /** Answers that came after their probe was counted as lost; they stay lost. */
  readonly late: Float64Array;
  /** Milliseconds: the latest, smoothed (RFC 6298 2) and its mean deviation; NaN before the first answer. */
  readonly lastRttMs: Float64Array;
  readonly smoothedRttMs: Float64Array;
  readonly jitterMs: Float64Array;
  /** Unix time in seconds of the latest answer; 0 = none. */
  readonly lastReply: Float64Array;
  readonly lostInRow: Uint32Array;
  readonly answeredInRow: Uint32Array;
  /** Size of the largest probe answered since the target's size was last set. */
  readonly answeredSize: Uint32Array;
  /** Fraction of the latest up to 32 probes that were lost. */
  readonly loss: Float64Array;
}

export type NativeEvent =
  /** Links or addresses changed, or routes, rules or an overlay's entries by somebody else than this engine (coalesced over 50 ms). */
  | { readonly type: 'network' }
  /**
   * A STUN Binding response that came to the raw socket or the STUN tap. Of a flood some 100 are told at a time, the
   * rest is dropped without an overrun: whoever asked asks again.
   */
  | { readonly type: 'raw'; readonly address: string; readonly port: number; readonly payload: Uint8Array }
  /** lostInRow reached 1 or 3, or the first answer came (ever, or after a loss). */
  | {
      readonly type: 'probe';
      readonly id: number;
      readonly lostInRow: number;
      readonly answeredInRow: number;
      readonly rttMs: number | null;
    }
  /**
   * An echo request with our payload came in that has a target's addresses (the other way round) and TOS, by the device
   * by which that target's answers come in, and what it said differs from the last, or is the first since the target
   * was set.
   */
  | { readonly type: 'remote-state'; readonly address: string; readonly tos: number; readonly state: number }
  | XfrmEvent
  /**
   * A handshake that this node began was answered from there; milliseconds between the two packets on the device, by the
   * kernel's stamps. At most 500 a second are told.
   */
  | { readonly type: 'handshake'; readonly address: string; readonly port: number; readonly rttMs: number }
  /** This node answered handshakes of others: told at most ten times a second, however many there were. */
  | { readonly type: 'answered' }
  /** A message of another agent's came in by the tunnel. Of a flood some are dropped, as of 'raw'. */
  | { readonly type: 'rendezvous'; readonly address: string; readonly payload: Uint8Array }
  /** A fan ended: the first right probe came to its socket on localPort, sent to outsidePort; or none did, both are 0. */
  | { readonly type: 'fan'; readonly id: number; readonly localPort: number; readonly outsidePort: number }
  /** A spray ended: of all its probes so many were sent, and so many could not be. */
  | { readonly type: 'spray'; readonly id: number; readonly sent: number; readonly failed: number }
  /**
   * The kernel dropped netlink events (ENOBUFS), the queue to JavaScript was full, or a socket failed: look at
   * everything again. What failed is gone: watchNetwork(), watchXfrm(), rawOpen(), stunTap(), rendezvousOpen() and
   * probeSet() open it anew, the last without the targets of before, which probeSnapshot() then does not list.
   */
  | { readonly type: 'overrun' };

export interface EngineStats {
  /** netlink messages and bytes sent, by kind. */
  readonly wireguardMessages: number;
  /** Peers in them that were added, changed or removed; one that is split over messages counts in each. */
  readonly wireguardPeers: number;
  readonly routeMessages: number;
  readonly xfrmMessages: number;
  readonly netlinkBytes: number;
  readonly dumpsInterrupted: number;
  readonly queueLength: number;
  readonly probesSent: number;
  readonly nftTransactions: number;
  /** Initiations of WireGuard handshakes that came while the tap was open and that this node has not answered. */
  readonly handshakesUnanswered: number;
}

export interface Engine {
  /** Runs the operations in order, each on its own: one result an operation, null or its error. */
  network(ops: readonly NetworkOp[]): Promise<Array<NativeError | null>>;
  links(): Promise<Link[]>;
  addresses(): Promise<Address[]>;
  /** FDB entries of the device itself first; none where there is no such device. */
  neighbours(device: string): Promise<Neighbour[]>;
  /** Routes of one table, both families; with `defaultsOnly` the default routes alone. */
  routes(table: number, defaultsOnly?: boolean): Promise<RouteColumns>;
  rules(): Promise<Rule[]>;
  /** Which route the kernel would take (RTM_GETROUTE), with an fwmark if given. type 2 = the address is local. */
  routeTo(address: string, fwmark?: number): Promise<Route>;
  /** Reports 'network' events from now on. */
  watchNetwork(): Promise<void>;

  wgConfigure(
    device: string,
    settings: { readonly privateKey?: Uint8Array; readonly listenPort?: number; readonly fwmark?: number },
  ): Promise<void>;
  /** Packs peers into as few messages as the kernel takes; allowed IPs may be split over messages. */
  wgApply(device: string, peers: PeerColumns): Promise<{ readonly messages: number }>;
  wgSnapshot(device: string): Promise<WgSnapshot>;
  wgDelta(device: string): Promise<WgDelta>;
  /** Clears the peers first (faster, see docs/decisions), then deletes the device. No device is no error. */
  wgDestroy(device: string): Promise<void>;

  /** CORAX_NETLINK EPROTONOSUPPORT, here and below, where the kernel has no XFRM. */
  xfrmSnapshot(): Promise<XfrmStates>;
  xfrmDelta(): Promise<XfrmDelta>;
  xfrmPolicies(): Promise<XfrmPolicies>;
  /** One by one, states first: one result each, null or its error. What is gone already is no error. */
  xfrmDelete(what: XfrmDeletions): Promise<Array<NativeError | null>>;
  /** Reports 'xfrm' events from now on. */
  watchXfrm(): Promise<void>;

  /** One libnftables JSON transaction; resolves to its JSON output ("" if none). */
  nft(json: string): Promise<string>;

  /** Opens the raw socket: STUN Binding responses to these UDP destination ports are reported. */
  rawOpen(options: { readonly ports: readonly number[]; readonly fwmark: number }): Promise<void>;
  rawSend(packets: readonly RawPacket[]): Promise<Array<NativeError | null>>;

  /**
   * Opens or closes a tap on what comes in over IPv4, before this node's own firewall: STUN Binding responses to
   * any port are reported as 'raw' events, and delivered as if there were no tap. An answer that the raw socket
   * sees too comes twice. It looks at every packet that comes in: leave it open no longer than needed. Idempotent.
   */
  stunTap(on: boolean): Promise<void>;

  /**
   * Taps WireGuard's handshakes from and to these ports of this node on one device: 'handshake' and 'answered' events,
   * and {@link EngineStats.handshakesUnanswered}. IPv4 only. Replaces what was tapped before, null taps nothing; the same
   * again is no error. Of everything that leaves by the device the kernel makes a copy to look at, which costs it some
   * 100 ns a packet.
   */
  handshakeTap(options: { readonly device: string; readonly ports: readonly number[] } | null): Promise<void>;

  /**
   * Opens the rendezvous: 'rendezvous' events for what comes in by the device, from and to the port, of 1 to 64 bytes, to
   * the address, before this node's own firewall. IPv4. Replaces what was open before, null closes it; the same again is no
   * error. CORAX_SOCKET ENODEV, EADDRNOTAVAIL where device or address are not there.
   */
  rendezvousOpen(
    place: { readonly device: string; readonly address: string; readonly port: number } | null,
  ): Promise<void>;
  /** From there to the same port there; it leaves by the device whatever the routes say. */
  rendezvousSend(
    messages: ReadonlyArray<{ readonly address: string; readonly payload: Uint8Array }>,
  ): Promise<Array<NativeError | null>>;

  /**
   * Opens up to 512 UDP sockets towards one place, 32 every 5 ms, each with one packet of that TTL, and waits for a probe
   * with the token (8 bytes) to one of them: one 'fan' event, after which no socket is left. An id is taken until
   * openingEnd(); CORAX_SOCKET EEXIST, and EBUSY where 16 are.
   */
  fanOpen(options: FanOptions): Promise<void>;
  /** Sends up to 2,048 probes with the token by the raw socket, to as many random ports, 32 every 25 ms: one 'spray' event. */
  sprayStart(options: SprayOptions): Promise<void>;
  /** Ends the fan or spray, at whatever stage, and frees its id; none is no error. */
  openingEnd(id: number): Promise<void>;

  /** Adds or changes targets (by id; counters and RTT stay where source, destination and tos stay). */
  probeSet(targets: readonly ProbeTarget[]): Promise<void>;
  probeRemove(ids: readonly number[]): Promise<void>;
  probeSnapshot(): Promise<ProbeSnapshot>;

  stats(): EngineStats;
  /** Stops the thread, closes every socket, rejects what is pending with CORAX_CLOSED. Idempotent. */
  close(): void;
}

interface Addon {
  readonly Engine: new (onEvents: (events: readonly NativeEvent[]) => void) => Engine;
  readonly Pluto: new (socketPath: string, options?: PlutoOptions) => Pluto;
  readonly plutoLayouts: () => string[];
}

const require = createRequire(import.meta.url);

/** Loads the addon; throws CORAX_ADDON with what to do when it was not built. */
export function loadAddon(): Addon {
  try {
    return require('../build/Release/corax.node') as Addon;
  } catch (error) {
    const [why] = messageOf(error).split('\n');
    throw new CoraxError('CORAX_ADDON', `the native addon cannot be loaded: ${why}; run "npm run build:native"`, {
      cause: error,
    });
  }
}

export function openEngine(onEvents: (events: readonly NativeEvent[]) => void): Engine {
  return new (loadAddon().Engine)(onEvents);
}

/** The socket is opened anew for each command: pluto need not run yet. */
export function openPluto(socketPath: string, options?: PlutoOptions): Pluto {
  return new (loadAddon().Pluto)(socketPath, options);
}

/** Versions of pluto whose layout was tried, as version() says them: "4.8" … "4.15", "5.2". */
export function plutoLayouts(): readonly string[] {
  return loadAddon().plutoLayouts();
}
