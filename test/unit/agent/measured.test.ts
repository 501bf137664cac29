import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { natPairs, nodeState, peerMetrics } from '#src/agent/measured.js';
import { Remotes } from '#src/agent/remotes.js';
import { World } from '#src/agent/world.js';
import { newPath } from '#src/decide/path.js';
import type { PeerUpdate } from '#src/tunnel/driver.js';
import { at, gateway, keyOf, prefix, probeFacts, relay, siteFacts } from '../decide/fixtures.js';

const NOW = 1_800_000_000_000;
const site = siteFacts(gateway(1), [relay(9)]);
const measured = { site, driver: 'wireguard', world: null };

function rig() {
  const remotes = new Remotes();
  for (const of of [gateway(2), relay(9)]) remotes.put(of);
  const see = (number: number, more: Partial<PeerUpdate> = {}) =>
    remotes.seePeer(
      {
        plane: 'relay',
        key: keyOf(number),
        gone: false,
        session: null,
        moved: true,
        endpoint: at('203.0.113.9'),
        lastHandshake: NOW / 1000 - 10,
        rxBytes: 100,
        txBytes: 50,
        carries: null,
        ...more,
      },
      NOW,
    );
  const measure = (name: string) => peerMetrics(measured, remotes.get(name) ?? assert.fail(name), NOW);
  return { remotes, see, measure };
}

describe('a peer as the metrics have it', () => {
  it('between edges: bytes and handshakes of its own on the direct plane only, and of then on', () => {
    const { remotes, see, measure } = rig();
    remotes.seeProbe('gw-2', 'relay', probeFacts({ sent: 10, lost: 1, rttMs: 50, jitterMs: 2 }));
    const before = measure('gw-2');
    assert.deepEqual([before.rxBytes, before.txBytes, before.lastHandshake, before.relayUp], [null, null, null, null]);
    assert.deepEqual(before.planes, {
      relay: { rttMs: 50, jitterMs: 2, probesSent: 10, probesLost: 1 },
      direct: null,
    });
    see(2, { plane: 'direct' });
    assert.deepEqual([measure('gw-2').rxBytes, measure('gw-2').lastHandshake], [100, NOW / 1000 - 10]);
    see(2, { plane: 'direct', gone: true });
    assert.deepEqual([measure('gw-2').rxBytes, measure('gw-2').lastHandshake], [100, null]);
    see(2, { plane: 'direct', rxBytes: 0, lastHandshake: 0 });
    assert.deepEqual([measure('gw-2').rxBytes, measure('gw-2').lastHandshake], [100, NOW / 1000 - 10], 'added anew');
  });

  it('has the path that carries traffic', () => {
    const { remotes, measure } = rig();
    assert.equal(measure('gw-2').path, 'relay');
    (remotes.get('gw-2') ?? assert.fail()).path = { ...newPath(NOW), state: 'direct' };
    assert.equal(measure('gw-2').path, 'direct');
  });

  it('a relay is up while its tunnel lives', () => {
    const { remotes, see, measure } = rig();
    assert.equal(measure('relay-9').relayUp, false, 'never seen');
    see(1009);
    remotes.seeProbe('relay-9', 'relay', probeFacts({ received: 5 }));
    assert.equal(measure('relay-9').relayUp, true);
    remotes.seeProbe('relay-9', 'relay', probeFacts({ received: 5, lostInRow: 3 }));
    assert.equal(measure('relay-9').relayUp, false);
  });

  it('names its devices and prefixes only where they are asked for', () => {
    const { remotes, see } = rig();
    see(2, { plane: 'direct', rxBytes: 7 });
    const remote = remotes.get('gw-2') ?? assert.fail();
    const world = new World();
    for (const text of ['10.0.3.0/24', '10.0.2.0/24'])
      world.confirm({
        op: 'put',
        present: null,
        item: { kind: 'carry', plane: 'direct', prefix: prefix(text), peer: keyOf(2) },
      });
    assert.deepEqual(peerMetrics(measured, remote, NOW).tunnels, []);
    const [tunnel, ...more] = peerMetrics({ ...measured, world }, remote, NOW).tunnels;
    assert.deepEqual(more, []);
    assert.deepEqual(
      [tunnel?.device, tunnel?.allowedIps, tunnel?.rxBytes],
      ['raven-wg1', ['10.0.2.0/24', '10.0.3.0/24'], 7],
    );
  });
});

it('pairs of NATs: this edge with each kind of remote edge, and no relay', () => {
  const remotes = new Remotes();
  for (const of of [gateway(2, { natType: 'Symmetric NAT' }), gateway(3, { natType: 'Symmetric NAT' }), relay(9)])
    remotes.put(of);
  remotes.put(gateway(4, { natType: null }));
  const pairs = natPairs(site, remotes.all).map(({ remote }) => remote);
  assert.deepEqual(pairs, ['Symmetric NAT', 'unknown']);
  assert.deepEqual(natPairs({ ...site, role: 'relay' }, remotes.all), []);
});

it('the node as the metrics have it', () => {
  const health = { synced: true, lastError: null, lastSync: 5, refused: [], reads: 1, writes: 2 };
  const state = nodeState(site, 'gw-1', health, 3);
  assert.deepEqual([state.role, state.gateway, state.store.ok, state.store.refusedUs], ['edge', 'gw-1', true, false]);
  assert.ok((state.tunnelMtu ?? 0) >= 1280);
  const lastError = { code: 'CORAX_STORE', message: 'no', at: 1, denied: true };
  const bad = nodeState({ ...site, role: 'idle' }, null, { ...health, lastError }, 3);
  assert.deepEqual([bad.tunnelMtu, bad.store.ok, bad.store.refusedUs], [null, false, true]);
});
