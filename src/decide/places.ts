/**
 * Where another edge may be reached directly: where its NAT lets it be reached (the hole); on this LAN, if both are behind
 * one public address; and by IPv6, if both have a global address.
 */
import { type HostPort, isIpv4, isUnicast } from '../model/address.js';
import type { Site, SiteFacts } from '../model/facts.js';
import { TUNNEL_PORT } from '../model/names.js';
import type { PathMemory } from './path.js';
import { ownNatType, pairVerdict } from './relations.js';
import { RE_ADD_MS } from './timing.js';

/** In the order in which a try turns to them; none while none is known. */
export function placesToTry(site: SiteFacts, remote: Site): readonly HostPort[] {
  const { hole, natType } = remote.endpoint;
  const [lan, global] = [lanAddress(site, remote), globalAddress(site, remote)];
  const isOpen = hole !== null && pairVerdict(ownNatType(site), natType).may;
  return [
    ...(lan === null ? [] : [lan]),
    // Twice: where one end is told a little later than the other, the first packet of all finds a closed firewall.
    ...(global === null ? [] : [global, global]),
    ...(isOpen ? [hole] : []),
  ];
}

/** Where the other end is on the LAN, if it is on this one; null where it cannot be. pluto follows nobody who moves. */
export function lanAddress(site: SiteFacts, { gateway, endpoint }: Site): HostPort | null {
  const own = site.self?.endpoint.hole ?? null;
  if (site.driver !== 'wireguard' || own === null || endpoint.hole?.ip !== own.ip) return null;
  const ip = gateway.nodes.find(({ nodeName }) => nodeName === endpoint.nodeName)?.privateIp ?? null;
  if (ip === null || !isIpv4(ip) || !isUnicast(ip) || site.underlay?.addresses.includes(ip)) return null;
  return { ip, port: TUNNEL_PORT };
}

/** What the other end says of itself counts once this end has said so too: both begin at about the same time. */
export function globalAddress(site: SiteFacts, { endpoint }: Site): HostPort | null {
  const own = site.self?.endpoint.ipv6 ?? null;
  if (site.driver !== 'wireguard' || own === null || endpoint.ipv6 === null) return null;
  return endpoint.ipv6.ip === own.ip ? null : endpoint.ipv6;
}

/**
 * A carrier's NAT has many LANs behind one address, and not every IPv6 leads anywhere: a try turns from one place to the
 * next each time the peer is added again. What answers first has it, and WireGuard stays there. A try that failed has the
 * next begin elsewhere, since a place may let handshakes through and nothing of full size.
 */
export function placeToTry(places: readonly HostPort[], memory: PathMemory, now: number): HostPort | null {
  if (memory.state === 'direct') return places.at(-1) ?? null;
  const elapsed = memory.state === 'punching' ? Math.max(0, now - memory.startedAt) : 0;
  return places[(Math.floor(elapsed / RE_ADD_MS) + memory.failures) % places.length] ?? null;
}
