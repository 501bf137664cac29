/** What the agent knows, in the words of `corax status`, `corax explain` and the metrics. */
import { hasDirectPlane } from '../decide/desired.js';
import { type PathMemory, planeOf } from '../decide/path.js';
import { centralRelay, pairVerdict, probeAddressOf } from '../decide/relations.js';
import { type Relation, reasonOf, relationTo, unanswered } from '../decide/remote.js';
import { formatHostPort, type HostPort } from '../model/address.js';
import type { PlaneFacts, RemoteFacts, Site, SiteFacts } from '../model/facts.js';
import type { Explanation, PeerStatus, PlaneStatus } from '../model/status.js';
import type { PeerMetrics, PlaneMetrics } from '../telemetry/peer-metrics.js';
import { factsOf } from './facts.js';
import type { Remote, Remotes } from './remotes.js';

export function peerStatus(site: SiteFacts, remotes: Remotes, remote: Remote, now: number): PeerStatus {
  const relation = relationTo(site, remote.gateway);
  const facts = factsOf(site, remotes, remote);
  const hasDirect = remote.facts.direct.peer !== null;
  return {
    gateway: remote.gateway.name,
    node: remote.gateway.active?.nodeName ?? null,
    subnets: [...remote.gateway.subnets],
    path: pathOf(relation, remote.path),
    state: remote.path?.state ?? 'relayed',
    since: remote.path === null ? null : remote.path.since / 1000,
    reason: reason(site, relation, remote, facts, now),
    planes: {
      relay: relation.kind === 'none' ? null : planeStatus(facts.relay),
      direct: hasDirect ? planeStatus(remote.facts.direct) : null,
    },
  };
}

function pathOf(relation: Relation, path: PathMemory | null): PeerStatus['path'] {
  if (relation.kind === 'none') return null;
  return path === null ? 'relay' : planeOf(path);
}

function reason(site: SiteFacts, relation: Relation, remote: Remote, facts: RemoteFacts, now: number): string {
  if (relation.kind === 'none') return relation.reason;
  if (relation.kind === 'edge' && remote.path !== null) {
    return reasonOf(site, relation.remote, remote.path, facts, now);
  }
  const { peer } = remote.facts.relay;
  const what = relation.remote.endpoint.underNat ? 'this relay holds its tunnel' : 'it is a relay';
  return peer === null || peer.lastHandshake === 0 ? `${what}; no handshake yet` : what;
}

function planeStatus({ peer, probe }: PlaneFacts): PlaneStatus {
  return {
    endpoint: peer?.endpoint ? formatHostPort(peer.endpoint) : null,
    lastHandshake: peer === null || peer.lastHandshake === 0 ? null : peer.lastHandshake,
    rttMs: probe?.rttMs ?? null,
    loss: probe?.loss ?? null,
    rxBytes: peer?.rxBytes ?? null,
    txBytes: peer?.txBytes ?? null,
  };
}

export function peerMetrics(site: SiteFacts, remote: Remote): PeerMetrics {
  const relation = relationTo(site, remote.gateway);
  const { relay, direct } = remote.facts;
  return {
    gateway: remote.gateway.name,
    path: pathOf(relation, remote.path),
    planes: { relay: relation.kind === 'none' ? null : planeMetrics(relay), direct: planeMetrics(direct) },
  };
}

function planeMetrics({ peer, probe }: PlaneFacts): PlaneMetrics | null {
  if (peer === null && probe === null) return null;
  return {
    rttMs: probe?.rttMs ?? null,
    probesSent: probe?.sent ?? null,
    probesLost: probe?.lost ?? null,
    lastHandshake: peer?.lastHandshake ?? null,
    rxBytes: peer?.rxBytes ?? null,
    txBytes: peer?.txBytes ?? null,
  };
}

/** Facts and rules in the order in which they decided. */
export function explanation(site: SiteFacts, remotes: Remotes, remote: Remote, now: number): Explanation {
  const status = peerStatus(site, remotes, remote, now);
  const relation = relationTo(site, remote.gateway);
  const facts: [string, string][] = [
    ['this node', `${site.node}, ${site.role === 'idle' ? 'holds no tunnel' : `a ${site.role}`}`],
    ['active node', status.node ?? 'none'],
    ['subnets', status.subnets.join(', ')],
  ];
  if (relation.kind === 'edge') facts.push(...edgeFacts(site, relation, remote, now));
  for (const plane of ['relay', 'direct'] as const) facts.push([`${plane} plane`, describePlane(status.planes[plane])]);
  facts.push(['path', status.path ?? 'none'], ['state', status.state]);
  if (remote.complaint !== null) facts.push(['complaint', remote.complaint]);
  return {
    gateway: status.gateway,
    facts,
    reason: status.reason,
    wouldChange: wouldChange(site, relation, remote, now),
  };
}

function edgeFacts(
  site: SiteFacts,
  relation: Extract<Relation, { kind: 'edge' }>,
  remote: Remote,
  now: number,
): [string, string][] {
  const { endpoint } = relation.remote;
  const localType = site.nat?.type ?? site.self?.endpoint.natType ?? null;
  const path = remote.path;
  return [
    ['own NAT', localType ?? 'unknown'],
    ["the other's NAT", endpoint.natType ?? 'unknown'],
    ['pair', pairVerdict(localType, endpoint.natType).reason],
    ['own hole', hole(site.self?.endpoint.hole ?? null)],
    ["the other's hole", hole(endpoint.hole)],
    ['central relay', centralRelay(site.relays)?.gateway.name ?? 'none'],
    ["the other's probes", probes(relation.remote, path)],
    ["the other's path", remote.facts.remotePath ?? 'not heard'],
    ['failed tries', String(path?.failures ?? 0)],
    ['next try', path === null || path.nextTryAt <= now ? '-' : `in ${Math.ceil((path.nextTryAt - now) / 1000)} s`],
  ];
}

function probes(remote: Site, path: PathMemory | null): string {
  if (probeAddressOf(remote.endpoint) === null) return 'none: judged by WireGuard alone';
  switch (path?.pings) {
    case 'answered':
      return 'answered on the plane they come by';
    case 'unanswered':
      return unanswered(remote);
    default:
      return 'none answered yet';
  }
}

function hole(at: HostPort | null): string {
  return at === null ? 'not published yet' : formatHostPort(at);
}

function describePlane(plane: PlaneStatus | null): string {
  if (plane === null) return 'none';
  const handshake =
    plane.lastHandshake === null
      ? 'no handshake'
      : `handshake at ${new Date(plane.lastHandshake * 1000).toISOString()}`;
  const rtt =
    plane.rttMs === null ? 'no answer' : `${plane.rttMs.toFixed(1)} ms, ${Math.round((plane.loss ?? 0) * 100)} % lost`;
  return `${plane.endpoint ?? 'no endpoint'}, ${handshake}, ${rtt}`;
}

function wouldChange(site: SiteFacts, relation: Relation, remote: Remote, now: number): string[] {
  if (relation.kind === 'none') return ['a Gateway that says what is missing'];
  if (relation.kind === 'neighbour') return [];
  if (!hasDirectPlane(site)) return ['--direct auto or all'];
  const { path } = remote;
  switch (path?.state) {
    case 'direct':
      return [
        'three direct probes lost in a row',
        'a direct plane that is much slower or loses much more than the relay',
      ];
    case 'punching':
      return ['a handshake and two answered full-size probes on the direct plane'];
    default: {
      const changes = ['another NAT type or hole of either end'];
      if (path && path.nextTryAt > now) changes.push(`the next try, in ${Math.ceil((path.nextTryAt - now) / 1000)} s`);
      return changes;
    }
  }
}
