/** Who may connect to whom, and who does what in it. */
import { type Ip, sameHostPort } from '../model/address.js';
import type { Relay, Role, Site, SiteFacts } from '../model/facts.js';
import type { Gateway, TunnelEndpoint } from '../model/gateway.js';
import { type DriverName, TUNNEL_PORT } from '../model/names.js';
import type { NatType } from '../model/nat.js';
import { isMember } from './members.js';

/** The gateway's active endpoint, where it can be connected to: null while it has published no key. */
export function siteOf(gateway: Gateway): Site | null {
  const endpoint = gateway.active;
  if (endpoint === null || endpoint.publicKey === null) return null;
  return { gateway, endpoint, key: endpoint.publicKey };
}

/** A relay is an active endpoint that is not under NAT and says where it is. */
export function relayOf(gateway: Gateway): Relay | null {
  const site = siteOf(gateway);
  if (site === null || site.endpoint.underNat || site.endpoint.publicIp === null) return null;
  const port = site.endpoint.hole?.port ?? TUNNEL_PORT;
  return { ...site, address: { ip: site.endpoint.publicIp, port } };
}

/**
 * Relays in the order that all agents agree on: by node name in byte order; where two gateways claim one node,
 * by their names. Only what the store says counts, never who is alive as seen from here.
 */
export function sortRelays(relays: Iterable<Relay>): Relay[] {
  return [...relays].sort(
    (a, b) => compareBytes(a.endpoint.nodeName, b.endpoint.nodeName) || compareBytes(a.gateway.name, b.gateway.name),
  );
}

/** The one that carries what edges send each other, and publishes their holes: the last. */
export function centralRelay(relays: readonly Relay[]): Relay | null {
  return relays.at(-1) ?? null;
}

/** Node names are DNS-1123, hence ASCII, whose code units compare as bytes. */
function compareBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function roleOf(gateway: Gateway | null, node: string): Role {
  const active = gateway?.active;
  if (!gateway || !active) return 'idle';
  if (active.nodeName !== node) return isMember(gateway, node) ? 'member' : 'idle';
  return active.underNat ? 'edge' : 'relay';
}

/** Behind a hole that is mapped a NAT lets everybody in; else as it was measured here, else as the store has it. */
export function ownNatType(site: SiteFacts): NatType | null {
  const own = site.self?.endpoint ?? null;
  if (own !== null && isMapped(own)) return MAPPED_TYPE;
  return site.nat?.type ?? own?.natType ?? null;
}

export interface PairVerdict {
  readonly may: boolean;
  /** Only by what is opened with the other end's help, one way at a time: while one stands it may. */
  readonly byOpening?: true;
  /** One sentence. */
  readonly reason: string;
}

/** Do the two NATs, and what was chosen for this node, allow a direct path, by whatever strategy? */
export function mayBeDirect({ may, byOpening }: PairVerdict): boolean {
  return may || byOpening === true;
}

/** The proposal's figure 2: by the holes alone. An unknown type counts as port-restricted, the strictest that is not symmetric. */
export function pairVerdict(local: NatType | null, remote: NatType | null): PairVerdict {
  const [a, b] = [effectiveType(local), effectiveType(remote)];
  const symmetric = [a, b].filter((type) => type === 'Symmetric NAT').length;
  if (symmetric === 2) return { may: false, reason: 'both ends are behind a Symmetric NAT' };
  if (symmetric === 1 && (a === 'Port Restricted cone NAT' || b === 'Port Restricted cone NAT')) {
    const [mine, theirs] = [describeNat(local), describeNat(remote)];
    return { may: false, reason: `this end is behind ${mine}, the other behind ${theirs}: no packet gets in first` };
  }
  return { may: true, reason: `${describeNat(local)} with ${describeNat(remote)} can connect` };
}

/**
 * `Undefined` is raven's string for "no NAT or unknown". An endpoint that the user put under NAT is then
 * unknown: a STUN server in the same address space may have seen no translation.
 */
function effectiveType(type: NatType | null): NatType {
  return type === null || type === 'Undefined' ? 'Port Restricted cone NAT' : type;
}

export function describeNat(type: NatType | null): string {
  return type === null || type === 'Undefined' ? 'a NAT of unknown type' : `a ${type}`;
}

/** A router maps the hole to this endpoint: whoever sends there gets in, whatever the NAT does besides. */
export function isMapped({ mapped, hole }: TunnelEndpoint): boolean {
  return mapped !== null && sameHostPort(mapped, hole);
}

/** raven's word for it. */
export const MAPPED_TYPE: NatType = 'Full cone NAT';

/** Of two of which one's hole is mapped the other comes to it. Null: both or neither are. */
export function comesToMapped(own: TunnelEndpoint | null, remote: TunnelEndpoint): boolean | null {
  const [mine, theirs] = [own !== null && isMapped(own), isMapped(remote)];
  return mine === theirs ? null : theirs;
}

/** Which end does the re-adding: the symmetric one, else the one with the lower public key. */
export function reAdds(local: TunnelFacts, remote: TunnelFacts): boolean {
  const [mine, theirs] = [local.natType === 'Symmetric NAT', remote.natType === 'Symmetric NAT'];
  if (mine !== theirs) return mine;
  return local.key < remote.key;
}

/** A symmetric end adds its peer last: its mapping for this remote is made by its first packet only. */
export function comesLast(local: NatType | null, remote: NatType | null): boolean {
  return local === 'Symmetric NAT' && remote !== 'Symmetric NAT';
}

/**
 * A port-restricted NAT may be one that keeps what strangers sent it: the other end has to open it before it sees
 * a packet from here.
 */
export function holdsBack(remote: NatType | null): boolean {
  return effectiveType(remote) === 'Port Restricted cone NAT';
}

export interface TunnelFacts {
  readonly natType: NatType | null;
  readonly key: string;
}

/** corax says so in its endpoint's config; a raven remote answers probes by its own path and roams less. */
export function isCorax(endpoint: TunnelEndpoint): boolean {
  return endpoint.corax !== null;
}

/**
 * Two agents of ours with different drivers do not understand each other. Of raven's it cannot be told.
 *
 * @returns the other end's driver where it is another; null where it fits
 */
export function otherDriver(driver: DriverName, { corax }: TunnelEndpoint): DriverName | null {
  if (corax === null) return null;
  const theirs = corax.split(' ').includes('libreswan') ? 'libreswan' : 'wireguard';
  return theirs === driver ? null : theirs;
}

export function probeAddressOf(endpoint: TunnelEndpoint): Ip | null {
  return isCorax(endpoint) ? endpoint.probeAddress : null;
}
