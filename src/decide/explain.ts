/**
 * Every fact and rule behind the path to one remote, in the order in which they decide. What is said here is what
 * the rules' own functions say, so that the words cannot drift from them. Times are Unix milliseconds.
 */
import { formatHostPort, type HostPort } from '../model/address.js';
import type { PlaneFacts, RemoteFacts, Site, SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { ExplainedFact, ExplainedSection } from '../model/status.js';
import { formatDuration, formatLoss, formatRtt } from '../model/words.js';
import { isOnDemand } from './demand.js';
import { hasDirectPlane } from './desired.js';
import { ago, explainPlane, fact, type Verdict } from './explain-plane.js';
import { boundsOn, neighbourHealth, type PlaneHealth } from './health.js';
import {
  answersNeeded,
  currentChoice,
  currentHealths,
  currentProbe,
  newPath,
  type PathInput,
  type PathMemory,
  planeOf,
} from './path.js';
import { centralRelay, isCorax, mayBeDirect, ownNatType } from './relations.js';
import { pathInput, type Relation, relationTo, unanswered } from './remote.js';
import { ATTEMPT_MS, DEMAND_MS, DIFFER_MS, UNPROVEN_MS } from './timing.js';

/** @param memory null: nothing was decided yet */
export function explainRemote(
  site: SiteFacts,
  gateway: Gateway,
  memory: PathMemory | null,
  facts: RemoteFacts,
  now: number,
): ExplainedSection[] {
  const relation = relationTo(site, gateway);
  const who = explainWho(site, gateway, relation);
  if (relation.kind === 'none') return [who];
  if (relation.kind === 'neighbour') {
    const health = neighbourHealth(facts.relay, now);
    const byProbes = (facts.relay.probe?.received ?? 0) > 0;
    return [who, explainPlane({ title: 'Its tunnel', plane: facts.relay, health, byProbes }, now)];
  }
  const path = memory ?? newPath(now);
  const input = pathInput(site, relation.remote, facts, now);
  const pair = [who, explainPair(site, relation.remote, input, facts), ...explainPlanes(relation.remote, path, input)];
  // Where it may not be direct nothing is compared, and nothing tried
  return mayBeDirect(input.verdict) ? [...pair, explainChoice(path, input), explainTries(path, input)] : pair;
}

function explainWho(site: SiteFacts, gateway: Gateway, relation: Relation): ExplainedSection {
  const { active } = gateway;
  const runs = active?.publicKey == null ? '' : active.corax === null ? ', runs raven' : `, runs corax ${active.corax}`;
  const facts = [
    fact('this node', `${site.node}, ${site.role === 'idle' ? 'holds no tunnel' : site.role}`),
    fact('the other', active === null ? 'no active node' : `${active.nodeName}${runs}`, active === null ? 'bad' : null),
    fact('its subnets', gateway.subnets.join(', ')),
  ];
  if (relation.kind === 'none') facts.push(fact('relation', relation.reason, 'bad'));
  if (relation.kind === 'neighbour') {
    facts.push(fact('relation', relation.remote.endpoint.underNat ? 'this relay holds its tunnel' : 'it is a relay'));
  }
  if (relation.kind === 'edge') {
    const central = centralRelay(site.relays);
    facts.push(
      fact('relation', 'both are edges: by the central relay, and directly where that can be'),
      fact('central relay', central === null ? 'none' : central.gateway.name, central === null ? 'bad' : null),
    );
  }
  return { title: 'Who', verdict: null, facts };
}

/** May the pair be direct at all, and is all known that a try needs? */
function explainPair(site: SiteFacts, remote: Site, input: PathInput, facts: RemoteFacts): ExplainedSection {
  const { verdict, asked, waitingFor } = input;
  const hole = (at: HostPort | null): [string, Verdict] =>
    at === null ? ['not published yet', 'open'] : [formatHostPort(at), 'good'];
  const switchedOn = hasDirectPlane(site);
  return {
    title: 'May it be direct?',
    verdict: mayBeDirect(verdict) ? (asked && waitingFor === null ? 'yes' : 'yes, not yet') : 'no',
    facts: [
      fact(
        'direct planes',
        `${switchedOn ? 'on' : 'off'} (${site.onePlane ? 'one plane' : `--direct ${site.direct}`})`,
        switchedOn ? 'good' : 'bad',
      ),
      ...explainDemand(site, facts, input),
      fact('own NAT', ownNatType(site) ?? 'unknown'),
      fact('its NAT', remote.endpoint.natType ?? 'unknown'),
      fact('rule', verdict.reason, verdict.may ? 'good' : mayBeDirect(verdict) ? 'open' : 'bad'),
      fact('own hole', ...hole(site.self?.endpoint.hole ?? null)),
      fact('its hole', ...hole(remote.endpoint.hole)),
      ...explainIpv6(site.self?.endpoint.ipv6 ?? null, remote.endpoint.ipv6),
      ...(waitingFor === null ? [] : [fact('waiting for', waitingFor, 'open')]),
    ],
  };
}

function explainDemand(site: SiteFacts, { trafficAt }: RemoteFacts, { asked, now }: PathInput): ExplainedFact[] {
  if (!isOnDemand(site)) return [];
  const rule = `direct planes are on demand, and go ${formatDuration(DEMAND_MS / 1000)} after the last packet`;
  return [fact('traffic', trafficAt === undefined ? 'none seen' : ago(trafficAt, now), asked ? 'good' : 'open', rule)];
}

/** Said only where there is something to say: most sites have none. */
function explainIpv6(own: HostPort | null, theirs: HostPort | null): ExplainedFact[] {
  if (own === null && theirs === null) return [];
  const say = (at: HostPort | null): [string, Verdict] =>
    at === null ? ['none', 'open'] : [formatHostPort(at), 'good'];
  return [fact('own IPv6', ...say(own)), fact('its IPv6', ...say(theirs))];
}

function explainPlanes(remote: Site, path: PathMemory, input: PathInput): ExplainedSection[] {
  const healths = currentHealths(path, input);
  const byProbes = input.probed && path.pings !== 'unanswered';
  const titles = { relay: 'Relay plane', direct: 'Direct plane' } as const;
  const planes: Record<keyof typeof titles, PlaneFacts> = {
    relay: input.relay,
    direct: { peer: input.direct.peer, probe: currentProbe(path, input.direct) },
  };
  const sections = (['relay', 'direct'] as const).map((plane) =>
    explainPlane({ title: titles[plane], plane: planes[plane], health: healths[plane], byProbes }, input.now),
  );
  return byProbes ? sections : sections.map((section) => withWhy(section, whyNoProbes(remote, input)));
}

function withWhy(section: ExplainedSection, why: string): ExplainedSection {
  return section.facts.length === 0 ? section : { ...section, facts: [...section.facts, fact('no probes', why)] };
}

function whyNoProbes(remote: Site, { probed }: PathInput): string {
  if (probed) return unanswered(remote);
  if (!isCorax(remote.endpoint)) return "raven answers by its own path: judged by WireGuard's own packets";
  return "one of the two ends has no probe address: judged by WireGuard's own packets";
}

function explainChoice(path: PathMemory, input: PathInput): ExplainedSection {
  const choice = currentChoice(path, input);
  const healths = currentHealths(path, input);
  const facts = compare(healths, planeOf(path));
  if (path.state === 'punching') facts.push(trust(path, input));
  facts.push(remotePath(path, input));
  return { title: 'Which is better?', verdict: choice.plane, facts: [fact('choice', choice.reason), ...facts] };
}

/** The two comparisons of {@link choosePlane}, with their numbers. */
function compare({ relay, direct }: Record<'relay' | 'direct', PlaneHealth>, current: 'relay' | 'direct') {
  const { factor, slackMs, lossSlack } = boundsOn(current);
  const facts: ExplainedFact[] = [];
  if (relay.rttMs !== null && direct.rttMs !== null) {
    const most = relay.rttMs * factor + slackMs;
    const value = `direct ${formatRtt(direct.rttMs)} ms, relay ${formatRtt(relay.rttMs)} ms`;
    const rule = `direct at most ${formatRtt(most)} ms: ${factor} × relay + ${slackMs} ms`;
    facts.push(fact('round trips', value, direct.rttMs <= most ? 'good' : 'bad', rule));
  }
  if (relay.loss !== null && direct.loss !== null) {
    const most = relay.loss + lossSlack;
    const value = `direct ${formatLoss(direct.loss)}, relay ${formatLoss(relay.loss)}`;
    const rule = `direct at most ${formatLoss(most)}: relay + ${formatLoss(lossSlack)}`;
    facts.push(fact('losses', value, direct.loss <= most ? 'good' : 'bad', rule));
  }
  return facts;
}

function trust(path: PathMemory, input: PathInput): ExplainedFact {
  const needed = answersNeeded(path);
  const answers = currentProbe(path, input.direct)?.answeredInRow ?? 0;
  const why = path.trustMs > 0 ? `, of which ${path.trustMs / 1000} s because it has failed` : '';
  const rule = `${needed} make it trusted${why}`;
  return fact('answered in a row', `${answers} full-size probes`, answers >= needed ? 'good' : 'open', rule);
}

function remotePath(path: PathMemory, { remotePath: theirs }: PathInput): ExplainedFact {
  if (theirs === null) return fact("the other's path", 'not heard');
  const same = theirs === planeOf(path);
  const rule = `differing for ${DIFFER_MS / 1000} s is an error`;
  return fact("the other's path", theirs, same ? 'good' : 'open', same ? null : rule);
}

function explainTries(path: PathMemory, input: PathInput): ExplainedSection {
  const { now } = input;
  const facts = [
    fact('state', `${path.state}, since ${formatDuration(Math.max(0, now - path.since) / 1000)}`),
    fact('entered because', path.reason),
    fact('failed tries', String(path.failures), path.failures === 0 ? 'good' : 'open'),
  ];
  if (path.state === 'punching') {
    const rule = `ends at ${ATTEMPT_MS / 1000} s without a handshake, at ${UNPROVEN_MS / 1000} s with one`;
    facts.push(fact('this try', `began ${ago(path.startedAt, now)}, ${path.punches} punches`, 'open', rule));
  }
  if (path.state === 'relayed' && path.nextTryAt > now) facts.push(fact('next try', inSeconds(path.nextTryAt, now)));
  if (path.trustMs > 0) {
    const value = `${path.trustMs / 1000} s of answers`;
    facts.push(fact('trusted again after', value, null, 'doubles each time that a direct path fails early'));
  }
  return { title: 'Tries', verdict: null, facts };
}

export function inSeconds(at: number, now: number): string {
  return `in ${formatDuration(Math.ceil(Math.max(0, at - now) / 1000))}`;
}
