/** What an IPsec peer is told beside what WireGuard's is: who stands for which prefixes, and who begins. */
import { type Ip, isIpv4 } from '../model/address.js';
import type { Site, SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { IpsecPart } from '../model/item.js';
import { IF_IDS, type Plane } from '../model/names.js';
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
    ifId: site.onePlane ? null : IF_IDS[plane],
    ...(plane === 'relay' ? standsFor(site, remote) : { local: 'own', remote: 'carried' }),
    initiates: initiates(site, remote, plane),
    fixedPort: site.role === 'relay',
  };
}

/**
 * One connection an own subnet is enough for all that the central relay carries: from it to anywhere. raven wants one
 * for each pair of subnets, and so does a kernel without XFRM interfaces: by a policy to anywhere it would encrypt all that
 * pods send, to each other too.
 */
function standsFor(site: SiteFacts, remote: Site): Pick<IpsecPart, 'local' | 'remote'> {
  const central = centralRelay(site.relays)?.endpoint.nodeName ?? null;
  if (site.role === 'relay') {
    const relays = central === site.node && remote.endpoint.underNat;
    return { local: relays ? (standsForAny(site, remote) ? 'any' : 'edges') : 'own', remote: 'carried' };
  }
  const relays = central === remote.endpoint.nodeName;
  return { local: 'own', remote: relays && standsForAny(site, remote) ? 'any' : 'carried' };
}

function standsForAny({ onePlane }: SiteFacts, { endpoint }: Site): boolean {
  return isCorax(endpoint) && !onePlane && !endpoint.onePlane;
}

/** What leaves these two edges the relay plane alone, and what would change that. */
export interface OnePlane {
  readonly reason: string;
  readonly remedy: string;
}

/** A connection for their two subnets alone has to be on another plane than the one by the relay, or to take its place. */
export function onePlaneOf(site: SiteFacts, remote: Site): OnePlane | null {
  if (site.driver !== 'libreswan') return null;
  const relay = centralRelay(site.relays)?.endpoint ?? null;
  const lacking = site.onePlane
    ? 'this node'
    : remote.endpoint.onePlane
      ? `node ${remote.endpoint.nodeName}`
      : relay?.onePlane
        ? 'the central relay'
        : null;
  if (lacking !== null) {
    const reason = `the kernel of ${lacking} has no XFRM interfaces: that leaves one plane`;
    return { reason, remedy: `XFRM interfaces in the kernel of ${lacking} (module xfrm_interface)` };
  }
  if (relay === null || isCorax(relay)) return null;
  return {
    reason: "the central relay is raven-agent's, or has not said otherwise yet: with libreswan that leaves one plane",
    remedy: 'corax on the central relay',
  };
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
