/**
 * What the status page is told, and how what changed is told from what did not. Read by both ends: the page's own
 * script is made of it too, so nothing here may need Node. Times are Unix seconds.
 */
import { printable } from '../../model/quote.js';
import type { PathChange, PeerStatus, PlaneStatus, Status } from '../../model/status.js';

/** All but the peers. */
export type Head = Omit<Status, 'peers' | 'engine'>;

/** As the page is told it. */
export type HeadView = Head & {
  /** All errors there are; the first few are told. */
  readonly errorCount: number;
};

/** One row of the page. */
export type PeerView = PeerStatus;

/** `reset`: begin anew with this. Then come deltas, the first of which bring all peers. */
export interface Reset {
  readonly now: number;
  readonly head: HeadView;
  /** Newest first. */
  readonly changes: readonly PathChange[];
  /** How many peers are going to be told. */
  readonly count: number;
}

/** `delta`: once a second, also where nothing changed: then it is the sign of life. */
export interface Delta {
  readonly now: number;
  readonly head?: HeadView;
  /** By gateway, only the keys that are not as they were; all of them for a new one. */
  readonly peers?: readonly (readonly [string, Partial<PeerView>])[];
  readonly gone?: readonly string[];
  /** Newer than all before; newest first. */
  readonly changes?: readonly PathChange[];
}

/** Who has more is better served by `corax status`. */
export const ERRORS_SHOWN = 100;

/** Finer than this nobody sees, and it would be told again at each breath. */
const tenth = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);
const thousandth = (value: number | null) => (value === null ? null : Math.round(value * 1000) / 1000);
const whole = (value: number | null) => (value === null ? null : Math.floor(value));

/** Escaped: names come from other people's files. */
export function viewOf(peer: PeerStatus): PeerView {
  return {
    ...peer,
    gateway: printable(peer.gateway),
    node: peer.node === null ? null : printable(peer.node),
    subnets: peer.subnets.map((subnet) => printable(subnet)),
    reason: printable(peer.reason, 1000),
    since: whole(peer.since),
    planes: { relay: planeView(peer.planes.relay), direct: planeView(peer.planes.direct) },
  };
}

function planeView(plane: PlaneStatus | null): PlaneStatus | null {
  if (plane === null) return null;
  const { rttMs, loss, lastHandshake } = plane;
  return { ...plane, rttMs: tenth(rttMs), loss: thousandth(loss), lastHandshake: whole(lastHandshake) };
}

export function headView(head: Head): HeadView {
  return {
    ...head,
    errorCount: head.errors.length,
    node: printable(head.node),
    gateway: head.gateway === null ? null : printable(head.gateway),
    store: { ...head.store, lastError: head.store.lastError === null ? null : printable(head.store.lastError, 1000) },
    errors: head.errors.slice(0, ERRORS_SHOWN).map((error) => ({
      code: printable(error.code),
      gateway: error.gateway === null ? null : printable(error.gateway),
      message: printable(error.message, 1000),
      since: whole(error.since),
    })),
  };
}

export function changeView(change: PathChange): PathChange {
  return { ...change, gateway: printable(change.gateway), reason: printable(change.reason, 1000) };
}

/** Null where they are the same; `before` undefined: all of it. */
export function difference(before: PeerView | undefined, after: PeerView): Partial<PeerView> | null {
  if (before === undefined) return after;
  const changed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(after)) {
    if (!same(before[key as keyof PeerView], value)) changed[key] = value;
  }
  return Object.keys(changed).length === 0 ? null : (changed as Partial<PeerView>);
}

/** Of what a view is made of: plain values, lists, and maps of them. */
function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [before, after] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(after);
  return keys.length === Object.keys(before).length && keys.every((key) => same(before[key], after[key]));
}

/** The peers as they are after a delta; the map is changed in place. */
export function applyPeers(peers: Map<string, PeerView>, delta: Delta): void {
  for (const [gateway, changed] of delta.peers ?? []) {
    peers.set(gateway, { ...(peers.get(gateway) as PeerView), ...changed });
  }
  for (const gateway of delta.gone ?? []) peers.delete(gateway);
}
