/** What the agent knows, as the metrics have it. */

import { tunnelMtu } from '../decide/desired.js';
import { neighbourHealth } from '../decide/health.js';
import { type Relation, relationTo } from '../decide/remote.js';
import type { PlaneFacts, SiteFacts } from '../model/facts.js';
import { DEVICES, PLANES, type Plane } from '../model/names.js';
import type { StoreHealth } from '../store/store.js';
import type { NatPair, NodeState, PeerMetrics, PlaneMetrics } from '../telemetry/metrics.js';
import type { TunnelMetrics } from '../telemetry/peer-metrics.js';
import type { Remote, Totals } from './remotes.js';
import { pathOf } from './report.js';
import type { World } from './world.js';

export interface Measured {
  readonly site: SiteFacts;
  readonly driver: string;
  /** Given where the peers of the devices are to be told, too. */
  readonly world: World | null;
}

export function peerMetrics({ site, driver, world }: Measured, remote: Remote, now: number): PeerMetrics {
  const { gateway, facts, totals } = remote;
  const relation = relationTo(site, gateway);
  const peers = PLANES.flatMap((plane) => facts[plane].peer ?? []);
  const rxBytes = totals.relay.rxBytes + totals.direct.rxBytes;
  const txBytes = totals.relay.txBytes + totals.direct.txBytes;
  // What was a peer of its own and is none for the moment keeps what it carried.
  const counted = peers.length > 0 || rxBytes + txBytes > 0;
  return {
    gateway: gateway.name,
    driver,
    publicKey: gateway.active?.publicKey ?? null,
    natType: gateway.active?.natType ?? null,
    path: pathOf(relation, remote.path),
    relayUp: isRelay(relation) ? neighbourHealth(facts.relay, now).alive === true : null,
    // The kernel forgets it with a peer that is added anew: that is no peer that never answered.
    lastHandshake: peers.length === 0 ? null : Math.max(totals.relay.lastHandshake, totals.direct.lastHandshake),
    handshakeRttMs: remote.handshakeRttMs,
    rxBytes: counted ? rxBytes : null,
    txBytes: counted ? txBytes : null,
    planes: {
      relay: relation.kind === 'none' ? null : planeMetrics(facts.relay, totals.relay),
      direct: planeMetrics(facts.direct, totals.direct),
    },
    tunnels: world === null ? [] : tunnelsOf(world, remote),
  };
}

function isRelay(relation: Relation): boolean {
  return relation.kind === 'neighbour' && !relation.remote.endpoint.underNat;
}

function planeMetrics({ probe }: PlaneFacts, { probesSent, probesLost }: Totals): PlaneMetrics | null {
  if (probe === null && probesSent === 0) return null;
  return { rttMs: probe?.rttMs ?? null, jitterMs: probe?.jitterMs ?? null, probesSent, probesLost };
}

function tunnelsOf(world: World, { gateway, facts, totals }: Remote): TunnelMetrics[] {
  const key = gateway.active?.publicKey;
  const tunnel = (plane: Plane): TunnelMetrics[] => {
    const { peer } = facts[plane];
    if (peer === null || key == null) return [];
    const allowedIps = Array.from(world.carriedBy(plane, key), ({ prefix }) => prefix).sort();
    const { rxBytes, txBytes } = totals[plane];
    return [{ device: DEVICES[plane], allowedIps, lastHandshake: peer.lastHandshake, rxBytes, txBytes }];
  };
  return PLANES.flatMap(tunnel);
}

/** Of this edge and each kind of remote edge. */
export function natPairs(site: SiteFacts, remotes: Iterable<Remote>): NatPair[] {
  if (site.role !== 'edge') return [];
  const remoteTypes = new Set<string>();
  for (const { gateway } of remotes) if (gateway.active?.underNat) remoteTypes.add(gateway.active.natType ?? 'unknown');
  const local = site.nat?.type ?? 'unknown';
  return [...remoteTypes].map((remote) => ({ local, remote }));
}

export function nodeState(site: SiteFacts, gateway: string | null, store: StoreHealth, unanswered: number): NodeState {
  const { synced, lastError, lastSync, refused, reads, writes } = store;
  return {
    node: site.node,
    gateway,
    role: site.role,
    tunnelMtu: site.role === 'edge' || site.role === 'relay' ? tunnelMtu(site) : null,
    store: {
      synced,
      ok: lastError === null,
      refusedUs: lastError?.denied === true,
      lastSync,
      refused: refused.length,
      reads,
      writes,
    },
    handshakesUnanswered: unanswered,
  };
}
