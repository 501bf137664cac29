/** Metrics of nothing, to be filled in by each test. */
import type { MetricsOptions, NodeState, PeerMetrics, PlaneMetrics } from '#src/telemetry/metrics.js';

export { scrapedPeer as fullPeer } from '../../../bench/agent/scraped.js';

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
