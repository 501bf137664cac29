/**
 * A gateway's active endpoint moves to another of its nodes. Where both live nothing is lost for longer than the ends
 * differ: the old way stands until the new one carries.
 */
import { isIpv4 } from '../model/address.js';
import type { Former, Handover, Overlay, RemoteFacts, Role, Site, SiteFacts } from '../model/facts.js';
import type { Item, PeerItem } from '../model/item.js';
import type { PublicKey } from '../model/key.js';
import { TABLES } from '../model/names.js';
import { OVERLAY, overlayAddress } from '../model/overlay.js';
import type { PeerDeed, Step } from '../model/step.js';
import * as timing from './timing.js';

/** The peer that a remote's subnets stay with: the one of before, until the one of now has a session. */
export function carrierOf(site: SiteFacts, remote: Site, { former, relay }: RemoteFacts, now: number): PublicKey {
  const isUp = (relay.peer?.lastHandshake ?? 0) > 0;
  return former && hasFormers(site) && !isUp && now < former.since + timing.HANDOVER_MS ? former.key : remote.key;
}

/** WireGuard's peers stand by themselves; pluto would have to be told of the node that is gone, and whose it was. */
function hasFormers({ driver }: SiteFacts): boolean {
  return driver === 'wireguard';
}

export function formerPeer(plane: 'relay' | 'direct', remote: Site, { key }: Former): Item {
  return { kind: 'peer', plane, gateway: remote.gateway.name, key, endpoint: null };
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
  const due = Math.max(facts.nudgedAt ?? 0, since) + timing.RE_ADD_MS;
  if (now < due) return { deeds: [], wakeAt: due };
  const deed: PeerDeed = { op: 're-add', peer, carries: [], seenRxBytes: there.rxBytes };
  return { deeds: [deed], wakeAt: now + timing.RE_ADD_MS };
}

interface Nudge {
  /** What the peer carries is the world's to say: it may be others' subnets too. */
  readonly deeds: readonly PeerDeed[];
  readonly wakeAt: number;
}

/** On the node that holds the tunnel now: until the tunnel has a session, what it would carry goes by the node of before. */
export function borrowPath({ handover }: SiteFacts, { relay }: RemoteFacts, items: readonly Item[]): readonly Item[] {
  if (handover?.as !== 'next' || (relay.peer?.lastHandshake ?? 0) > 0) return items;
  const via = overlayAddress(handover.from);
  return items.map((item) => {
    if (item.kind !== 'route' || item.table !== TABLES.path || item.device === null || !isIpv4(item.prefix))
      return item;
    return { ...item, device: OVERLAY.device, via };
  });
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
 * The node that held the tunnel goes on as it was for a moment: by then the node that holds it now has a session, or its
 * gateway would be cut off anyway. Then it is a member like others, and its tunnels are taken down later still.
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
  const held = holdsTunnel(former.part.role);
  const [switches, ends] = [former.at + timing.HANDOVER_SWITCH_MS, former.at + timing.HANDOVER_HEARD_MS];
  if (now >= ends || now < former.at) return settled;
  if (held && given.role === 'member') {
    if (now < switches) return { ...former.part, handover: { as: 'former' }, until: switches };
    return { ...given, handover: { as: 'former' }, until: ends };
  }
  const from = former.part.overlay?.gateway ?? null;
  if (former.part.role === 'member' && holdsTunnel(given.role) && from !== null) {
    return { ...given, handover: { as: 'next', from, since: former.at }, until: ends };
  }
  return settled;
}

function holdsTunnel(role: Role): boolean {
  return role === 'edge' || role === 'relay';
}

/** Is it a tunnel that is to be left standing for now? */
export function isKept({ handover }: SiteFacts, step: Step): boolean {
  if (handover?.as !== 'former' || step.op !== 'delete') return false;
  const { kind } = step.item;
  return (
    kind === 'device' ||
    kind === 'peer' ||
    kind === 'carry' ||
    (kind === 'address' && step.item.device !== OVERLAY.device)
  );
}
