/** What an IPsec peer is told beside what WireGuard's is: who stands for which prefixes, and who begins. */
import { type Ip, isIpv4 } from '../model/address.js';
import type { Site, SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { IpsecPart } from '../model/item.js';
import type { Plane } from '../model/names.js';
import { centralRelay, comesToMapped, isCorax, ownNatType, reAdds } from './relations.js';

/** Of the node that holds the gateway's tunnel; null where status does not name it. */
export function privateIpOf({ nodes }: Gateway, nodeName: string): Ip | null {
  return nodes.find((node) => node.nodeName === nodeName)?.privateIp ?? null;
}

/** Undefined with WireGuard, and where a name is missing (see {@link privateIpOf}). */
export function ipsecPart(site: SiteFacts, remote: Site, plane: Plane): IpsecPart | undefined {
  if (site.driver !== 'libreswan' || site.self === null) return undefined;
  const localName = privateIpOf(site.self.gateway, site.node);
  const remoteName = privateIpOf(remote.gateway, remote.endpoint.nodeName);
  if (localName === null || remoteName === null) return undefined;
  const addresses = site.underlay?.addresses ?? [];
  const host = addresses.includes(localName) ? localName : (addresses.find(isIpv4) ?? localName);
  return {
    host,
    localName,
    remoteName,
    subnets: site.subnets,
    ...(plane === 'relay' ? standsFor(site, remote) : { local: 'own', remote: 'carried' }),
    initiates: initiates(site, remote, plane),
    fixedPort: site.role === 'relay',
  };
}

/**
 * Between corax ends one connection an own subnet is enough for all that the central relay carries: from it to
 * anywhere. raven wants one for each pair of subnets.
 */
function standsFor(site: SiteFacts, remote: Site): Pick<IpsecPart, 'local' | 'remote'> {
  const central = centralRelay(site.relays)?.endpoint.nodeName ?? null;
  if (site.role === 'relay') {
    const relays = central === site.node && remote.endpoint.underNat;
    return { local: relays ? (isCorax(remote.endpoint) ? 'any' : 'edges') : 'own', remote: 'carried' };
  }
  const relays = central === remote.endpoint.nodeName;
  return { local: 'own', remote: relays && isCorax(remote.endpoint) ? 'any' : 'carried' };
}

/** raven's end always does, where it can be reached. */
function initiates(site: SiteFacts, remote: Site, plane: Plane): boolean {
  const { endpoint } = remote;
  const isEdge = site.role === 'edge';
  if (plane === 'relay' && isEdge !== endpoint.underNat) return isEdge;
  if (!isCorax(endpoint)) return false;
  const local = { natType: ownNatType(site), key: site.publicKey };
  const comes = comesToMapped(site.self?.endpoint ?? null, endpoint);
  return comes ?? reAdds(local, { natType: endpoint.natType, key: remote.key });
}
