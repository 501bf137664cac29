/** What ought to be in force for the node as a whole, and for one remote gateway. */
import { hostPrefix, isIpv4, type Prefix } from '../model/address.js';
import type { Relay, Site, SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { CarryItem, Item, PeerItem, ProbeItem, RouteItem, RuleItem } from '../model/item.js';
import type { PublicKey } from '../model/key.js';
import {
  type Devices,
  DIRECT_PORT,
  DRIVER_DEVICES,
  MTU_OVERHEAD,
  type Plane,
  PROBE_TOS,
  RULE_PRIORITY,
  TABLES,
  TUNNEL_FWMARK,
  TUNNEL_PORT,
  UNREACHABLE_METRIC,
} from '../model/names.js';
import { OVERLAY } from '../model/overlay.js';
import { isOnDemand } from './demand.js';
import { ipsecPart } from './ipsec.js';
import { gatewayMarks, memberItems, onwardRule, overlayItems } from './members.js';
import { type PathMemory, planeOf, wantsPeer } from './path.js';
import { centralRelay, probeAddressOf } from './relations.js';
import * as timing from './timing.js';

/** IPv4's least MTU that hosts must take is 576, but inside a tunnel nothing sane is under IPv6's 1,280. */
const MIN_TUNNEL_MTU = 1280;
/** Bytes of a probe that only asks whether the plane lives. */
const PROBE_SIZE = 64;

export function tunnelMtu(site: SiteFacts): number {
  return Math.max(MIN_TUNNEL_MTU, (site.underlay?.mtu ?? 1500) - MTU_OVERHEAD);
}

/** What fits into the tunnel, and into VXLAN on the way to it. */
export function overlayMtu(site: SiteFacts): number {
  return Math.min(tunnelMtu(site), (site.underlay?.mtu ?? 1500) - OVERLAY.overhead);
}

/** Has this node a direct plane at all? */
export function hasDirectPlane(site: SiteFacts): boolean {
  return site.role === 'edge' && site.direct !== 'none' && !site.onePlane;
}

export function siteItems(site: SiteFacts): Item[] {
  const { overlay } = site;
  if (site.role === 'idle') return [];
  if (site.role === 'member') return overlay === null ? [] : memberItems(site, overlay, overlayMtu(site));
  const planes: Plane[] = hasDirectPlane(site) ? ['relay', 'direct'] : ['relay'];
  const items: Item[] = [];
  for (const plane of planes) {
    const listenPort = plane === 'relay' || site.driver === 'libreswan' ? TUNNEL_PORT : DIRECT_PORT;
    const name = devicesOf(site)[plane];
    items.push({ kind: 'device', plane, name, listenPort, mtu: tunnelMtu(site) });
    if (site.probeAddress !== null) items.push(...probePlane(plane, name, site.probeAddress));
  }
  for (const family of [4, 6] as const) items.push(...familyRules(site, family));
  if (overlay !== null) items.push(...overlayItems(overlay, overlayMtu(site)));
  if (site.handover?.as === 'former') items.push(onwardRule());
  // A set of relays that is not known yet would send the relays' own packets to the direct plane.
  if (site.synced || site.relays.length > 0) items.push(firewall(site, planes));
  return items;
}

function devicesOf(site: SiteFacts): Devices {
  return DRIVER_DEVICES[site.driver];
}

/** The probe address on the device, and the rule and table that keep its probes on their plane. */
function probePlane(plane: Plane, device: string, source: NonNullable<SiteFacts['probeAddress']>): Item[] {
  const rule: RuleItem = {
    kind: 'rule',
    priority: RULE_PRIORITY[plane],
    family: 4,
    table: TABLES[plane],
    source,
    tos: PROBE_TOS[plane],
    fwmark: 0,
    icmp: true,
  };
  // Without it a probe whose plane has no route would go by the path, and its answer would prove nothing.
  const bottom = route(TABLES[plane], '0.0.0.0/0' as Prefix, null, null);
  return [{ kind: 'address', device, address: source }, rule, bottom];
}

/**
 * pluto's SAs mark what they encrypt and what they decrypt alike, so that with libreswan a mark does not tell the
 * tunnel's own packets: no subnet that covers a gateway's address is admitted in any case.
 */
function familyRules({ driver }: SiteFacts, family: 4 | 6): RuleItem[] {
  const common = { kind: 'rule', family, source: null, tos: 0, icmp: false } as const;
  const path: RuleItem = { ...common, priority: RULE_PRIORITY.path, table: TABLES.path, fwmark: 0 };
  if (driver === 'libreswan') return [path];
  return [{ ...common, priority: RULE_PRIORITY.underlay, table: 254, fwmark: TUNNEL_FWMARK }, path];
}

function firewall(site: SiteFacts, planes: readonly Plane[]): Item {
  const known = new Map(
    [...site.relays.map((relay) => relay.address), ...site.relayEndpoints].map((at) => [`${at.ip} ${at.port}`, at]),
  );
  const devices = planes.map((plane) => devicesOf(site)[plane]);
  const relays = [...known.keys()].sort().flatMap((key) => known.get(key) ?? []);
  return {
    kind: 'firewall',
    relays: planes.includes('direct') && site.driver === 'wireguard' ? relays : null,
    relaying: site.role === 'relay',
    localSubnets: site.subnets,
    devices,
    byPolicy: site.onePlane,
    watchesTraffic: isOnDemand(site),
    overlay: gatewayMarks(site, devices),
  };
}

/**
 * For a remote whose tunnel ends here: any remote on a relay, a relay on an edge.
 *
 * @param carrier the peer that has its subnets
 */
export function neighbourItems(
  site: SiteFacts,
  remote: Site,
  endpoint: PeerItem['endpoint'],
  carrier: PeerItem['key'] = remote.key,
): Item[] {
  const intervalMs = neighbourInterval(site);
  return [
    peer(site, 'relay', remote, endpoint),
    ...carries('relay', remote.gateway, carrier),
    ...pathRoutes(site, remote.gateway, 'relay'),
    ...probing(site, remote, {
      plane: 'relay',
      path: 'relay',
      intervalMs,
      fastIntervalMs: Math.min(intervalMs, timing.PROBE_FAST_MS),
      size: PROBE_SIZE,
      generation: 0,
    }),
  ];
}

/** For another edge, seen from an edge: through the central relay, and directly as its path says. */
export function remoteEdgeItems(site: SiteFacts, remote: Site, memory: PathMemory, candidate: Candidate): Item[] {
  const central = centralRelay(site.relays);
  const path = planeOf(memory);
  const direct = hasDirectPlane(site) && wantsPeer(memory, candidate.now);
  // What only lingers is heard, and neither sent to nor probed: so the other end soon finds that it is alone there.
  const heard = direct || (hasDirectPlane(site) && candidate.lingers);
  const items: Item[] = heard
    ? [peer(site, 'direct', remote, candidate.target), ...carries('direct', remote.gateway, remote.key)]
    : [];
  // No way there, and none in the clear either.
  if (central === null && !direct) return [...items, ...remote.gateway.subnets.map(unreachable)];
  items.push(...pathRoutes(site, remote.gateway, path));
  if (central !== null) {
    if (candidate.carrier !== null) items.push(...carries('relay', remote.gateway, candidate.carrier));
    const intervalMs =
      path === 'relay' && site.scale <= timing.IDLE_PROBES_PER_S ? timing.PROBE_MS : idleInterval(site);
    const fastIntervalMs = fastInterval(memory, intervalMs);
    const plan = { plane: 'relay', path, intervalMs, fastIntervalMs, size: PROBE_SIZE, generation: 0 } as const;
    items.push(...probing(site, remote, plan));
  }
  // What is sent before there is a session is lost, and would count against the plane long after.
  if (direct && (path === 'direct' || candidate.session))
    items.push(...probing(site, remote, directProbe(site, memory, candidate)));
  return items;
}

export interface Candidate {
  readonly now: number;
  /** The central relay's peer that carries; null: there is no relay. */
  readonly carrier: PublicKey | null;
  readonly target: PeerItem['endpoint'];
  /** The direct peer has a session. */
  readonly session: boolean;
  /** Probes of the direct plane answered in a row. */
  readonly answeredInRow: number;
  /** The direct peer is left to the other end a little longer ({@link PathDecision.lingers}). */
  readonly lingers: boolean;
}

/** Until the path is direct its probes are full-size: NATs that drop fragments must show before traffic is lost. */
function directProbe(site: SiteFacts, memory: PathMemory, candidate: Candidate): ProbePlan {
  const isDirect = memory.state === 'direct';
  const eager = !isDirect && candidate.answeredInRow < timing.ANSWERS_NEEDED && memory.pings !== 'unanswered';
  const intervalMs = eager ? timing.PROBE_CANDIDATE_MS : timing.PROBE_MS;
  return {
    plane: 'direct',
    path: planeOf(memory),
    intervalMs,
    fastIntervalMs: fastInterval(memory, intervalMs),
    size: isDirect ? PROBE_SIZE : tunnelMtu(site),
    generation: memory.generation,
  };
}

/** Probes that nobody answers are all lost, and would go fast for ever. */
function fastInterval(memory: PathMemory, intervalMs: number): number {
  return memory.pings === 'unanswered' ? intervalMs : timing.PROBE_FAST_MS;
}

type ProbePlan = Pick<ProbeItem, 'plane' | 'path' | 'intervalMs' | 'fastIntervalMs' | 'size' | 'generation'>;

/** The probe of one plane and the route that keeps it there; nothing towards who would answer by its own path. */
function probing(site: SiteFacts, remote: Site, plan: ProbePlan): Item[] {
  const destination = probeAddressOf(remote.endpoint);
  if (site.probeAddress === null || destination === null || !isIpv4(destination)) return [];
  const { probeAddress: source } = site;
  const probe: ProbeItem = {
    kind: 'probe',
    gateway: remote.gateway.name,
    source,
    destination,
    ...plan,
  };
  return [route(TABLES[plan.plane], hostPrefix(destination), devicesOf(site)[plan.plane], source), probe];
}

function idleInterval(site: SiteFacts): number {
  const fair = (site.scale / timing.IDLE_PROBES_PER_S) * 1000;
  return Math.max(timing.PROBE_IDLE_MS, Math.ceil(fair / 1000) * 1000);
}

/** pluto follows nobody who moves: a tunnel to a relay that is lost is to be noticed, and made anew, soon. */
function neighbourInterval(site: SiteFacts): number {
  if (site.handover?.as === 'next')
    return Math.max(timing.HANDOVER_PROBE_MS, Math.ceil((site.scale / timing.HANDOVER_PROBES_PER_S) * 1000));
  return site.driver === 'libreswan' && site.role === 'edge' ? timing.PROBE_MS : idleInterval(site);
}

export function peer(site: SiteFacts, plane: Plane, remote: Site, endpoint: PeerItem['endpoint']): PeerItem {
  const ipsec = ipsecPart(site, remote, plane);
  const item: PeerItem = { kind: 'peer', plane, gateway: remote.gateway.name, key: remote.key, endpoint };
  return ipsec === undefined ? item : { ...item, ipsec };
}

function carries(plane: Plane, gateway: Gateway, key: Relay['key']): CarryItem[] {
  return gateway.subnets.map((prefix) => ({ kind: 'carry', plane, prefix, peer: key }));
}

function pathRoutes(site: SiteFacts, gateway: Gateway, plane: Plane): RouteItem[] {
  return gateway.subnets.flatMap((prefix) => [
    route(TABLES.path, prefix, devicesOf(site)[plane], isIpv4(prefix) ? site.probeAddress : null),
    unreachable(prefix),
  ]);
}

function unreachable(prefix: Prefix): RouteItem {
  return route(TABLES.path, prefix, null, null);
}

function route(table: number, prefix: Prefix, device: string | null, source: RouteItem['source']): RouteItem {
  const metric = device === null ? UNREACHABLE_METRIC : 0;
  return { kind: 'route', table, prefix, metric, device, via: null, source };
}
