/** What the agent knows, in the words of `corax status` and the metrics. */
import { neighbourHealth } from '../decide/health.js';
import { currentHealths, type PathMemory, planeOf } from '../decide/path.js';
import { mayBeDirect } from '../decide/relations.js';
import { pathInput, type Relation, reasonOf, relationTo } from '../decide/remote.js';
import { formatHostPort } from '../model/address.js';
import type { PlaneFacts, RemoteFacts, SiteFacts } from '../model/facts.js';
import type { Plane } from '../model/names.js';
import type { PeerStatus, PlaneStatus } from '../model/status.js';
import { factsOf } from './facts.js';
import type { Remote, Remotes } from './remotes.js';

export function peerStatus(site: SiteFacts, remotes: Remotes, remote: Remote, now: number): PeerStatus {
  const relation = relationTo(site, remote.gateway);
  const facts = factsOf(site, remotes, remote);
  const hasDirect = remote.facts.direct.peer !== null;
  const alive = livesOf(site, relation, remote.path, facts, now);
  return {
    gateway: remote.gateway.name,
    node: remote.gateway.active?.nodeName ?? null,
    subnets: [...remote.gateway.subnets],
    path: pathOf(relation, remote.path),
    state: remote.path?.state ?? 'relayed',
    since: remote.path === null ? null : remote.path.since / 1000,
    mayBeDirect: relation.kind === 'edge' ? mayBeDirect(pathInput(site, relation.remote, facts, now).verdict) : null,
    reason: reason(site, relation, remote, facts, now),
    planes: {
      relay: relation.kind === 'none' ? null : planeStatus(facts.relay, alive.relay),
      direct: hasDirect ? planeStatus(remote.facts.direct, alive.direct) : null,
    },
  };
}

export function pathOf(relation: Relation, path: PathMemory | null): PeerStatus['path'] {
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

type Lives = Readonly<Record<Plane, boolean | null>>;

/** As the choice of the path judges them. */
function livesOf(site: SiteFacts, relation: Relation, path: PathMemory | null, facts: RemoteFacts, now: number): Lives {
  if (relation.kind === 'neighbour') return { relay: neighbourHealth(facts.relay, now).alive, direct: null };
  if (relation.kind === 'none' || path === null) return { relay: null, direct: null };
  const { relay, direct } = currentHealths(path, pathInput(site, relation.remote, facts, now));
  return { relay: relay.alive, direct: direct.alive };
}

function planeStatus({ peer, probe }: PlaneFacts, alive: boolean | null): PlaneStatus {
  return {
    endpoint: peer?.endpoint ? formatHostPort(peer.endpoint) : null,
    alive,
    lastHandshake: peer === null || peer.lastHandshake === 0 ? null : peer.lastHandshake,
    rttMs: probe?.rttMs ?? null,
    loss: probe?.loss ?? null,
    rxBytes: peer?.rxBytes ?? null,
    txBytes: peer?.txBytes ?? null,
  };
}
