/** Everything about one remote gateway: what ought to be in force, what is to be done, and why. */
import { formatHostPort, type HostPort, isIpv4, sameHostPort } from '../model/address.js';
import type { PlaneFacts, RemoteFacts, Site, SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { Item } from '../model/item.js';
import type { NatType } from '../model/nat.js';
import type { OpeningMemory } from '../model/opening.js';
import type { Deed } from '../model/step.js';
import { pairName } from './backoff.js';
import { askedUntil } from './demand.js';
import { neighbourItems, peer as peerItem, remoteEdgeItems } from './desired.js';
import {
  carrierOf,
  formerDirectItems,
  formerRelayItems,
  handoverWakeAt,
  handoverWays,
  hopOf,
  nudge,
} from './handover.js';
import { natVerdict, openedOf, openingDeeds, openingOf, outsideItems } from './hard-nat.js';
import { hasSession } from './health.js';
import { onePlaneOf, privateIpOf } from './ipsec.js';
import { memberPath } from './members.js';
import { currentChoice, currentProbe, decidePath, newPath, type PathInput, type PathMemory } from './path.js';
import { globalAddress, lanAddress, placesToTry, placeToTry } from './places.js';
import { holeFields } from './publish.js';
import {
  centralRelay,
  comesLast,
  comesToMapped,
  holdsBack,
  isCorax,
  otherDriver,
  ownNatType,
  type PairVerdict,
  reAdds,
  relayOf,
  siteOf,
} from './relations.js';
import { isWithin, LOST_IN_ROW, LOST_MS, RE_ADD_MS, SILENT_MS } from './timing.js';

/** How a remote is reached: `none` says why not. */
export type Relation =
  | { readonly kind: 'none'; readonly reason: string }
  /** Its tunnel ends at this node's. */
  | { readonly kind: 'neighbour'; readonly remote: Site; readonly endpoint: HostPort | null }
  /** Another edge, by the central relay and maybe directly. */
  | { readonly kind: 'edge'; readonly remote: Site };

export interface RemoteDecision {
  readonly items: readonly Item[];
  readonly deeds: readonly Deed[];
  /** Null but for edge to edge. */
  readonly path: PathMemory | null;
  /** Unix milliseconds; Infinity = only when something changes. */
  readonly wakeAt: number;
  /** Something a person should know, or null. */
  readonly complaint: string | null;
  /** Null but for edge to edge, and where the facts have none. */
  readonly opening: OpeningMemory | null;
  /** What goes there is on another node's way for now ({@link handoverWays}). */
  readonly detour: boolean;
}

const NOTHING: RemoteDecision = {
  items: [],
  deeds: [],
  path: null,
  wakeAt: Number.POSITIVE_INFINITY,
  complaint: null,
  opening: null,
  detour: false,
};

export function relationTo(site: SiteFacts, gateway: Gateway): Relation {
  if (site.role === 'member')
    return {
      kind: 'none',
      reason: `by ${site.self?.endpoint.nodeName ?? 'the node'}, which holds this gateway's tunnel`,
    };
  if (site.role === 'idle' || site.self === null) return { kind: 'none', reason: 'this node holds no tunnel' };
  const remote = siteOf(gateway);
  if (gateway.active === null) return { kind: 'none', reason: 'the gateway has no active tunnel endpoint' };
  if (remote === null)
    return { kind: 'none', reason: `node ${gateway.active.nodeName} has published no public key yet` };
  const theirs = otherDriver(site.driver, remote.endpoint);
  if (theirs !== null) return { kind: 'none', reason: `its driver is ${theirs}, and this node's is ${site.driver}` };
  if (site.driver === 'libreswan') {
    const unnamed = [site.self, remote].find((end) => privateIpOf(end.gateway, end.endpoint.nodeName) === null);
    if (unnamed !== undefined)
      return { kind: 'none', reason: `status says no privateIP of node ${unnamed.endpoint.nodeName}` };
  }
  const relay = relayOf(gateway);
  if (relay !== null) return { kind: 'neighbour', remote, endpoint: relay.address };
  if (!remote.endpoint.underNat) return { kind: 'none', reason: 'the relay says neither publicIP nor an own address' };
  if (site.role === 'relay') return { kind: 'neighbour', remote, endpoint: remote.endpoint.hole };
  return { kind: 'edge', remote };
}

export function decideRemote(
  site: SiteFacts,
  gateway: Gateway,
  memory: PathMemory | null,
  facts: RemoteFacts,
  now: number,
): RemoteDecision {
  const via = site.role === 'member' ? (site.overlay?.gateway ?? null) : null;
  if (via !== null && gateway.active !== null) return { ...NOTHING, items: memberPath(site, via, gateway) };
  const relation = relationTo(site, gateway);
  if (relation.kind === 'none') return NOTHING;
  const decision =
    relation.kind === 'neighbour'
      ? decideNeighbour(site, relation.remote, relation.endpoint, facts, now)
      : decideEdge(site, relation.remote, memory ?? newPath(now), facts, now);
  const next = relation.kind === 'neighbour' ? relation.remote : centralRelay(site.relays);
  const { items, detour, ...ways } = handoverWays(site, next, hopOf(facts), decision.items, now);
  const wakeAt = Math.min(decision.wakeAt, ways.wakeAt, handoverWakeAt(facts, now));
  return { ...decision, items, detour, wakeAt };
}

function decideNeighbour(
  site: SiteFacts,
  remote: Site,
  endpoint: HostPort | null,
  facts: RemoteFacts,
  now: number,
): RemoteDecision {
  const items = neighbourItems(site, remote, endpoint, carrierOf(site, remote, facts, now));
  items.push(...formerRelayItems(site, remote, facts, now));
  const { peer } = facts.relay;
  // An edge asks a relay, and not the other way: two that ask in step forget each other's answers.
  const nudged = remote.endpoint.underNat ? null : nudge(site, peerItem(site, 'relay', remote, endpoint), facts, now);
  const aimed =
    nudged !== null && Number.isFinite(nudged.wakeAt)
      ? nudged
      : (renewLost(site, remote, endpoint, facts.relay, now) ?? aimSilent(site, remote, endpoint, peer, now));
  const seen = peer !== null && peer.lastHandshake > 0 ? peer.endpoint : null;
  const fields = holeFields(site, remote, seen);
  if (fields === null) return { ...NOTHING, items, ...aimed };
  if (typeof fields === 'string') return { ...NOTHING, items, ...aimed, complaint: `hole not published: ${fields}` };
  // This relay's own sight is what gets published: the peer is not aimed at what it is about to replace.
  const publish: Deed = { op: 'publish', gateway: remote.gateway.name, nodeName: remote.endpoint.nodeName, fields };
  return { ...NOTHING, items, deeds: [publish] };
}

/**
 * pluto follows nobody who moves, and takes some 20 s to find out: when the NAT before an edge has forgotten it, its
 * tunnel to the relay is made anew. How often is the driver's to say, which knows what it has begun.
 */
function renewLost(site: SiteFacts, remote: Site, endpoint: HostPort | null, plane: PlaneFacts, now: number) {
  const { peer, probe } = plane;
  if (site.driver !== 'libreswan' || site.role !== 'edge' || peer === null || probe === null) return null;
  const lost = probe.received > 0 && probe.lostInRow >= LOST_IN_ROW;
  if (!lost) return null;
  // Nothing else wakes this up: of what goes on being lost no more is told.
  if (isWithin(LOST_MS, peer.receivedAt, now)) return { wakeAt: Math.min(peer.receivedAt, now) + LOST_MS + 1 };
  const item = peerItem(site, 'relay', remote, endpoint);
  const again: Deed = { op: 're-add', peer: item, carries: remote.gateway.subnets, seenRxBytes: peer.rxBytes };
  return { deeds: [again], wakeAt: now + RE_ADD_MS };
}

/** WireGuard follows a peer that moves, but not one that has moved unheard: where it says it is now counts then. */
function aimSilent(
  site: SiteFacts,
  remote: Site,
  endpoint: HostPort | null,
  peer: RemoteFacts['relay']['peer'],
  now: number,
) {
  if (peer === null || endpoint === null || sameHostPort(peer.endpoint, endpoint)) return {};
  if (isWithin(SILENT_MS - 1, peer.receivedAt, now)) return { wakeAt: peer.receivedAt + SILENT_MS };
  const item = peerItem(site, 'relay', remote, endpoint);
  return {
    deeds: [{ op: 'aim', peer: item, carries: remote.gateway.subnets, seenRxBytes: peer.rxBytes } satisfies Deed],
  };
}

function decideEdge(
  site: SiteFacts,
  remote: Site,
  memory: PathMemory,
  before: RemoteFacts,
  now: number,
): RemoteDecision {
  const opening = decideOpeningOf(site, remote, memory, before, now);
  const facts =
    opening === null || before.opening === undefined
      ? before
      : { ...before, opening: { ...before.opening, memory: opening.memory } };
  const known = pathInput(site, remote, facts, now);
  const input = { ...known, target: openedOf(facts)?.target ?? placeToTry(placesToTry(site, remote), memory, now) };
  const decision = decidePath(memory, input);
  const answeredInRow = currentProbe(decision.memory, facts.direct)?.answeredInRow ?? 0;
  const session = hasSession(facts.direct.peer, now);
  const central = centralRelay(site.relays);
  const carrier = central === null ? null : carrierOf(site, central, hopOf(facts), now);
  const candidate = { now, carrier, target: input.target, session, answeredInRow, lingers: decision.lingers };
  const items = remoteEdgeItems(site, remote, decision.memory, candidate);
  items.push(...formerDirectItems(site, remote, facts, items, now));
  items.push(...outsideItems(facts, items));
  const peer = peerItem(site, 'direct', remote, input.target);
  const deeds = decision.deeds.flatMap((deed): Deed[] => {
    if (deed.op !== 'punch')
      return [{ op: deed.op, peer, carries: remote.gateway.subnets, seenRxBytes: facts.direct.peer?.rxBytes ?? 0 }];
    // What was opened is open: a packet from the tunnel's own port would open another way.
    return openedOf(facts) === null ? punch(remote, deed.ttl) : [];
  });
  const until = askedUntil(site, facts, now);
  // An opening is decided before the path: what the path came to, it has to see.
  const moved = opening !== null && decision.memory.state !== memory.state;
  const again = [opening?.wakeAt ?? Infinity, moved ? now + 1 : Infinity, until > now ? until + 1 : Infinity];
  const wakeAt = Math.min(decision.wakeAt, ...again);
  const said = opening === null ? [] : openingDeeds(remote, opening);
  const memories = { path: decision.memory, opening: opening?.memory ?? null };
  return { ...NOTHING, items, deeds: [...said, ...deeds], wakeAt, ...memories };
}

function decideOpeningOf(site: SiteFacts, remote: Site, path: PathMemory, facts: RemoteFacts, now: number) {
  const types = [ownNatType(site), remote.endpoint.natType] as const;
  const mayTry = forbidden(site, remote) === null && askedUntil(site, facts, now) > now;
  return openingOf(site, remote, facts, path, { now, pair: pairName(site.publicKey, remote.key), types, mayTry });
}

/**
 * The own NAT is opened toward the hole, wherever the peer is tried meanwhile. A LAN needs no opening, and an IPv6 firewall
 * is opened by the handshake itself: it translates nothing, so a stranger's packet that came first leaves no harm.
 */
function punch({ gateway, endpoint: { hole } }: Site, ttl: number): Deed[] {
  return hole === null || !isIpv4(hole.ip) ? [] : [{ op: 'punch', gateway: gateway.name, to: hole, ttl }];
}

/** What the path's state machine needs to know of this pair. */
export function pathInput(site: SiteFacts, remote: Site, facts: RemoteFacts, now: number): PathInput {
  const { hole } = remote.endpoint;
  const lan = lanAddress(site, remote);
  const global = globalAddress(site, remote);
  const own = site.self?.endpoint ?? null;
  const localType = ownNatType(site);
  const opened = openedOf(facts);
  const remoteType = remote.endpoint.natType;
  const local = { natType: localType, key: site.publicKey };
  const comes = comesToMapped(own, remote.endpoint);
  return {
    now,
    pair: pairName(site.publicKey, remote.key),
    verdict: verdict(site, remote, localType, facts),
    asked: askedUntil(site, facts, now) > now,
    target: opened?.target ?? placesToTry(site, remote)[0] ?? null,
    waitingFor: global === null ? waitingFor(own?.hole ?? null, hole) : null,
    fingerprint: [own?.hole, hole, ...(lan === null ? [] : [lan]), ...(global === null ? [] : [own?.ipv6, global])]
      .concat(opened === null ? [] : [opened.target])
      .map((at) => (at ? formatHostPort(at) : '-'))
      .concat(`${localType}`, `${remoteType}`, remote.key, opened?.localPort ? [`${opened.localPort}`] : [])
      .join(' '),
    reAdds: comes ?? reAdds(local, { natType: remoteType, key: remote.key }),
    comesLast: opened === null && (comes === null ? comesLast(localType, remoteType) : !comes),
    isMapped: comes === false,
    holdsBack: opened === null && holdsBack(remoteType),
    probed: isCorax(remote.endpoint) && remote.endpoint.probeAddress !== null && site.probeAddress !== null,
    keepsAlive: isCorax(remote.endpoint),
    relay: facts.relay,
    direct: facts.direct,
    remotePath: facts.remotePath,
  };
}

function verdict(site: SiteFacts, remote: Site, localType: PathTypes, facts: RemoteFacts): PairVerdict {
  const reason = forbidden(site, remote);
  if (reason !== null) return { may: false, reason };
  if (lanAddress(site, remote) !== null) return { may: true, reason: 'both are behind one public address' };
  if (globalAddress(site, remote) !== null) return { may: true, reason: 'both have a global IPv6 address' };
  return natVerdict(site, remote, [localType, remote.endpoint.natType], facts);
}

/** Why there is no direct plane to it, whatever the NATs are; null where there may be. */
function forbidden(site: SiteFacts, remote: Site): string | null {
  if (site.direct === 'none') return 'direct paths are switched off (--direct none)';
  return onePlaneOf(site, remote)?.reason ?? null;
}

type PathTypes = NatType | null;

/** Both ends start on the later of the two holes, which the store tells both at about the same time. */
function waitingFor(own: HostPort | null, theirs: HostPort | null): string | null {
  if (theirs === null) return "the other end's hole: the relay has not published it yet";
  if (own === null) return 'the own hole: the relay has not published it yet';
  return null;
}

/** Why the path is what it is, now, in one sentence. */
export function reasonOf(site: SiteFacts, remote: Site, memory: PathMemory, facts: RemoteFacts, now: number): string {
  const input = pathInput(site, remote, facts, now);
  const choice = currentChoice(memory, input);
  const judged = input.probed && memory.pings === 'unanswered' ? `; ${unanswered(remote)}` : '';
  if (memory.state === 'direct') return `${choice.reason}${judged}`;
  const answers = currentProbe(memory, facts.direct) !== null ? ` (${choice.reason})` : '';
  return `${memory.reason}${memory.state === 'punching' ? answers : ''}${judged}`;
}

/** Why probes do not count for this remote, in one sentence. */
export function unanswered({ gateway }: Site): string {
  const why = 'answers no ping on the relay plane (a firewall that drops ICMP?)';
  return `${gateway.name} ${why}: judged by WireGuard's own packets`;
}
