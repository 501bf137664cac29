/** Inside a gateway: how its other nodes reach remote gateways through the one that holds the tunnel, and the way back. */
import { type Ip, isIpv4, isUnicast, type Prefix } from '../model/address.js';
import type { Overlay, Role, SiteFacts } from '../model/facts.js';
import type { Gateway, SiteNode } from '../model/gateway.js';
import type { FirewallItem, Item, RouteItem, RuleItem } from '../model/item.js';
import { RULE_PRIORITY, TABLES, UNREACHABLE_METRIC } from '../model/names.js';
import { OVERLAY, overlayAddress, overlayMac } from '../model/overlay.js';

const EVERYWHERE = '0.0.0.0/0' as Prefix;

/** Null: the node has none. A gateway with a single node has none, and no IPv6-only node: raven's is IPv4's. */
export function overlayOf(own: Gateway | null, node: string, role: Role): Overlay | null {
  const self = own?.nodes.find(({ nodeName }) => nodeName === node);
  if (!own || self === undefined || !canJoin(self) || role === 'idle') return null;
  if (role === 'member') {
    const gateway = own.nodes.find(({ nodeName }) => nodeName === own.active?.nodeName);
    return gateway === undefined ? null : { address: self.privateIp, gateway: gateway.privateIp, members: [] };
  }
  const members = distinct(self, own.nodes);
  return members.length === 0 ? null : { address: self.privateIp, gateway: null, members };
}

/** Can the node be a member of the gateway whose active endpoint is another node? */
export function isMember(own: Gateway, node: string): boolean {
  const self = own.nodes.find(({ nodeName }) => nodeName === node);
  const active = own.nodes.find(({ nodeName }) => nodeName === own.active?.nodeName);
  return self !== undefined && active !== undefined && self !== active && canJoin(self) && canJoin(active);
}

function canJoin({ privateIp }: SiteNode): boolean {
  return isIpv4(privateIp) && isUnicast(privateIp);
}

/** Private addresses that differ in the first octet only have one address on the overlay: the first of them has it. */
function distinct(self: SiteNode, nodes: readonly SiteNode[]): SiteNode[] {
  const taken = new Set<Ip>([overlayAddress(self.privateIp)]);
  return nodes.filter((node) => {
    if (node.nodeName === self.nodeName || !canJoin(node)) return false;
    const address = overlayAddress(node.privateIp);
    if (taken.has(address)) return false;
    taken.add(address);
    return true;
  });
}

/** The device, and who is behind it: on the gateway node all members, on a member the gateway node. */
export function overlayItems(overlay: Overlay, mtu: number): Item[] {
  const { address, gateway, members } = overlay;
  const others = gateway === null ? members.map(({ privateIp }) => privateIp) : [gateway];
  return [
    { kind: 'overlay', name: OVERLAY.device, address: overlayAddress(address), mac: overlayMac(address), mtu },
    ...others.flatMap((node): Item[] => [
      { kind: 'fdb', device: OVERLAY.device, mac: overlayMac(node), destination: node },
      { kind: 'neighbour', device: OVERLAY.device, address: overlayAddress(node), mac: overlayMac(node) },
    ]),
    markRule('overlay', OVERLAY.mark),
    ...(gateway === null ? members.flatMap(memberRoutes) : [route(TABLES.overlay, EVERYWHERE, gateway, null)]),
  ];
}

/** What the gateway's nodes send on by the tunnels of the node that held them until a moment ago. */
export function onwardRule(): RuleItem {
  return markRule('former', OVERLAY.onwardMark);
}

function markRule(table: 'overlay' | 'former', fwmark: number): RuleItem {
  const from = { source: null, tos: 0, fwmark, icmp: false } as const;
  return { kind: 'rule', priority: RULE_PRIORITY[table], family: 4, table: TABLES[table], ...from };
}

/** What came out of a tunnel goes to the member by the overlay, as its answers come back: no way differs from the other. */
function memberRoutes({ privateIp, subnets }: SiteNode): RouteItem[] {
  return subnets.filter(isIpv4).map((prefix) => route(TABLES.overlay, prefix, privateIp, null));
}

/**
 * On a member: a remote's subnets by the gateway node, and never in the clear. raven marks what goes there, before a
 * Service's address is translated; a route needs no mark, follows the translation, and gives the node's own packets
 * (ICMP errors above all) a source that the other end accepts.
 */
export function memberPath(site: SiteFacts, gateway: Ip, remote: Gateway): RouteItem[] {
  return remote.subnets.flatMap((prefix) => {
    const below: RouteItem = {
      kind: 'route',
      table: TABLES.path,
      prefix,
      metric: UNREACHABLE_METRIC,
      device: null,
      via: null,
      source: null,
    };
    return isIpv4(prefix) ? [route(TABLES.path, prefix, gateway, site.probeAddress), below] : [below];
  });
}

/** All that a member needs but the routes to each remote. */
export function memberItems(site: SiteFacts, overlay: Overlay, mtu: number): Item[] {
  const items = overlayItems(overlay, mtu);
  if (site.probeAddress !== null) {
    items.push({ kind: 'address', device: OVERLAY.device, address: site.probeAddress });
  }
  const rule = { kind: 'rule', source: null, tos: 0, fwmark: 0, icmp: false } as const;
  for (const family of [4, 6] as const) {
    items.push({ ...rule, family, priority: RULE_PRIORITY.path, table: TABLES.path });
  }
  items.push({
    kind: 'firewall',
    relays: null,
    relaying: false,
    localSubnets: site.subnets,
    devices: [OVERLAY.device],
    byPolicy: false,
    watchesTraffic: false,
    overlay: { device: OVERLAY.device, marks: [], handover: null, source: site.probeAddress },
  });
  return items;
}

/** On the gateway node, what of the firewall is for the members. */
export function gatewayMarks(
  { overlay, handover }: Pick<SiteFacts, 'overlay' | 'handover'>,
  devices: readonly string[],
): FirewallItem['overlay'] {
  if (overlay === null) return null;
  return { device: OVERLAY.device, marks: devices, handover: handover?.as ?? null, source: null };
}

function route(table: number, prefix: Prefix, node: Ip, source: Ip | null): RouteItem {
  const via = overlayAddress(node);
  return { kind: 'route', table, prefix, metric: 0, device: OVERLAY.device, via, source };
}
