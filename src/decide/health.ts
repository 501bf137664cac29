/** Is a plane alive, and which of two is the better one? */
import type { PeerFacts, PlaneFacts, ProbeFacts } from '../model/facts.js';
import type { Plane } from '../model/names.js';
import { isWithin, LOST_IN_ROW, PASSIVE_DEAD_MS, SESSION_MS } from './timing.js';

export interface PlaneHealth {
  /** Null: not known yet. */
  readonly alive: boolean | null;
  readonly rttMs: number | null;
  readonly loss: number | null;
}

/** @param probed the other end answers probes on the plane that they came by */
export function healthOf(plane: PlaneFacts, probed: boolean, now: number): PlaneHealth {
  if (!probed) return { alive: passivelyAlive(plane.peer, now), rttMs: null, loss: null };
  const { probe } = plane;
  if (probe === null) return { alive: null, rttMs: null, loss: null };
  return { alive: probeAlive(probe), rttMs: probe.rttMs, loss: probe.loss };
}

function probeAlive(probe: ProbeFacts): boolean | null {
  if (probe.lostInRow >= LOST_IN_ROW) return false;
  return probe.received > 0 ? true : null;
}

/** A raven remote answers echoes by its own path, so only what WireGuard itself must send tells anything. */
function passivelyAlive(peer: PeerFacts | null, now: number): boolean | null {
  if (peer === null || peer.lastHandshake === 0) return null;
  if (!hasSession(peer, now)) return false;
  // IPsec owes no packet for one. Its ends ask each other whether they live, and end a session that is none.
  if (peer.session !== null) return true;
  const sane = (at: number) => (at > now + PASSIVE_DEAD_MS ? 0 : at);
  return sane(peer.sentAt) - sane(peer.receivedAt) <= PASSIVE_DEAD_MS;
}

/**
 * Of a plane whose probes nobody answers: they are data all the same, for which WireGuard owes a packet.
 *
 * @param since when this end began to ask
 * @param presumed until the first packet has come, or should have
 */
export function owedHealth(peer: PeerFacts | null, since: number, presumed: true | null, now: number): PlaneHealth {
  const alive = () => {
    if (peer === null || peer.lastHandshake === 0) return null;
    if (!hasSession(peer, now)) return false;
    if (peer.session !== null) return true;
    // One that lies ahead was remembered before the clock was set back, and says nothing.
    const isAhead = peer.receivedAt > now + PASSIVE_DEAD_MS;
    if (peer.receivedAt >= since && !isAhead) return now - peer.receivedAt <= PASSIVE_DEAD_MS;
    return now - since <= PASSIVE_DEAD_MS ? presumed : false;
  };
  return { alive: alive(), rttMs: null, loss: null };
}

/**
 * Of a remote whose tunnel ends here, for people: no path hangs on it. One that answered a probe is judged by
 * probes; else by its session, and a tunnel without traffic need not have one.
 */
export function neighbourHealth(plane: PlaneFacts, now: number): PlaneHealth {
  if ((plane.probe?.received ?? 0) > 0) return healthOf(plane, true, now);
  return { alive: hasSession(plane.peer, now) ? passivelyAlive(plane.peer, now) : null, rttMs: null, loss: null };
}

export function hasSession(peer: PeerFacts | null, now: number): boolean {
  if (peer === null || peer.lastHandshake === 0) return false;
  return peer.session ?? isWithin(SESSION_MS - 1, peer.lastHandshake * 1000, now);
}

export interface Choice {
  readonly plane: Plane;
  /** One sentence, with the numbers that made the difference. */
  readonly reason: string;
}

/** How much worse than the relay direct may be. */
export interface Bounds {
  /** Round trip: at most relay × factor + slackMs. */
  readonly factor: number;
  readonly slackMs: number;
  /** Loss: at most the relay's and this, a fraction of 1. */
  readonly lossSlack: number;
}

/** The bounds for leaving the direct plane are wider than those for taking it, so that near equals do not alternate. */
export function boundsOn(current: Plane): Bounds {
  return current === 'direct'
    ? { factor: 2, slackMs: 50, lossSlack: 0.3 }
    : { factor: 1.5, slackMs: 20, lossSlack: 0.15 };
}

/** Direct saves the cloud's bandwidth, so it wins unless it is much worse than the relay ({@link boundsOn}). */
export function choosePlane(relay: PlaneHealth, direct: PlaneHealth, current: Plane): Choice {
  if (direct.alive !== true) {
    return { plane: 'relay', reason: direct.alive === null ? 'direct has not answered yet' : 'direct does not answer' };
  }
  if (relay.alive !== true) {
    return {
      plane: 'direct',
      reason: `direct ${lives(direct)}, relay ${relay.alive === null ? 'has not answered yet' : 'does not answer'}`,
    };
  }
  const answers = `direct ${lives(direct)}, relay ${relay.rttMs === null ? 'too' : inMs(relay.rttMs)}`;
  const { factor, slackMs, lossSlack } = boundsOn(current);
  if (direct.rttMs !== null && relay.rttMs !== null && direct.rttMs > relay.rttMs * factor + slackMs) {
    return { plane: 'relay', reason: `${answers}: direct is much slower` };
  }
  if ((direct.loss ?? 0) > (relay.loss ?? 0) + lossSlack) {
    return { plane: 'relay', reason: `direct loses ${percent(direct.loss)} of probes, relay ${percent(relay.loss)}` };
  }
  return { plane: 'direct', reason: answers };
}

/** Without a round trip it is known by WireGuard's packets alone. */
function lives({ rttMs }: PlaneHealth): string {
  return rttMs === null ? 'is alive' : `answers ${inMs(rttMs)}`;
}

function inMs(rttMs: number): string {
  return `in ${rttMs.toFixed(1)} ms`;
}

function percent(loss: number | null): string {
  return `${Math.round((loss ?? 0) * 100)} %`;
}
