/** Metrics of nothing, to be filled in by each test. */
import type { MetricsOptions, NodeState, PeerMetrics, PlaneMetrics } from '#src/telemetry/metrics.js';

export const NODE_STATE: NodeState = {
  node: 'edge-a',
  gateway: 'gw-a',
  role: 'edge',
  tunnelMtu: 1420,
  store: { synced: true, ok: true, refusedUs: false, lastSync: 1_790_000_000_500, refused: 0, reads: 3, writes: 2 },
  handshakesUnanswered: 0,
};

export function metricsOptions(values: Partial<MetricsOptions> = {}): MetricsOptions {
  return {
    version: '9',
    driver: 'wireguard',
    maxPeers: 100,
    wireguardNames: false,
    peers: () => ({ count: 0, each: [] }),
    natPairs: () => [],
    node: () => NODE_STATE,
    ...values,
  };
}

export function planeMetrics(values: Partial<PlaneMetrics> = {}): PlaneMetrics {
  return { rttMs: null, jitterMs: null, probesSent: null, probesLost: null, ...values };
}

export function peerOf(gateway: string, values: Partial<PeerMetrics> = {}): PeerMetrics {
  return {
    gateway,
    driver: 'wireguard',
    publicKey: null,
    natType: null,
    path: 'relay',
    relayUp: null,
    lastHandshake: null,
    handshakeRttMs: null,
    rxBytes: null,
    txBytes: null,
    planes: { relay: planeMetrics(), direct: null },
    tunnels: [],
    ...values,
  };
}

/** One that has all: twelve lines and more. */
export function fullPeer(gateway: string, index: number): PeerMetrics {
  const plane = (rttMs: number) =>
    planeMetrics({ rttMs, jitterMs: rttMs / 10, probesSent: 1000 + index, probesLost: index % 7 });
  return peerOf(gateway, {
    publicKey: Buffer.alloc(32, index % 251).toString('base64'),
    natType: 'Port Restricted cone NAT',
    path: index % 2 === 0 ? 'direct' : 'relay',
    lastHandshake: 1_790_000_000.125 + index,
    handshakeRttMs: 30.5 + (index % 10),
    rxBytes: 1_000_000 + index,
    txBytes: 2_000_000 + index,
    planes: { relay: plane(54.7 + index / 1000), direct: plane(37.4 + index / 1000) },
  });
}
