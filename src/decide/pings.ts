/** Whether the other end answers probes at all, and how a pair is judged where it does not. */
import { hasSession, healthOf, owedHealth } from './health.js';
import type { PathInput, PathMemory } from './path.js';
import { LOST_IN_ROW, UNANSWERED_MS, UNANSWERED_PROBES } from './timing.js';

/** A host's firewall may drop pings and let WireGuard through: then unanswered probes tell nothing. */
export function afterPings(memory: PathMemory, { probed, relay, direct, now }: PathInput): PathMemory {
  if (!probed || memory.pings === 'answered') return memory;
  const answered = (relay.probe?.received ?? 0) > 0 || (direct.probe?.received ?? 0) > 0;
  if (answered) return { ...memory, pings: 'answered', unansweredSince: 0 };
  if (memory.pings === 'unanswered') return memory;
  const sent = relay.probe?.sent ?? 0;
  if (sent === 0 || !hasSession(relay.peer, now)) return { ...memory, unansweredSince: 0 };
  const since = memory.unansweredSince || now;
  const enough = now - since >= UNANSWERED_MS && sent >= UNANSWERED_PROBES;
  return { ...memory, unansweredSince: since, pings: enough ? 'unanswered' : 'unknown' };
}

/** Both planes, as this pair can be judged. */
export function healths(memory: PathMemory, { probed, relay, direct, now }: PathInput) {
  // Of a path that was found direct it may be that no probe ever was answered.
  const isDirect = memory.state === 'direct';
  const unanswered = memory.pings === 'unanswered' || (isDirect && memory.adopted && memory.pings === 'unknown');
  if (!probed || !unanswered) return { relay: healthOf(relay, probed, now), direct: healthOf(direct, probed, now) };
  const since = isDirect ? memory.since : memory.startedAt;
  return {
    relay: healthOf(relay, false, now),
    direct: owedHealth(direct.peer, since, isDirect ? true : null, now),
  };
}

/**
 * An end whose probes nobody answers goes by what the other says, which may have answers to its own. Where that
 * cannot be heard either, this plane's probes too must have had their chance (the other end may just have come up),
 * and the plane must have lived for as long as it is to be trusted later.
 */
export function followsBlindly(memory: PathMemory, { remotePath, direct, now }: PathInput): boolean {
  if (remotePath !== null) return remotePath === 'direct';
  return (direct.probe?.sent ?? 0) > LOST_IN_ROW && now - memory.startedAt >= memory.trustMs;
}
