/** Gateways, sites and facts for the tests of decide and agent; everything not said is plain and healthy. */

import { relayOf, siteOf, sortRelays } from '#src/decide/relations.js';
import { type HostPort, type Ip, type Prefix, parseIp, parsePrefix } from '#src/model/address.js';
import type { PeerFacts, ProbeFacts, RemoteFacts, Site, SiteFacts } from '#src/model/facts.js';
import type { Gateway, TunnelEndpoint } from '#src/model/gateway.js';
import { type PublicKey, publicKeyFromBytes } from '#src/model/key.js';
import type { NatType } from '#src/model/nat.js';

export const FULL: NatType = 'Full cone NAT';
export const RESTRICTED: NatType = 'Restricted cone NAT';
export const PORT: NatType = 'Port Restricted cone NAT';
export const SYMMETRIC: NatType = 'Symmetric NAT';
export const UNDEFINED: NatType = 'Undefined';

export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === null) throw new TypeError(`${text} is no address`);
  return parsed;
}

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === null) throw new TypeError(`${text} is no prefix`);
  return parsed;
}

export function at(text: string, port = 4500): HostPort {
  return { ip: ip(text), port };
}

/** A different key for each number. */
export function keyOf(number: number): PublicKey {
  const bytes = new Uint8Array(32).fill(7);
  new DataView(bytes.buffer).setUint32(0, number);
  return publicKeyFromBytes(bytes) as PublicKey;
}

export interface GatewayOptions {
  readonly name?: string;
  readonly node?: string;
  readonly number?: number;
  readonly subnets?: readonly string[];
  readonly underNat?: boolean;
  readonly natType?: NatType | null;
  readonly hole?: HostPort | null;
  readonly publicIp?: string | null;
  readonly publicPort?: number;
  readonly key?: PublicKey | null;
  readonly probeAddress?: string | null;
  readonly corax?: string | null;
  readonly onePlane?: boolean;
  readonly ipv6?: HostPort | null;
  readonly created?: number | null;
  readonly mapped?: HostPort | null;
  readonly config?: Readonly<Record<string, string>>;
  /** No endpoint at all, or one that is not active. */
  readonly active?: boolean;
}

/** By default the edge number n: 10.0.n.0/24, hole 198.51.100.n:4500, port-restricted. */
export function gateway(number: number, options: GatewayOptions = {}): Gateway {
  const name = options.name ?? `gw-${number}`;
  const nodeName = options.node ?? `node-${number}`;
  const [high, low] = [number >> 8, number & 255];
  const subnets = (options.subnets ?? [`10.${high}.${low}.0/24`]).map(prefix);
  const hole = options.hole === undefined ? at(`198.51.${100 + high}.${low}`) : options.hole;
  const publicIp = options.publicIp === undefined ? (hole?.ip ?? null) : options.publicIp;
  const endpoint: TunnelEndpoint = {
    nodeName,
    underNat: options.underNat ?? true,
    natType: options.natType === undefined ? PORT : options.natType,
    hole,
    publicIp: publicIp === null ? null : ip(publicIp),
    publicPort: options.publicPort ?? hole?.port ?? null,
    mapped: options.mapped ?? null,
    publicKey: options.key === undefined ? keyOf(number) : options.key,
    probeAddress: options.probeAddress === null ? null : ip(options.probeAddress ?? `10.${high}.${low}.1`),
    corax: options.corax === undefined ? '0.1.0' : options.corax,
    onePlane: options.onePlane ?? false,
    ipv6: options.ipv6 ?? null,
    config: options.config ?? {},
  };
  const active = options.active ?? true;
  return {
    name,
    uid: null,
    created: options.created ?? null,
    resourceVersion: null,
    labels: {},
    endpoints: [endpoint],
    activeNodes: active ? [nodeName] : [],
    active: active ? endpoint : null,
    nodes: [{ nodeName, privateIp: ip('192.0.2.9'), subnets }],
    subnets,
  };
}

/** A relay: 10.200.n.0/24, public address 203.0.113.n. */
export function relay(number: number, options: GatewayOptions = {}): Gateway {
  return gateway(1000 + number, {
    name: `relay-${number}`,
    node: `relay-node-${number}`,
    subnets: [`10.200.${number}.0/24`],
    underNat: false,
    natType: UNDEFINED,
    hole: at(`203.0.113.${number}`),
    probeAddress: `10.200.${number}.1`,
    ...options,
  });
}

export function asSite(of: Gateway): Site {
  const site = siteOf(of);
  if (site === null) throw new TypeError(`${of.name} has no active endpoint with a key`);
  return site;
}

/** The facts of a node of `own`, which has its part: edge or relay. */
export function siteFacts(own: Gateway, relays: readonly Gateway[], more: Partial<SiteFacts> = {}): SiteFacts {
  const site = asSite(own);
  return {
    node: site.endpoint.nodeName,
    driver: 'wireguard',
    onePlane: false,
    self: site,
    role: site.endpoint.underNat ? 'edge' : 'relay',
    overlay: null,
    handover: null,
    publicKey: site.key,
    probeAddress: site.endpoint.probeAddress,
    underlay: { device: 'eth0', mtu: 1500, addresses: [ip('192.168.7.2')], ipv6: null },
    nat: null,
    ports: null,
    profiling: false,
    relays: sortRelays(relays.flatMap((of) => relayOf(of) ?? [])),
    relayEndpoints: [],
    synced: true,
    unread: false,
    direct: 'auto',
    hardNat: true,
    subnets: own.subnets,
    scale: 4,
    crowded: false,
    mapped: null,
    stunHole: null,
    ...more,
  };
}

export function peerFacts(more: Partial<PeerFacts> = {}): PeerFacts {
  return { endpoint: null, lastHandshake: 0, session: null, rxBytes: 0, txBytes: 0, receivedAt: 0, sentAt: 0, ...more };
}

export function probeFacts(more: Partial<ProbeFacts> = {}): ProbeFacts {
  return {
    sent: 0,
    received: 0,
    lost: 0,
    rttMs: null,
    jitterMs: null,
    loss: null,
    lostInRow: 0,
    answeredInRow: 0,
    answeredSize: 0,
    generation: 0,
    ...more,
  };
}

export const UNSEEN: RemoteFacts = {
  relay: { peer: null, probe: null },
  direct: { peer: null, probe: null },
  remotePath: null,
};
