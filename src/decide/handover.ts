/**
 * A gateway's active endpoint moves to another of its nodes. Where both live next to nothing is lost: the old way stands
 * until the new one carries, and one node alone chooses between them, the one that holds the tunnel now. Whatever the
 * gateway's nodes send goes to it; what its own tunnel does not carry yet it sends to the node of before, which puts it
 * into its tunnels.
 */
import { isIpv4 } from '../model/address.js';
import type { Former, Handover, Overlay, RemoteFacts, Role, Site, SiteFacts } from '../model/facts.js';
import type { Item, PeerItem, RouteItem } from '../model/item.js';
import type { PublicKey } from '../model/key.js';
import { planeOfDevice, TABLES } from '../model/names.js';
import { OVERLAY, overlayAddress } from '../model/overlay.js';
import type { PeerDeed } from '../model/step.js';
import { probeAddressOf } from './relations.js';
import * as timing from './timing.js';

/** What is observed of the node at the other end of a tunnel: of a remote, or of the relay by which it is reached. */
type Hop = Pick<RemoteFacts, 'relay' | 'former'>;

export function hopOf(facts: RemoteFacts): Hop {
  return facts.central ?? facts;
}

/** The peer that a remote's subnets stay with: the one of before, until the one of now has a session. */
export function carrierOf(site: SiteFacts, remote: Site, { former, relay }: Hop, now: number): PublicKey {
  const isUp = (relay.peer?.lastHandshake ?? 0) > 0;
  return former && hasFormers(site) && !isUp && now < former.since + timing.HANDOVER_MS ? former.key : remote.key;
}

/** WireGuard's peers stand by themselves; pluto would have to be told of the node that is gone, and whose it was. */
function hasFormers({ driver }: SiteFacts): boolean {
  return driver === 'wireguard';
}

function formerPeer(plane: 'relay' | 'direct', remote: Site, { key }: Former): Item {
  return { kind: 'peer', plane, gateway: remote.gateway.name, key, endpoint: null };
}

/** The relay-plane peer of before stands while it carries, and until all that it carried has passed on. */
export function formerRelayItems(site: SiteFacts, remote: Site, hop: Hop, now: number): Item[] {
  const { former } = hop;
  if (!former || !hasFormers(site)) return [];
  const carries = carrierOf(site, remote, hop, now) === former.key;
  return carries || now < former.since + timing.HANDOVER_HEARD_MS ? [formerPeer('relay', remote, former)] : [];
}

/** The direct peer of before is heard a little longer: its node does not know yet that it is not asked any more. */
export function formerDirectItems(
  site: SiteFacts,
  remote: Site,
  { former }: RemoteFacts,
  items: readonly Item[],
  now: number,
): Item[] {
  if (!former?.direct || !hasFormers(site) || now >= former.since + timing.HANDOVER_HEARD_MS) return [];
  if (items.some((item) => item.kind === 'peer' && item.plane === 'direct')) return [];
  const carries = remote.gateway.subnets.map(
    (prefix): Item => ({ kind: 'carry', plane: 'direct', prefix, peer: former.key }),
  );
  return [formerPeer('direct', remote, former), ...carries];
}

/** When it has to be looked at again: Infinity without a former peer. */
export function handoverWakeAt({ former }: RemoteFacts, now: number): number {
  if (!former) return Number.POSITIVE_INFINITY;
  const times = [timing.HANDOVER_HEARD_MS, timing.HANDOVER_MS].map((ms) => former.since + ms);
  return Math.min(...times.filter((at) => at > now), Number.POSITIVE_INFINITY);
}

/**
 * The first to ask for a session may be too early: the other end may not know it yet, and WireGuard asks again after 5 s
 * only. A peer that is re-added asks at once.
 */
export function nudge(site: SiteFacts, peer: PeerItem, facts: RemoteFacts, now: number): Nudge {
  const { handover } = site;
  const since = handover?.as === 'next' ? handover.since : facts.former?.since;
  const there = facts.relay.peer;
  const settled =
    !hasFormers(site) || since === undefined || now >= since + timing.HANDOVER_MS || (there?.lastHandshake ?? 0) > 0;
  if (settled || there === null || peer.endpoint === null) return { deeds: [], wakeAt: Number.POSITIVE_INFINITY };
  const asked = Math.max(facts.nudgedAt ?? 0, since);
  const due = asked + pauseAt(asked - since);
  if (now < due) return { deeds: [], wakeAt: due };
  const deed: PeerDeed = { op: 're-add', peer, carries: [], seenRxBytes: there.rxBytes };
  return { deeds: [deed], wakeAt: now + pauseAt(now - since) };
}

/** An answer that is on its way is not taken by a peer that was re-added: the pause grows, up to the longest round trip. */
function pauseAt(elapsed: number): number {
  return Math.min(timing.RE_ADD_MS, Math.max(timing.HANDOVER_ASK_MS, elapsed));
}

interface Nudge {
  /** What the peer carries is the world's to say: it may be others' subnets too. */
  readonly deeds: readonly PeerDeed[];
  readonly wakeAt: number;
}

/** What a handover makes of the ways to a remote. */
export interface Ways {
  readonly items: readonly Item[];
  /** They lead by another node, or the peer of before: who is reached by this one has to be told when that ends. */
  readonly detour: boolean;
  /** Unix milliseconds. */
  readonly wakeAt: number;
}

/** @param next the node at the other end of the relay plane's tunnel; null: there is none */
export function handoverWays(site: SiteFacts, next: Site | null, hop: Hop, items: readonly Item[], now: number): Ways {
  const { handover } = site;
  const detour = next !== null && carrierOf(site, next, hop, now) !== next.key;
  if (handover?.as === 'former') {
    const to = overlayAddress(handover.to);
    return { items: items.flatMap((item) => sentOn(item, to)), detour, wakeAt: Number.POSITIVE_INFINITY };
  }
  const arrivesAt = handover?.as === 'next' && next !== null ? carriesAt(site, next, hop, now) : now;
  if (handover?.as !== 'next' || arrivesAt <= now) return { items, detour, wakeAt: Number.POSITIVE_INFINITY };
  const via = overlayAddress(handover.from);
  return { items: items.map((item) => borrowed(item, via)), detour: true, wakeAt: arrivesAt };
}

/**
 * From when on does this node's own tunnel carry? The other end takes this gateway's subnets from one peer only; that it has
 * turned to this node's an answered probe says, and nothing before it.
 */
function carriesAt(site: SiteFacts, next: Site, { relay: { peer, probe } }: Hop, now: number): number {
  if ((probe?.received ?? 0) > 0) return now;
  const session = (peer?.lastHandshake ?? 0) * 1000;
  if (session === 0) return Number.POSITIVE_INFINITY;
  const isProbed = site.probeAddress !== null && probeAddressOf(next.endpoint) !== null;
  return isProbed ? session + timing.HANDOVER_SESSION_MS : now;
}

/** On the node that holds the tunnel now: by the node of before. A direct path is proven, or it would be none. */
function borrowed(item: Item, via: RouteItem['via']): Item {
  return isTunnelled(item) && planeOfDevice(item.device) === 'relay' ? { ...item, device: OVERLAY.device, via } : item;
}

/** On the node of before: its own pods' packets go to the node that holds the tunnel now, and what comes from it by the tunnels. */
function sentOn(item: Item, via: RouteItem['via']): Item[] {
  if (!isTunnelled(item)) return [item];
  return [
    { ...item, table: TABLES.former },
    { ...item, device: OVERLAY.device, via },
  ];
}

function isTunnelled(item: Item): item is RouteItem & { readonly device: string } {
  return item.kind === 'route' && item.table === TABLES.path && item.device !== null && isIpv4(item.prefix);
}

/** What of the node's part is kept for a moment after the store gave it another. */
export interface Part {
  readonly role: Role;
  readonly self: Site | null;
  readonly overlay: Overlay | null;
}

export interface PartInForce extends Part {
  readonly handover: Handover | null;
  /** Unix milliseconds; Infinity = nothing changes by itself. */
  readonly until: number;
}

/**
 * The node that held the tunnel keeps its tunnels for a while, and the one that holds it now may send by them so long.
 * Nobody tells either when the other ends have turned: the while is long enough, or the gateway would be cut off anyway.
 *
 * @param former the part before the latest change, and when it changed
 */
export function partInForce(
  now: number,
  given: Part,
  former: { readonly part: Part; readonly at: number } | null,
): PartInForce {
  const settled: PartInForce = { ...given, handover: null, until: Number.POSITIVE_INFINITY };
  if (former === null) return settled;
  const until = former.at + timing.HANDOVER_HEARD_MS;
  if (now >= until || now < former.at) return settled;
  const to = given.overlay?.gateway ?? null;
  if (holdsTunnel(former.part.role) && given.role === 'member' && to !== null) {
    return { ...former.part, handover: { as: 'former', to }, until };
  }
  const from = former.part.overlay?.gateway ?? null;
  if (former.part.role === 'member' && holdsTunnel(given.role) && from !== null) {
    return { ...given, handover: { as: 'next', from, since: former.at }, until };
  }
  return settled;
}

function holdsTunnel(role: Role): boolean {
  return role === 'edge' || role === 'relay';
}
