/**
 * The path to one remote edge: relayed → punching → direct → relayed. Neither end needs the other's
 * agreement, since each accepts both planes at all times; each only chooses its own way out.
 */
import type { HostPort } from '../model/address.js';
import type { PlaneFacts, ProbeFacts } from '../model/facts.js';
import type { Plane } from '../model/names.js';
import { fraction, LONGEST_PAUSE_MS, nextTry } from './backoff.js';
import { type Choice, choosePlane, hasSession, healthOf } from './health.js';
import { afterPings, followsBlindly, healths } from './pings.js';
import type { PairVerdict } from './relations.js';
import * as timing from './timing.js';

export type PathState = 'relayed' | 'punching' | 'direct';

/** What a path remembers; the rest is observed anew each time. Times are Unix milliseconds. */
export interface PathMemory {
  readonly state: PathState;
  readonly since: number;
  /** Why the state was entered, in one sentence. */
  readonly reason: string;
  /** Of what the latest try was based on: another one starts over at once. */
  readonly fingerprint: string;
  /** Tries that failed since the fingerprint changed. */
  readonly failures: number;
  readonly nextTryAt: number;
  /** Of the running try. */
  readonly startedAt: number;
  /** When the direct peer is, or was last, added. */
  readonly addAt: number;
  readonly punches: number;
  readonly punchedAt: number;
  /** Probes of the direct plane start over with each. */
  readonly generation: number;
  /** How long the direct plane must answer before it is trusted; 0 until it has failed. */
  readonly trustMs: number;
  /** Was direct since the fingerprint changed. */
  readonly proven: boolean;
  /** Found as direct when the agent started, not brought there by it. */
  readonly adopted: boolean;
  /** The relay plane was dead since the latest try began: the other end was gone, or the relay. */
  readonly wasGone: boolean;
  /** The direct plane was dead in the running try. */
  readonly wasSilent: boolean;
  /** Does the other end answer probes? Once it has, it does; kept whatever else is forgotten. */
  readonly pings: 'unknown' | 'answered' | 'unanswered';
  /** Since when none was answered on a relay plane that lives; 0 = not so. */
  readonly unansweredSince: number;
}

export interface PathInput {
  readonly now: number;
  /** The same for both ends. */
  readonly pair: string;
  readonly verdict: PairVerdict;
  /** There is traffic with it, or its direct plane is no matter of that. */
  readonly asked: boolean;
  /** The other end's hole; null while it is not known. */
  readonly target: HostPort | null;
  /** Why no try can start yet; null when it can. */
  readonly waitingFor: string | null;
  readonly fingerprint: string;
  readonly reAdds: boolean;
  readonly comesLast: boolean;
  /**
   * The own hole is a router's mapping, and the other's is not. The other end gets in; what this end sends first leaves by
   * another outside port, and leaves an entry in the router's table that the other's packets then clash with.
   */
  readonly isMapped: boolean;
  /** The other end's NAT must be opened from inside before anything of this end's reaches it. */
  readonly holdsBack: boolean;
  readonly probed: boolean;
  /** The other end sends keepalives: its peer is heard whether it is used or not. raven's does not. */
  readonly keepsAlive: boolean;
  readonly relay: PlaneFacts;
  readonly direct: PlaneFacts;
  readonly remotePath: Plane | null;
}

const NOBODY_ASKS = 'there was no traffic with it lately, and direct paths are on demand';

export type PathDeed = { readonly op: 'punch'; readonly ttl: number } | { readonly op: 're-add' | 'aim' };

export interface PathDecision {
  readonly memory: PathMemory;
  readonly deeds: readonly PathDeed[];
  /** The direct plane keeps its peer though this end is off it: the other end may still be sending there. */
  readonly lingers: boolean;
  /** When to decide again even if nothing changes; Infinity = never. */
  readonly wakeAt: number;
}

export function newPath(now: number): PathMemory {
  return {
    state: 'relayed',
    since: now,
    reason: 'nothing tried yet',
    fingerprint: '',
    failures: 0,
    nextTryAt: 0,
    startedAt: 0,
    addAt: 0,
    punches: 0,
    punchedAt: 0,
    generation: 0,
    trustMs: 0,
    proven: false,
    adopted: false,
    wasGone: false,
    wasSilent: false,
    pings: 'unknown',
    unansweredSince: 0,
  };
}

/** For a remote whose route was found on the direct plane when the agent started. */
export function adoptedPath(now: number, fingerprint: string): PathMemory {
  const reason = 'found direct when the agent started';
  return { ...newPath(now), state: 'direct', reason, fingerprint, startedAt: now, adopted: true, proven: true };
}

/** Where traffic goes. */
export function planeOf(memory: PathMemory): Plane {
  return memory.state === 'direct' ? 'direct' : 'relay';
}

/** Does the direct plane have its peer? A symmetric end adds it a little later. */
export function wantsPeer(memory: PathMemory, now: number): boolean {
  return memory.state === 'direct' || (memory.state === 'punching' && now >= memory.addAt);
}

/** Probes of an earlier try say nothing of this one: its peer, its hole or its size may have been another. */
export function currentProbe(memory: PathMemory, direct: PlaneFacts): ProbeFacts | null {
  return direct.probe?.generation === memory.generation ? direct.probe : null;
}

type Move = Omit<PathDecision, 'lingers'>;

export function decidePath(memory: PathMemory, observed: PathInput): PathDecision {
  const input = withCurrentProbe(memory, observed);
  const move = withoutPunches(nextMove(afterPings(afterClock(memory, observed.now), input), input), input);
  const until = wantsPeer(move.memory, observed.now) ? Number.NEGATIVE_INFINITY : lingersUntil(move.memory, observed);
  if (observed.now > until) return { ...move, lingers: false };
  return { ...move, lingers: true, wakeAt: Math.min(move.wakeAt, until + 1) };
}

function withoutPunches(move: Move, { isMapped }: PathInput): Move {
  return isMapped ? { ...move, deeds: move.deeds.filter(({ op }) => op !== 'punch') } : move;
}

/** The clock may have been set back: what seems to lie ahead by more than it can is due. */
function afterClock(memory: PathMemory, now: number): PathMemory {
  const past = (at: number, most = 0) => (at > now + most ? now : at);
  const { since, startedAt, addAt, punchedAt, nextTryAt, unansweredSince } = memory;
  const sane = {
    since: past(since),
    startedAt: past(startedAt),
    addAt: past(addAt, timing.COMES_LAST_MS),
    punchedAt: past(punchedAt),
    nextTryAt: past(nextTryAt, LONGEST_PAUSE_MS),
    unansweredSince: past(unansweredSince),
  };
  const same = Object.entries(sane).every(([key, at]) => memory[key as keyof typeof sane] === at);
  return same ? memory : { ...memory, ...sane };
}

/**
 * Until when a peer that this end has no more use for is left to the other, which comes off it in its own time.
 * Keepalives alone would keep it for ever at both ends: who sends them has to say that it is still direct.
 */
function lingersUntil(memory: PathMemory, { direct, remotePath, keepsAlive, now }: PathInput): number {
  if (direct.peer === null || !timing.isWithin(timing.IN_USE_MS, direct.peer.receivedAt, now))
    return Number.NEGATIVE_INFINITY;
  const until = direct.peer.receivedAt + timing.IN_USE_MS;
  return keepsAlive && remotePath !== 'direct' ? Math.min(until, memory.since + timing.IN_USE_MS) : until;
}

function nextMove(before: PathMemory, input: PathInput): Move {
  const { verdict, waitingFor, now } = input;
  const relayAlive = input.probed && before.pings === 'answered' ? healthOf(input.relay, true, now).alive : null;
  const memory = relayAlive === false && !before.wasGone ? { ...before, wasGone: true } : before;
  // What is direct by an opening that this agent does not know of (it was restarted) is left to its probes.
  const stands = memory.state === 'direct' && verdict.byOpening === true;
  if (!verdict.may && !stands) return rest(forget(memory, verdict.reason, now));
  if (!input.asked) return rest(forget(memory, NOBODY_ASKS, now));
  if (memory.state === 'direct') return whileDirect(memory, input);
  if (waitingFor !== null) return rest(forget(memory, `waiting for ${waitingFor}`, now));
  if (input.fingerprint !== memory.fingerprint) {
    return begin({ ...memory, failures: 0, proven: false, trustMs: 0 }, input, 'both holes are known');
  }
  if (memory.state === 'punching') return whilePunching(memory, input);
  if (memory.wasGone && relayAlive === true) return begin({ ...memory, failures: 0 }, input, 'the other end is back');
  if (now >= memory.nextTryAt) return begin(memory, input, `trying again after ${memory.failures} failed tries`);
  return rest(memory, memory.nextTryAt);
}

function withCurrentProbe(memory: PathMemory, input: PathInput): PathInput {
  return { ...input, direct: { peer: input.direct.peer, probe: currentProbe(memory, input.direct) } };
}

/** Both planes as they are judged now. */
export function currentHealths(memory: PathMemory, observed: PathInput): ReturnType<typeof healths> {
  return healths(memory, withCurrentProbe(memory, observed));
}

/** The choice between the planes as it stands, with its reason; for decisions and for people. */
export function currentChoice(memory: PathMemory, observed: PathInput): Choice {
  const { relay, direct } = currentHealths(memory, observed);
  return choosePlane(relay, direct, planeOf(memory));
}

/** Answers in a row that a direct plane must give before it is trusted with traffic. */
export function answersNeeded({ trustMs }: PathMemory): number {
  return timing.ANSWERS_NEEDED + Math.ceil(trustMs / timing.PROBE_MS);
}

function rest(memory: PathMemory, wakeAt = Number.POSITIVE_INFINITY): Move {
  return { memory, deeds: [], wakeAt };
}

function forget(memory: PathMemory, reason: string, now: number): PathMemory {
  if (memory.state === 'relayed' && memory.reason === reason) return memory;
  const { generation, pings, unansweredSince } = memory;
  return { ...newPath(memory.state === 'relayed' ? memory.since : now), reason, generation, pings, unansweredSince };
}

/** A new try: the own NAT is opened first, then the peer is added. */
function begin(memory: PathMemory, input: PathInput, reason: string): Move {
  const { now } = input;
  // Coming late takes a standing peer away for a moment, which one that is in use must be spared.
  const lateBy = isIdle(input) ? lateness(input) : 0;
  const started: PathMemory = {
    ...memory,
    state: 'punching',
    since: memory.state === 'punching' ? memory.since : now,
    reason,
    fingerprint: input.fingerprint,
    startedAt: now,
    addAt: now + lateBy,
    punches: 1,
    punchedAt: now,
    generation: memory.generation + 1,
    adopted: false,
    wasGone: false,
    wasSilent: false,
  };
  // A peer that stands from an earlier try gets the new endpoint, unless it is in use. One that comes late
  // is taken away until addAt, so it needs no aiming.
  const stands = input.direct.peer !== null && isIdle(input) && lateBy === 0;
  const aim: PathDeed[] = stands ? [{ op: input.reAdds ? 're-add' : 'aim' }] : [];
  return {
    memory: started,
    deeds: [{ op: 'punch', ttl: timing.PUNCH_TTLS[0] }, ...aim],
    wakeAt: lateBy > 0 ? started.addAt : now + Math.min(timing.PUNCH_AGAIN_MS, timing.RE_ADD_MS),
  };
}

/** By how many milliseconds the first packet that reaches the other end comes after the punch. */
function lateness(input: PathInput): number {
  return Math.max(input.comesLast ? timing.COMES_LAST_MS : 0, input.holdsBack ? timing.HOLD_BACK_MS : 0);
}

function whilePunching(memory: PathMemory, input: PathInput): Move {
  const { direct } = healths(memory, input);
  if (direct.alive === true && hasSession(input.direct.peer, input.now)) {
    return memory.wasSilent ? countAnew(memory, input) : whileCandidate(memory, input);
  }
  if (direct.alive === false && !memory.wasSilent) return whilePunching({ ...memory, wasSilent: true }, input);
  const waited = input.now - memory.startedAt;
  const session = hasSession(input.direct.peer, input.now);
  const unproven = session && (input.direct.peer?.lastHandshake ?? 0) * 1000 >= memory.startedAt;
  if (waited >= (unproven ? timing.UNPROVEN_MS : timing.ATTEMPT_MS)) return fail(memory, input, unproven);
  return keepPunching(memory, input);
}

/** What was lost while the path was cut says nothing of how good it is now that it is not. */
function countAnew(memory: PathMemory, { now }: PathInput): Move {
  const next = { ...memory, wasSilent: false, startedAt: now, generation: memory.generation + 1 };
  return rest(next, now + timing.PROBE_MS);
}

/** The direct plane answers: is it good enough, for long enough, or is the other end there already? */
function whileCandidate(memory: PathMemory, input: PathInput): Move {
  const choice = currentChoice(memory, input);
  const following = input.remotePath === 'direct';
  const answers = input.direct.probe?.answeredInRow ?? 0;
  const trusted =
    input.probed && memory.pings === 'unanswered'
      ? followsBlindly(memory, input)
      : following || !input.probed || answers >= answersNeeded(memory);
  if (choice.plane !== 'direct' || !trusted) return rest(memory, input.now + timing.PROBE_MS);
  const reason = following ? `${choice.reason}; the other end is direct` : choice.reason;
  return rest({ ...memory, state: 'direct', since: input.now, reason, failures: 0, proven: true });
}

function keepPunching(memory: PathMemory, input: PathInput): Move {
  const { now } = input;
  const reAddAt = memory.addAt + timing.RE_ADD_MS + jitter(memory, input);
  if (input.reAdds && input.direct.peer !== null && now >= reAddAt && isIdle(input)) {
    const punched = punch(memory, now);
    return {
      memory: { ...punched.memory, addAt: now },
      deeds: [...punched.deeds, { op: 're-add' }],
      wakeAt: now + timing.RE_ADD_MS,
    };
  }
  if (now >= memory.punchedAt + timing.PUNCH_AGAIN_MS) {
    return { ...punch(memory, now), wakeAt: now + timing.PUNCH_AGAIN_MS };
  }
  // What lies in the past is not waited for: it is the other end's to do, or the peer is in use.
  const next = [memory.punchedAt + timing.PUNCH_AGAIN_MS, memory.addAt, input.reAdds ? reAddAt : 0];
  return rest(memory, Math.min(...next.filter((at) => at > now)));
}

function punch(memory: PathMemory, now: number): { memory: PathMemory; deeds: PathDeed[] } {
  const ttl = timing.PUNCH_TTLS[memory.punches % timing.PUNCH_TTLS.length] as number;
  return { memory: { ...memory, punches: memory.punches + 1, punchedAt: now }, deeds: [{ op: 'punch', ttl }] };
}

function fail(memory: PathMemory, input: PathInput, unproven: boolean): Move {
  const failures = memory.failures + 1;
  const what = unproven ? 'a handshake came, but no full-size probe passed' : 'no handshake came through';
  const nextTryAt = nextTry(input.pair, failures, memory.proven, input.now);
  return rest({ ...memory, state: 'relayed', since: input.now, reason: what, failures, nextTryAt }, nextTryAt);
}

function whileDirect(memory: PathMemory, input: PathInput): Move {
  const { now } = input;
  const { relay, direct } = healths(memory, input);
  if (direct.alive === null && memory.adopted && now < memory.startedAt + timing.ADOPTED_MS) {
    return rest(memory, memory.startedAt + timing.ADOPTED_MS);
  }
  const left = input.probed && memory.pings === 'unanswered' && input.remotePath === 'relay';
  const choice: Choice = left
    ? { plane: 'relay', reason: 'the other end is on the relay path' }
    : choosePlane(relay, direct, 'direct');
  // With both planes dead there is nothing to gain by moving.
  const stay = choice.plane === 'direct' || (direct.alive === false && relay.alive === false);
  if (stay) {
    // The session roams with the other end, so what is published meanwhile does not end it.
    const open = direct.alive === null || (input.probed && memory.pings === 'unknown');
    const adopted = memory.adopted && open;
    return rest({ ...memory, fingerprint: input.fingerprint, adopted, wasGone: relay.alive === false });
  }
  const shortLived = now - memory.since < timing.FORGIVE_MS;
  const trustMs = shortLived
    ? Math.min(Math.max(timing.TRUST_MS, memory.trustMs * 2), timing.TRUST_MAX_MS)
    : timing.TRUST_MS;
  const mayTry = input.verdict.may && input.waitingFor === null;
  if (input.target === null || !mayTry) return rest(forget(memory, choice.reason, now));
  return begin({ ...memory, trustMs, failures: 0 }, { ...input, comesLast: false, holdsBack: false }, choice.reason);
}

/**
 * The other end may be using a peer that receives: leave it alone. With libreswan one whose probes are lost is of no
 * use to either: what goes one way only is no SA that works.
 */
function isIdle({ direct, now }: PathInput): boolean {
  const { peer, probe } = direct;
  const isLost = peer !== null && peer.session !== null && (probe?.lostInRow ?? 0) >= timing.LOST_IN_ROW;
  return !timing.isWithin(isLost ? timing.LOST_MS : timing.IN_USE_MS, peer?.receivedAt ?? 0, now);
}

function jitter(memory: PathMemory, input: PathInput): number {
  return Math.floor(fraction(`${input.pair} ${memory.punches}`) * timing.RE_ADD_JITTER_MS);
}
