/** The facts about the node as a whole, gathered into one value that decide can compare and read. */
import { overlayOf } from '../decide/members.js';
import { centralRelay, roleOf, siteOf, sortRelays } from '../decide/relations.js';
import { contains, type HostPort, hostPrefix, type Ip, isIpv4, type Prefix, prefixAddress } from '../model/address.js';
import type { DirectPolicy, Relay, SiteFacts, Underlay } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { PublicKey } from '../model/key.js';
import { DIRECT_ALL_LIMIT, type DriverName } from '../model/names.js';
import type { NatReport } from '../model/nat.js';
import type { NatPorts } from '../model/nat-profile.js';
import type { NodeAddress } from '../network/network.js';

export interface SiteInputs {
  readonly node: string;
  readonly driver: DriverName;
  readonly onePlane: boolean;
  readonly publicKey: PublicKey;
  readonly direct: DirectPolicy;
  readonly hardNat: boolean;
  readonly own: Gateway | null;
  readonly relays: Iterable<Relay>;
  readonly remoteEdges: number;
  readonly relayEndpoints: readonly HostPort[];
  readonly underlay: Underlay | null;
  readonly probeAddress: Ip | null;
  readonly nat: NatReport | null;
  readonly mapped: HostPort | null;
  readonly ports: NatPorts | null;
  readonly profiling: boolean;
  readonly stunHole: HostPort | null;
  readonly synced: boolean;
  readonly unread: boolean;
}

export function siteFacts(inputs: SiteInputs): SiteFacts {
  const { own, remoteEdges, ...rest } = inputs;
  const role = roleOf(own, inputs.node);
  return {
    ...rest,
    self: own === null ? null : siteOf(own),
    role,
    overlay: overlayOf(own, inputs.node, role),
    handover: null,
    relays: sortRelays(inputs.relays),
    subnets: own?.subnets ?? [],
    scale: remoteEdges === 0 ? 0 : 2 ** Math.ceil(Math.log2(remoteEdges)),
    crowded: remoteEdges > DIRECT_ALL_LIMIT,
  };
}

/**
 * Do remotes have to be looked at again? Where relays are seen, the own subnets and the own gateway's other nodes matter
 * to the node as a whole only.
 */
export function sameForRemotes(a: SiteFacts, b: SiteFacts): boolean {
  const key = ({ relayEndpoints: _, subnets: __, nat, self, overlay, ...rest }: SiteFacts) => {
    const own = self === null ? null : [self.endpoint, self.key];
    return JSON.stringify({ ...rest, own, via: overlay?.gateway ?? null, type: nat?.type ?? null });
  };
  return key(a) === key(b);
}

/**
 * The address that probes come from: one that the node holds in its own pod subnets anyway, so that allowed
 * IPs cover it. One that was published stays as long as it is held, because others know it.
 *
 * @param rejected an address that turned out not to be delivered here
 */
export function chooseProbeAddress(
  own: Gateway | null,
  node: string,
  held: readonly NodeAddress[],
  rejected: Ip | null,
): Ip | null {
  const self = own?.nodes.find((candidate) => candidate.nodeName === node);
  // A node's own address may be carried too: it is no pod's.
  const isPods = (subnet: Prefix) => isIpv4(subnet) && self !== undefined && subnet !== hostPrefix(self.privateIp);
  const subnets = (self?.subnets ?? []).filter(isPods);
  const published = own?.endpoints.find((endpoint) => endpoint.nodeName === node)?.probeAddress ?? null;
  const candidates = held
    .map((address) => address.ip)
    .filter((ip) => isIpv4(ip) && subnets.some((subnet) => contains(subnet, ip)))
    .sort();
  if (published !== null && candidates.includes(published)) return published;
  const [first] = candidates;
  if (first !== undefined) return first;
  const [subnet] = subnets;
  const lowest = subnet === undefined ? null : prefixAddress(subnet);
  return lowest === rejected ? null : lowest;
}

export function isCentral(site: SiteFacts): boolean {
  return site.role === 'relay' && centralRelay(site.relays)?.endpoint.nodeName === site.node;
}
