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
import type { NativeError, NativeEvent } from './native/events.js';
import type { Address, Link, Neighbour, NetworkOp, Route, RouteColumns, Rule } from './native/network.js';
import type { FanOptions, ProbeSnapshot, ProbeTarget, RawPacket, SprayOptions } from './native/packets.js';
import type { Pluto, PlutoOptions } from './native/pluto.js';
import type { PeerColumns, WgDelta, WgSnapshot } from './native/wireguard.js';
import type { XfrmDeletions, XfrmDelta, XfrmPolicies, XfrmStates } from './native/xfrm.js';

export type * from './native/events.js';
export * from './native/network.js';
export type * from './native/packets.js';
export type * from './native/pluto.js';
export * from './native/wireguard.js';
export type * from './native/xfrm.js';

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
