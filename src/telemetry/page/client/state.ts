/** What the page knows: the peers as they are, and two minutes of their round trips. No DOM here. */
import { byUrgency, type Urgency, urgencyOf } from '../../../model/urgency.js';
import { applyPeers, type Delta, type HeadView, type PeerView, type Reset } from '../view.js';

/** Seconds of round trips that a sparkline shows. */
export const TRACE_LENGTH = 120;
export const CHANGES_SHOWN = 60;

export interface Trace {
  /** Milliseconds, oldest first, one a second; NaN where there was no answer. */
  readonly relay: Float32Array;
  readonly direct: Float32Array;
}

export class PageState {
  readonly peers = new Map<string, PeerView>();
  readonly #traces = new Map<string, Trace>();
  head: HeadView | null = null;
  /** Newest first. */
  changes: Reset['changes'] = [];
  /** The agent's clock at its latest word, Unix seconds. */
  now = 0;

  /** @returns the agent is another process than before */
  reset({ now, head, changes }: Reset): boolean {
    const restarted = this.head !== null && this.head.startedAt !== head.startedAt;
    this.peers.clear();
    // Traces stay: the time without word is a gap in them
    this.head = head;
    this.changes = changes;
    this.#skip(this.now === 0 ? 0 : now - this.now);
    this.now = now;
    return restarted;
  }

  /** A part of what a delta says; the second is not over yet. */
  part(delta: Delta): void {
    applyPeers(this.peers, delta);
  }

  /** One second of the agent's. @returns the new path changes */
  delta(delta: Delta): Reset['changes'] {
    applyPeers(this.peers, delta);
    for (const gateway of this.#traces.keys()) if (!this.peers.has(gateway)) this.#traces.delete(gateway);
    if (delta.head !== undefined) this.head = delta.head;
    const fresh = delta.changes ?? [];
    this.changes = [...fresh, ...this.changes].slice(0, CHANGES_SHOWN);
    this.#skip(delta.now - this.now - 1);
    this.now = delta.now;
    for (const [gateway, peer] of this.peers) this.#sample(gateway, peer);
    return fresh;
  }

  trace(gateway: string): Trace | undefined {
    return this.#traces.get(gateway);
  }

  /** Those that are asked for, the worst first. */
  select(words: string, urgency: Urgency | 'direct' | null): PeerView[] {
    const terms = words.toLowerCase().split(/\s+/).filter(Boolean);
    return [...this.peers.values()].filter((peer) => isIn(peer, urgency) && matches(peer, terms)).sort(byUrgency);
  }

  count(urgency: Urgency | 'direct' | null): number {
    let count = 0;
    for (const peer of this.peers.values()) if (isIn(peer, urgency)) count += 1;
    return count;
  }

  #sample(gateway: string, { planes }: PeerView): void {
    let trace = this.#traces.get(gateway);
    if (trace === undefined) {
      trace = { relay: emptyTrace(), direct: emptyTrace() };
      this.#traces.set(gateway, trace);
    }
    for (const plane of ['relay', 'direct'] as const) {
      const now = planes[plane];
      push(trace[plane], now === null || now.alive === false || now.rttMs === null ? Number.NaN : now.rttMs);
    }
  }

  /** Seconds of which nothing was heard. */
  #skip(seconds: number): void {
    const missed = Math.min(TRACE_LENGTH, Math.max(0, Math.round(seconds)));
    for (let index = 0; index < missed; index += 1) {
      for (const { relay, direct } of this.#traces.values()) {
        push(relay, Number.NaN);
        push(direct, Number.NaN);
      }
    }
  }
}

function emptyTrace(): Float32Array {
  return new Float32Array(TRACE_LENGTH).fill(Number.NaN);
}

function push(trace: Float32Array, value: number): void {
  trace.copyWithin(0, 1);
  trace[trace.length - 1] = value;
}

/** The group of a peer, as the page counts them: direct ones apart. */
export function isIn(peer: PeerView, group: Urgency | 'direct' | null): boolean {
  if (group === null) return true;
  const urgency = urgencyOf(peer);
  if (group === 'direct') return peer.path === 'direct' && urgency !== 'silent';
  if (group === 'relayed') return peer.path === 'relay' && urgency !== 'silent' && urgency !== 'punching';
  return urgency === group;
}

function matches(peer: PeerView, terms: readonly string[]): boolean {
  if (terms.length === 0) return true;
  const { gateway, node, subnets, path, state, reason, planes } = peer;
  const text = [
    gateway,
    node,
    ...subnets,
    path ?? 'none',
    state,
    reason,
    planes.relay?.endpoint,
    planes.direct?.endpoint,
  ]
    .join(' ')
    .toLowerCase();
  return terms.every((term) => text.includes(term));
}
