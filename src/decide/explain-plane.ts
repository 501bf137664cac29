/** How one plane is judged, number by number, each with the threshold that it is judged by. */
import { formatHostPort } from '../model/address.js';
import type { PeerFacts, PlaneFacts, ProbeFacts } from '../model/facts.js';
import type { ExplainedFact, ExplainedSection } from '../model/status.js';
import { formatDuration, formatLoss, formatRtt } from '../model/words.js';
import { hasSession, type PlaneHealth } from './health.js';
import { LOST_IN_ROW, PASSIVE_DEAD_MS, SESSION_MS } from './timing.js';

export type Verdict = ExplainedFact['verdict'];

export interface JudgedPlane {
  readonly title: string;
  readonly plane: PlaneFacts;
  readonly health: PlaneHealth;
  /** By its probes; else by WireGuard's own packets. */
  readonly byProbes: boolean;
}

export function fact(label: string, value: string, verdict: Verdict = null, rule: string | null = null): ExplainedFact {
  return { label, value, rule, verdict };
}

/** @param now Unix milliseconds */
export function explainPlane({ title, plane, health, byProbes }: JudgedPlane, now: number): ExplainedSection {
  const { peer, probe } = plane;
  if (peer === null && probe === null) return { title, verdict: 'not there', facts: [] };
  const verdict = health.alive === null ? 'not known yet' : health.alive ? 'alive' : 'does not answer';
  return {
    title,
    verdict,
    facts: [
      fact('endpoint', peer?.endpoint ? formatHostPort(peer.endpoint) : 'none', peer?.endpoint ? null : 'open'),
      handshake(peer, now),
      ...(byProbes ? probed(probe) : heard(peer, now)),
    ],
  };
}

function handshake(peer: PeerFacts | null, now: number): ExplainedFact {
  if (peer === null || peer.lastHandshake === 0) return fact('handshake', 'none yet', 'open');
  const rule = `a session ends at ${SESSION_MS / 1000} s`;
  return fact('handshake', ago(peer.lastHandshake * 1000, now), hasSession(peer, now) ? 'good' : 'bad', rule);
}

function probed(probe: ProbeFacts | null): ExplainedFact[] {
  if (probe === null || probe.sent === 0) return [fact('probes', 'none sent yet', 'open')];
  const dead = probe.lostInRow >= LOST_IN_ROW;
  const jitter = probe.jitterMs === null ? '' : `, jitter ${formatRtt(probe.jitterMs)} ms`;
  return [
    fact('probes', `${probe.received} of ${probe.sent} answered`, probe.received > 0 ? 'good' : 'open'),
    fact(
      'lost in a row',
      String(probe.lostInRow),
      dead ? 'bad' : probe.lostInRow > 0 ? 'open' : 'good',
      `${LOST_IN_ROW} make it dead`,
    ),
    fact('round trip', probe.rttMs === null ? 'not known yet' : `${formatRtt(probe.rttMs)} ms${jitter}`),
    fact('loss', probe.loss === null ? 'not known yet' : formatLoss(probe.loss), null, 'of the latest probes'),
  ];
}

/** Without probes, what WireGuard owes: a packet within a few seconds of one that was sent. */
function heard(peer: PeerFacts | null, now: number): ExplainedFact[] {
  if (peer === null) return [];
  const rule = `owed within ${PASSIVE_DEAD_MS / 1000} s of what is sent`;
  const owed = peer.sentAt - peer.receivedAt > PASSIVE_DEAD_MS;
  return [
    fact('heard', peer.receivedAt === 0 ? 'never' : ago(peer.receivedAt, now), owed ? 'bad' : 'good', rule),
    fact('sent data', peer.sentAt === 0 ? 'never' : ago(peer.sentAt, now)),
  ];
}

export function ago(at: number, now: number): string {
  return `${formatDuration(Math.max(0, now - at) / 1000)} ago`;
}
