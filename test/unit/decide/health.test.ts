import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { choosePlane, hasSession, healthOf, owedHealth, type PlaneHealth } from '#src/decide/health.js';
import { PASSIVE_DEAD_MS, SESSION_MS } from '#src/decide/timing.js';
import type { PeerFacts, ProbeFacts } from '#src/model/facts.js';
import { peerFacts, probeFacts } from './fixtures.js';

const NOW = 1_800_000_000_000;
const secondsAgo = (seconds: number) => NOW / 1000 - seconds;

describe('is a plane alive, by probes', () => {
  const cases: [string, ProbeFacts | null, boolean | null][] = [
    ['not probed', null, null],
    ['no answer yet', probeFacts({ sent: 2 }), null],
    ['answered', probeFacts({ received: 1, answeredInRow: 1 }), true],
    ['two lost', probeFacts({ received: 9, lostInRow: 2 }), true],
    ['three lost', probeFacts({ received: 9, lostInRow: 3 }), false],
    ['never answered, three lost', probeFacts({ lostInRow: 3 }), false],
  ];
  for (const [name, probe, alive] of cases) {
    it(`${name}: ${alive}`, () => assert.equal(healthOf({ peer: null, probe }, true, NOW).alive, alive));
  }
});

describe('is a plane alive, by what WireGuard owes', () => {
  const fresh = { lastHandshake: secondsAgo(60), receivedAt: NOW - 1000 };
  const cases: [string, PeerFacts | null, boolean | null][] = [
    ['no peer', null, null],
    ['no handshake', peerFacts({ sentAt: NOW }), null],
    ['fresh', peerFacts(fresh), true],
    ['idle for long, session fresh', peerFacts({ ...fresh, receivedAt: NOW - 50_000, sentAt: NOW - 55_000 }), true],
    ['sent, the answer is still owed', peerFacts({ ...fresh, receivedAt: NOW - PASSIVE_DEAD_MS, sentAt: NOW }), true],
    ['sent and not answered', peerFacts({ ...fresh, receivedAt: NOW - PASSIVE_DEAD_MS - 1, sentAt: NOW }), false],
    ['heard before the clock was set back', peerFacts({ ...fresh, receivedAt: NOW + 3_600_000, sentAt: NOW }), false],
    ['session of before the clock was set back', peerFacts({ ...fresh, lastHandshake: secondsAgo(-3600) }), false],
    ['session ran out', peerFacts({ lastHandshake: secondsAgo(SESSION_MS / 1000 + 1), receivedAt: NOW }), false],
  ];
  for (const [name, peer, alive] of cases) {
    it(`${name}: ${alive}`, () => assert.equal(healthOf({ peer, probe: null }, false, NOW).alive, alive));
  }

  const owed: [string, PeerFacts | null, number, true | null, boolean | null][] = [
    ['no peer', null, 0, true, null],
    ['no handshake', peerFacts({ receivedAt: NOW }), 0, true, null],
    ['session ran out', peerFacts({ lastHandshake: secondsAgo(200), receivedAt: NOW }), 0, true, false],
    ['heard', peerFacts(fresh), NOW - 60_000, null, true],
    ['not heard for long', peerFacts({ ...fresh, receivedAt: NOW - PASSIVE_DEAD_MS - 1 }), 0, true, false],
    ['not heard since it was asked', peerFacts(fresh), NOW - 500, null, null],
    ['the same, and presumed', peerFacts(fresh), NOW - 500, true, true],
    [
      'not heard since it was asked long ago',
      peerFacts({ ...fresh, receivedAt: NOW - 20_000 }),
      NOW - PASSIVE_DEAD_MS - 1,
      true,
      false,
    ],
    ['heard before the clock was set back', peerFacts({ ...fresh, receivedAt: NOW + 3_600_000 }), NOW, true, true],
  ];
  for (const [name, peer, since, presumed, alive] of owed) {
    it(`${name}: ${alive}, by what it owes for probes`, () =>
      assert.equal(owedHealth(peer, since, presumed, NOW).alive, alive));
  }

  it('knows a session by its age', () => {
    assert.equal(hasSession(null, NOW), false);
    assert.equal(hasSession(peerFacts(), NOW), false);
    assert.equal(hasSession(peerFacts({ lastHandshake: secondsAgo(179) }), NOW), true);
    assert.equal(hasSession(peerFacts({ lastHandshake: secondsAgo(180) }), NOW), false);
  });
});

describe('the choice between planes', () => {
  const plane = (alive: boolean | null, rttMs: number | null = null, loss: number | null = 0): PlaneHealth => ({
    alive,
    rttMs,
    loss,
  });
  const cases: [string, PlaneHealth, PlaneHealth, 'relay' | 'direct', 'relay' | 'direct'][] = [
    // name, relay, direct, chosen from relay, chosen from direct
    ['direct is faster', plane(true, 55), plane(true, 37), 'direct', 'direct'],
    ['direct is as fast', plane(true, 40), plane(true, 40), 'direct', 'direct'],
    ['direct is a little slower', plane(true, 40), plane(true, 75), 'direct', 'direct'],
    ['direct is slower: not worth moving, nor leaving', plane(true, 40), plane(true, 100), 'relay', 'direct'],
    ['direct is much slower', plane(true, 40), plane(true, 140), 'relay', 'relay'],
    ['direct loses some', plane(true, 40, 0), plane(true, 30, 0.2), 'relay', 'direct'],
    ['direct loses much', plane(true, 40, 0), plane(true, 30, 0.4), 'relay', 'relay'],
    ['both lose much', plane(true, 40, 0.4), plane(true, 30, 0.4), 'direct', 'direct'],
    ['no numbers', plane(true), plane(true), 'direct', 'direct'],
    ['relay is dead', plane(false), plane(true, 500, 0.9), 'direct', 'direct'],
    ['relay is unknown', plane(null), plane(true, 37), 'direct', 'direct'],
    ['direct is dead', plane(true, 55), plane(false), 'relay', 'relay'],
    ['direct is unknown', plane(true, 55), plane(null), 'relay', 'relay'],
    ['both are dead', plane(false), plane(false), 'relay', 'relay'],
  ];
  for (const [name, relay, direct, fromRelay, fromDirect] of cases) {
    it(name, () => {
      assert.equal(choosePlane(relay, direct, 'relay').plane, fromRelay);
      assert.equal(choosePlane(relay, direct, 'direct').plane, fromDirect);
    });
  }

  it('never leaves and takes the direct plane on the same numbers', () => {
    for (let rtt = 1; rtt < 1000; rtt += 7) {
      for (const loss of [0, 0.1, 0.2, 0.3, 0.5, 1]) {
        const [relay, direct] = [plane(true, 100), plane(true, rtt, loss)];
        const taken = choosePlane(relay, direct, 'relay').plane === 'direct';
        if (taken) assert.equal(choosePlane(relay, direct, 'direct').plane, 'direct', `${rtt} ms, ${loss}`);
      }
    }
  });

  it('says why, with the numbers', () => {
    assert.equal(
      choosePlane(plane(true, 54.7), plane(true, 37.4), 'relay').reason,
      'direct answers in 37.4 ms, relay in 54.7 ms',
    );
    assert.match(choosePlane(plane(true, 40), plane(true, 30, 0.5), 'direct').reason, /50 %.*relay 0 %/);
  });
});
