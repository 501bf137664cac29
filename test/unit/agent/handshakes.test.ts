import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Handshakes } from '#src/agent/handshakes.js';
import { Remotes } from '#src/agent/remotes.js';
import type { PeerUpdate } from '#src/tunnel/driver.js';
import { at, gateway, keyOf } from '../decide/fixtures.js';

const NOW = 1_800_000_000_000;

function rig() {
  const remotes = new Remotes();
  const told: string[] = [];
  const handshakes = new Handshakes(remotes, {
    answered: ({ gateway }, rttMs) => told.push(`${gateway.name} ${rttMs}`),
    ended: ({ gateway }, result) => told.push(`${gateway.name} ${result}`),
  });
  const see = (number: number, port: number, more: Partial<PeerUpdate> = {}) =>
    remotes.seePeer(
      {
        plane: 'direct',
        key: keyOf(number),
        gone: false,
        session: null,
        moved: true,
        endpoint: at('203.0.113.9', port),
        lastHandshake: 0,
        rxBytes: 0,
        txBytes: 0,
        carries: null,
        ...more,
      },
      NOW,
    );
  const answer = (port: number, rttMs: number, now = NOW) =>
    handshakes.answered({ type: 'handshake', address: '203.0.113.9', port, rttMs }, now);
  return { remotes, handshakes, told, see, answer };
}

describe('handshakes seen on the wire', () => {
  it('are told of the remote whose peer is there, wherever it moves', () => {
    const { remotes, told, see, answer } = rig();
    for (const number of [2, 3]) remotes.put(gateway(number));
    see(2, 1000);
    see(3, 2000);
    answer(1000, 1);
    see(2, 3000);
    see(3, 1000);
    answer(1000, 2);
    answer(3000, 3);
    see(3, 1000, { gone: true });
    answer(1000, 4);
    remotes.delete('gw-2');
    answer(3000, 5);
    assert.deepEqual(told, ['gw-2 1', 'gw-3 2', 'gw-2 3']);
  });

  it('of a peer with both planes in one place outlive one of the planes', () => {
    const { remotes, told, see, answer } = rig();
    remotes.put(gateway(2));
    see(2, 1000);
    see(2, 1000, { plane: 'relay' });
    remotes.dropPeer(keyOf(2), 'direct');
    answer(1000, 1);
    remotes.put(gateway(2, { key: keyOf(22) }));
    answer(1000, 2);
    assert.deepEqual(told, ['gw-2 1']);
  });

  it('wait for the next look where nobody is known there, a few of them', () => {
    const { remotes, handshakes, told, see, answer } = rig();
    for (let times = 0; times < 100; times++) answer(1000, times);
    remotes.put(gateway(2));
    see(2, 1000);
    handshakes.looked(NOW);
    assert.equal(told.length, 64);
    handshakes.looked(NOW);
    assert.equal(told.length, 64);
  });

  it('that the kernel makes nothing of are refused: the pre-shared keys differ', () => {
    const { remotes, handshakes, told, see, answer } = rig();
    for (const number of [2, 3, 4]) remotes.put(gateway(number));
    see(2, 2000, { lastHandshake: NOW / 1000 - 120 });
    see(3, 3000, { lastHandshake: NOW / 1000 - 120 });
    see(4, 4000);
    for (const port of [2000, 3000, 4000]) answer(port, 9);
    told.length = 0;
    handshakes.looked(NOW + 1000);
    assert.deepEqual(told, [], 'not yet');
    see(2, 2000, { lastHandshake: NOW / 1000 });
    see(4, 4000, { gone: true });
    handshakes.looked(NOW + 2000);
    assert.deepEqual(told, ['gw-2 completed', 'gw-3 refused']);
    handshakes.looked(NOW + 4000);
    assert.equal(told.length, 2);
  });
});
