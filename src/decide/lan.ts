/** Two edges behind one public address may be on one LAN: there they need no NAT to let them through. */
import { type HostPort, isIpv4, isUnicast } from '../model/address.js';
import type { Site, SiteFacts } from '../model/facts.js';
import { TUNNEL_PORT } from '../model/names.js';
import type { PathMemory } from './path.js';
import { RE_ADD_MS } from './timing.js';

/** Where the other end is on the LAN, if it is on this one; null where it cannot be. pluto follows nobody who moves. */
export function lanAddress(site: SiteFacts, { gateway, endpoint }: Site): HostPort | null {
  const own = site.self?.endpoint.hole ?? null;
  if (site.driver !== 'wireguard' || own === null || endpoint.hole?.ip !== own.ip) return null;
  const ip = gateway.nodes.find(({ nodeName }) => nodeName === endpoint.nodeName)?.privateIp ?? null;
  if (ip === null || !isIpv4(ip) || !isUnicast(ip) || site.underlay?.addresses.includes(ip)) return null;
  return { ip, port: TUNNEL_PORT };
}

/**
 * A carrier's NAT has many LANs behind one address, so a try turns from one place to the other and back each time the
 * peer is added again; what answers first has it, and WireGuard stays there.
 */
export function placeToTry(
  hole: HostPort | null,
  lan: HostPort | null,
  memory: PathMemory,
  now: number,
): HostPort | null {
  if (lan === null || hole === null || memory.state === 'direct') return hole;
  const elapsed = memory.state === 'punching' ? Math.max(0, now - memory.startedAt) : 0;
  return Math.floor(elapsed / RE_ADD_MS) % 2 === 0 ? lan : hole;
}
