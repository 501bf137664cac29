/** A status as an edge would give it. */
import type { Explanation, PeerStatus, Status } from '#src/model/status.js';

export const NOW = 1_790_000_060;

export function peerStatus(changes: Partial<PeerStatus> = {}): PeerStatus {
  return {
    gateway: 'gw-b',
    node: 'edge-b',
    subnets: ['10.244.2.0/24'],
    path: 'direct',
    state: 'direct',
    since: 1_790_000_000,
    mayBeDirect: true,
    reason: 'direct answers in 37.4 ms, relay in 54.7 ms',
    planes: {
      relay: {
        endpoint: '203.0.113.1:4500',
        alive: true,
        lastHandshake: 1_790_000_000.1,
        rttMs: 54.7,
        loss: 0,
        rxBytes: 1,
        txBytes: 1,
      },
      direct: {
        endpoint: '203.0.113.20:4500',
        alive: true,
        lastHandshake: 1_790_000_050.2,
        rttMs: 37.4,
        loss: 0.004,
        rxBytes: 2048,
        txBytes: 1,
      },
    },
    ...changes,
  };
}

export function edgeStatus(changes: Partial<Status> = {}): Status {
  return {
    node: 'edge-a',
    gateway: 'gw-a',
    role: 'edge',
    driver: 'wireguard',
    version: '0.1.0',
    startedAt: NOW - 7200,
    engine: { wireguardMessages: 12, wireguardPeers: 9, routeMessages: 34, nftTransactions: 1, probesSent: 5678 },
    nat: {
      type: 'Port Restricted cone NAT',
      mapping: 'endpoint-independent',
      filtering: 'address-and-port-dependent',
      hole: '203.0.113.10:4500',
      profile: null,
    },
    store: { kind: 'directory', synced: true, lastError: null },
    peers: [
      peerStatus(),
      peerStatus({
        gateway: 'gw-c',
        path: 'relay',
        state: 'relayed',
        mayBeDirect: false,
        reason: 'both NATs are symmetric',
      }),
    ],
    errors: [],
    ...changes,
  };
}

export function explanation(changes: Partial<Explanation> = {}): Explanation {
  return {
    gateway: 'gw-b',
    node: 'edge-b',
    path: 'relay',
    state: 'relayed',
    since: NOW - 300,
    facts: [['own NAT', 'Full cone NAT']],
    sections: [
      {
        title: 'May it be direct?',
        verdict: 'no',
        facts: [
          { label: 'own NAT', value: 'Symmetric NAT', rule: null, verdict: null },
          { label: 'rule', value: 'both ends are behind a Symmetric NAT', rule: null, verdict: 'bad' },
        ],
      },
      {
        title: 'Relay plane',
        verdict: 'alive',
        facts: [{ label: 'lost in a row', value: '0', rule: '3 make it dead', verdict: 'good' }],
      },
      { title: 'Direct plane', verdict: 'not there', facts: [] },
    ],
    reason: 'both ends are behind a Symmetric NAT',
    wouldChange: ['another NAT at either end'],
    changes: [],
    ...changes,
  };
}
