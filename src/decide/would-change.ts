/** What would change a path: for a person who wants it changed, or fears that it does. */
import type { RemoteFacts, Site, SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import { DIRECT_ALL_LIMIT } from '../model/names.js';
import { NAT_TYPES, type NatType } from '../model/nat.js';
import { formatLoss, formatRtt } from '../model/words.js';
import { inSeconds } from './explain.js';
import { boundsOn, hasSession } from './health.js';
import { onePlaneOf } from './ipsec.js';
import { answersNeeded, currentHealths, currentProbe, newPath, type PathInput, type PathMemory } from './path.js';
import { mayBeDirect, ownNatType, pairVerdict } from './relations.js';
import { pathInput, relationTo } from './remote.js';
import { LOST_IN_ROW, PASSIVE_DEAD_MS } from './timing.js';

/** @param now Unix milliseconds */
export function wouldChange(
  site: SiteFacts,
  gateway: Gateway,
  memory: PathMemory | null,
  facts: RemoteFacts,
  now: number,
): string[] {
  const relation = relationTo(site, gateway);
  if (relation.kind === 'none') return [`an end of this: ${relation.reason}`];
  if (relation.kind === 'neighbour') return ['nothing: there is one tunnel to it, and it is this one'];
  const path = memory ?? newPath(now);
  const input = pathInput(site, relation.remote, facts, now);
  if (!mayBeDirect(input.verdict)) return whereItMayNot(site, relation.remote);
  if (!input.asked) return whileUnasked(site);
  if (!input.verdict.may && path.state !== 'direct') return whileShut(site, relation.remote, facts, now);
  switch (path.state) {
    case 'direct':
      return whileDirect(path, input);
    case 'punching':
      return whilePunching(path, input);
    default:
      return whileRelayed(path, input);
  }
}

function whileUnasked({ direct }: SiteFacts): string[] {
  const otherwise = direct === 'auto' ? `--direct all, or at most ${DIRECT_ALL_LIMIT} remote edges` : '--direct all';
  return ['traffic with it, from either end', `${otherwise}, on this node`];
}

function whereItMayNot(site: SiteFacts, remote: Site): string[] {
  if (site.direct === 'none') return ['--direct auto or all, on this node'];
  const one = onePlaneOf(site, remote);
  if (one !== null) return [one.remedy];
  const [own, theirs] = [ownNatType(site), remote.endpoint.natType];
  const here = typesThat((type) => pairVerdict(type, theirs).may);
  const there = typesThat((type) => pairVerdict(own, type).may);
  return [
    ...(here === null ? [] : [`this end behind ${here}`]),
    ...(there === null ? [] : [`the other end behind ${there}`]),
    ...(site.driver === 'wireguard' ? [`a global IPv6 address ${whoLacksIpv6(site, remote)}`] : []),
    'a public address for either end (underNAT: false makes it a relay)',
  ];
}

function whoLacksIpv6({ self }: SiteFacts, { endpoint }: Site): string {
  if (self?.endpoint.ipv6 == null) return endpoint.ipv6 === null ? 'at both ends' : 'at this end';
  return 'at the other end';
}

function typesThat(fit: (type: NatType) => boolean): string | null {
  const types = NAT_TYPES.filter((type) => type !== 'Undefined' && fit(type));
  return types.length === 0 ? null : types.map((type) => `a ${type}`).join(' or ');
}

/** It can be opened only with the other end's help. */
function whileShut(site: SiteFacts, remote: Site, { opening }: RemoteFacts, now: number): string[] {
  if (!site.hardNat) return ['--hard-nat on, on this node'];
  const memory = opening?.memory;
  const next = memory !== undefined && memory.phase === 'idle' && memory.nextTryAt > now;
  return [
    ...(next ? [`the next try, ${inSeconds(memory.nextTryAt, now)}`] : []),
    "a probe that hits one of the mappings at the symmetric end's NAT",
    `a global IPv6 address ${whoLacksIpv6(site, remote)}`,
  ];
}

function whileDirect(path: PathMemory, input: PathInput): string[] {
  if (!input.probed || path.pings === 'unanswered') {
    return [`nothing heard on the direct plane for ${PASSIVE_DEAD_MS / 1000} s while this end sends`];
  }
  const { relay, direct } = currentHealths(path, input);
  const lost = currentProbe(path, input.direct)?.lostInRow ?? 0;
  const { factor, slackMs, lossSlack } = boundsOn('direct');
  const changes = [`${LOST_IN_ROW} direct probes lost in a row (now ${lost}), while the relay answers`];
  if (relay.rttMs !== null) {
    const most = formatRtt(relay.rttMs * factor + slackMs);
    changes.push(`a direct round trip over ${most} ms (now ${formatRtt(direct.rttMs)} ms)`);
  }
  if (relay.loss !== null) {
    const most = formatLoss(relay.loss + lossSlack);
    changes.push(`direct loss over ${most} (now ${formatLoss(direct.loss)})`);
  }
  return changes;
}

function whilePunching(path: PathMemory, input: PathInput): string[] {
  const changes: string[] = [];
  if (!hasSession(input.direct.peer, input.now)) changes.push('a handshake on the direct plane');
  if (input.probed && path.pings !== 'unanswered') {
    const answers = currentProbe(path, input.direct)?.answeredInRow ?? 0;
    changes.push(`${answersNeeded(path)} full-size direct probes answered in a row (now ${answers})`);
    changes.push('the other end going direct, and one answer');
  }
  return changes;
}

function whileRelayed(path: PathMemory, { waitingFor, now }: PathInput): string[] {
  if (waitingFor !== null) return [waitingFor];
  const changes = path.nextTryAt > now ? [`the next try, ${inSeconds(path.nextTryAt, now)}`] : [];
  return [...changes, 'another NAT type, hole or key of either end: it is tried at once', 'the other end coming back'];
}
