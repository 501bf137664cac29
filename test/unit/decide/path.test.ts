import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LONGEST_PAUSE_MS } from '#src/decide/backoff.js';
import { adoptedPath, decidePath, newPath, type PathInput, type PathMemory, wantsPeer } from '#src/decide/path.js';
import { reasonOf } from '#src/decide/remote.js';
import { ADOPTED_MS, IN_USE_MS, UNANSWERED_MS, UNANSWERED_PROBES } from '#src/decide/timing.js';
import type { ProbeFacts } from '#src/model/facts.js';
import { asSite, at, gateway, peerFacts, probeFacts, relay, siteFacts } from './fixtures.js';

const NOW = 1_800_000_000_000;
const ALIVE = probeFacts({ received: 9, answeredInRow: 9, rttMs: 40, loss: 0 });

function input(more: Partial<PathInput> = {}): PathInput {
  return {
    now: NOW,
    pair: 'a b',
    verdict: { may: true, reason: 'may' },
    asked: true,
    target: at('198.51.100.2'),
    waitingFor: null,
    fingerprint: 'f',
    reAdds: true,
    comesLast: false,
    holdsBack: false,
    isMapped: false,
    probed: true,
    keepsAlive: true,
    relay: { peer: null, probe: ALIVE },
    direct: { peer: null, probe: null },
    remotePath: null,
    ...more,
  };
}

const live = (generation: number, more = {}) => ({
  peer: peerFacts({ lastHandshake: NOW / 1000 - 1, receivedAt: NOW - 100 }),
  probe: probeFacts({ received: 1, answeredInRow: 1, rttMs: 30, loss: 0, generation, ...more }),
});
const direct: PathMemory = { ...newPath(NOW - 60_000), state: 'direct', fingerprint: 'f', generation: 3, proven: true };
const punching: PathMemory = {
  ...direct,
  state: 'punching',
  startedAt: NOW - 500,
  addAt: NOW - 500,
  punchedAt: NOW - 500,
};

describe('one decision about a path', () => {
  it('waits, and says for what', () => {
    const { memory, deeds, wakeAt } = decidePath(newPath(NOW), input({ waitingFor: 'the own hole' }));
    assert.deepEqual(
      [memory.state, memory.reason, deeds, wakeAt],
      ['relayed', 'waiting for the own hole', [], Infinity],
    );
  });

  it('starts when both holes are known: opens the own NAT, adds the peer', () => {
    const { memory, deeds } = decidePath(newPath(NOW), input());
    assert.deepEqual(deeds, [{ op: 'punch', ttl: 2 }]);
    assert.equal(memory.state, 'punching');
    assert.ok(wantsPeer(memory, NOW), 'at once');
  });

  it('follows the other end with one answer, and otherwise wants more', () => {
    assert.equal(decidePath(punching, input({ direct: live(3) })).memory.state, 'punching');
    const followed = decidePath(punching, input({ direct: live(3), remotePath: 'direct' })).memory;
    assert.equal(followed.state, 'direct');
    assert.match(followed.reason, /the other end is direct/);
    assert.equal(decidePath(punching, input({ direct: live(3, { answeredInRow: 2 }) })).memory.state, 'direct');
  });

  it('believes no probe of an earlier try', () => {
    const stale = live(2, { answeredInRow: 99 });
    assert.equal(decidePath(punching, input({ direct: stale, remotePath: 'direct' })).memory.state, 'punching');
  });

  it('stays direct whatever is published meanwhile, and starts over when relayed', () => {
    const moved = input({ fingerprint: 'g', direct: live(3), target: null, waitingFor: 'a hole' });
    assert.equal(decidePath(direct, moved).memory.state, 'direct');
    const again = decidePath(
      { ...direct, state: 'relayed', failures: 5, nextTryAt: NOW + 2e6 },
      input({ fingerprint: 'g' }),
    );
    assert.equal(again.memory.state, 'punching');
    assert.equal(again.memory.failures, 0);
  });

  it('stays where it is when both planes are dead', () => {
    const dead = { peer: null, probe: probeFacts({ received: 1, lostInRow: 3, generation: 3 }) };
    assert.equal(decidePath(direct, input({ relay: dead, direct: dead })).memory.state, 'direct');
    const fallen = decidePath(direct, input({ direct: dead }));
    assert.equal(fallen.memory.state, 'punching');
    assert.equal(fallen.memory.trustMs, 2000);
  });

  it('gives an adopted path its time, and then judges it', () => {
    const adopted = adoptedPath(NOW, 'f');
    const first = decidePath(adopted, input());
    assert.deepEqual([first.memory.state, first.wakeAt], ['direct', NOW + ADOPTED_MS]);
    assert.equal(decidePath(adopted, input({ now: NOW + ADOPTED_MS })).memory.state, 'punching');
    const answered = decidePath(adopted, input({ now: NOW + 1000, direct: live(0) })).memory;
    assert.deepEqual([answered.state, answered.adopted], ['direct', false]);
  });

  it('judges by WireGuard who never answers a ping on a relay plane that lives', () => {
    const relay = (probe: Partial<ProbeFacts>, session = true) => ({
      peer: session ? peerFacts({ lastHandshake: NOW / 1000 - 1, receivedAt: NOW }) : null,
      probe: probeFacts(probe),
    });
    const none = { peer: null, probe: null };
    const asked = { ...punching, unansweredSince: NOW - UNANSWERED_MS };
    const many = { sent: UNANSWERED_PROBES, lost: 9, lostInRow: 9 };
    const cases: [string, PathMemory, Partial<PathInput>, PathMemory['pings'], number][] = [
      ['asked just now', punching, { relay: relay({ sent: 1 }) }, 'unknown', NOW],
      ['for long, and often', asked, { relay: relay(many) }, 'unanswered', NOW - UNANSWERED_MS],
      ['for long, seldom', asked, { relay: relay({ sent: 9 }) }, 'unknown', NOW - UNANSWERED_MS],
      ['often, not for long', { ...asked, unansweredSince: NOW - 9000 }, { relay: relay(many) }, 'unknown', NOW - 9000],
      ['relay plane is dead', asked, { relay: relay(many, false) }, 'unknown', 0],
      ['one answer on it', asked, { relay: relay({ ...many, received: 1 }) }, 'answered', 0],
      ['one answer on the direct plane', asked, { relay: relay(many), direct: live(3) }, 'answered', 0],
      ['has answered before', { ...punching, pings: 'answered' }, { relay: relay(many) }, 'answered', 0],
      ['has not, and then does', { ...asked, pings: 'unanswered' }, { relay: relay({ received: 1 }) }, 'answered', 0],
      ['has not, no relay now', { ...punching, pings: 'unanswered' }, { relay: none }, 'unanswered', 0],
      ['is not asked at all', asked, { relay: relay(many), probed: false }, 'unknown', NOW - UNANSWERED_MS],
    ];
    for (const [name, memory, more, pings, since] of cases) {
      const { memory: after } = decidePath(memory, input({ direct: none, ...more }));
      assert.deepEqual([after.pings, after.unansweredSince], [pings, since], name);
    }
    const forgotten = decidePath({ ...asked, pings: 'unanswered' }, input({ verdict: { may: false, reason: 'no' } }));
    assert.equal(forgotten.memory.pings, 'answered', 'whatever else is forgotten: these are answered');
    const kept = decidePath({ ...asked, pings: 'unanswered' }, input({ relay: none, waitingFor: 'a hole' }));
    assert.equal(kept.memory.pings, 'unanswered', 'whatever else is forgotten');
  });

  it('goes by what the other end says, where its own probes say nothing', () => {
    const silent = { ...punching, pings: 'unanswered' as const };
    const relay = { peer: peerFacts({ lastHandshake: NOW / 1000 - 1, receivedAt: NOW }), probe: null };
    const heardOnly = { peer: peerFacts({ lastHandshake: NOW / 1000 - 0.2, receivedAt: NOW - 100 }), probe: null };
    const heard = { ...heardOnly, probe: probeFacts({ sent: 4, lost: 3, lostInRow: 3, generation: 3 }) };
    const unheard = { peer: peerFacts({ lastHandshake: NOW / 1000 - 60, receivedAt: NOW - 30_000 }), probe: null };
    const isDirect = { ...direct, pings: 'unanswered' as const };
    const cases: [string, PathMemory, Partial<PathInput>, PathMemory['state']][] = [
      ['the other is direct', silent, { direct: heard, remotePath: 'direct' }, 'direct'],
      ['the other is not', silent, { direct: heard, remotePath: 'relay' }, 'punching'],
      ['the other is not heard', silent, { direct: heard }, 'direct'],
      ['nor asked there yet', silent, { direct: heardOnly }, 'punching'],
      ['nor trusted yet', { ...silent, trustMs: 2_000 }, { direct: heard }, 'punching'],
      ['nothing came since the try began', silent, { direct: unheard, remotePath: 'direct' }, 'punching'],
      ['direct, and the other too', isDirect, { direct: heard, remotePath: 'direct' }, 'direct'],
      ['direct, and the other left', isDirect, { direct: heard, remotePath: 'relay' }, 'punching'],
      ['direct, and the other is not heard', isDirect, { direct: heard }, 'direct'],
      ['direct, and WireGuard owes a packet', isDirect, { direct: unheard, remotePath: 'direct' }, 'punching'],
    ];
    for (const [name, memory, more, state] of cases) {
      assert.equal(decidePath(memory, input({ relay, ...more })).memory.state, state, name);
    }
  });

  it('leaves an adopted path alone until it is known whether the other end answers pings', () => {
    const lost = probeFacts({ sent: 30, lost: 30, lostInRow: 30 });
    const peer = (receivedAt: number) => peerFacts({ lastHandshake: NOW / 1000 - 100, receivedAt });
    const at = (ms: number, receivedAt: number) =>
      input({
        now: NOW + ms,
        relay: { peer: peerFacts({ lastHandshake: NOW / 1000, receivedAt: NOW }), probe: lost },
        direct: { peer: peer(receivedAt), probe: lost },
      });
    let memory = adoptedPath(NOW, 'f');
    for (let ms = 0; ms < 60_000; ms += 1000) {
      memory = decidePath(memory, at(ms, ms < 10_000 ? NOW - 100_000 : NOW + ms - 900)).memory;
      assert.equal(memory.state, 'direct', `after ${ms} ms`);
    }
    assert.equal(memory.pings, 'unanswered');
    assert.equal(decidePath(adoptedPath(NOW, 'f'), at(13_000, NOW - 100_000)).memory.state, 'punching', 'nothing came');
  });

  it('is not held up by a clock that was set back', () => {
    const ahead = NOW + 2 * 3_600_000;
    const gone = { peer: peerFacts({ lastHandshake: ahead / 1000, receivedAt: ahead }), probe: null };
    const waiting = { ...newPath(ahead), fingerprint: 'f', failures: 3, nextTryAt: ahead + 60_000 };
    assert.equal(decidePath(waiting, input()).memory.state, 'punching', 'the next try is due');
    const soon = { ...waiting, nextTryAt: NOW + LONGEST_PAUSE_MS };
    assert.equal(decidePath(soon, input()).memory.state, 'relayed', 'one that may be so far off is not');

    const trying = { ...punching, since: ahead, startedAt: ahead, addAt: ahead, punchedAt: ahead };
    const first = decidePath(trying, input({ direct: gone }));
    assert.ok(wantsPeer(first.memory, NOW), 'the peer is there');
    assert.ok(first.wakeAt <= NOW + 2_000, `wakes in ${first.wakeAt - NOW} ms`);
    const then = decidePath(first.memory, input({ now: NOW + 1_400, direct: gone }));
    assert.deepEqual(
      then.deeds.map(({ op }) => op),
      ['punch', 're-add'],
    );
    const last = decidePath(first.memory, input({ now: NOW + 15_000, direct: gone }));
    assert.equal(last.memory.state, 'relayed', 'and the try comes to its end');
    assert.equal(last.lingers, false, 'what was received then is not what is in use now');
  });

  it('spares a peer in use from coming last', () => {
    const { memory } = decidePath(
      { ...punching, fingerprint: 'old' },
      input({ comesLast: true, direct: { ...live(3), probe: null } }),
    );
    assert.ok(wantsPeer(memory, NOW), 'the peer stays');
  });

  it('leaves the peer to the other end for as long as that one uses it', () => {
    const at = (ms: number, more: Partial<PathInput> = {}) => {
      const now = NOW + ms;
      const peer = peerFacts({ lastHandshake: NOW / 1000 - 60, receivedAt: now - 100 });
      return input({ now, verdict: { may: false, reason: 'no' }, direct: { peer, probe: null }, ...more });
    };
    const left = decidePath(direct, at(0));
    assert.deepEqual([left.lingers, left.wakeAt], [true, NOW - 100 + IN_USE_MS + 1]);
    const after = (ms: number, more?: Partial<PathInput>) => decidePath(left.memory, at(ms, more)).lingers;
    assert.equal(after(IN_USE_MS), true);
    assert.equal(after(IN_USE_MS + 1), false, 'keepalives are no use');
    assert.equal(after(60_000, { remotePath: 'direct' }), true, 'it says that it is there');
    assert.equal(after(60_000, { keepsAlive: false }), true, 'who sends no keepalives sends something');
    const idle = { peer: peerFacts({ receivedAt: NOW - IN_USE_MS - 1 }), probe: null };
    assert.deepEqual(
      [
        decidePath(direct, at(0, { direct: idle, remotePath: 'direct' })).lingers,
        decidePath(direct, at(0, { direct: { peer: null, probe: null } })).lingers,
      ],
      [false, false],
    );
  });

  it('tries again as soon as the other end, which was gone, is back', () => {
    const dead = { peer: null, probe: probeFacts({ received: 1, lostInRow: 3 }) };
    const failed: PathMemory = { ...direct, state: 'relayed', failures: 5, nextTryAt: NOW + 2e6 };
    const waiting = decidePath(failed, input({ relay: dead })).memory;
    assert.equal(waiting.state, 'relayed');
    const { memory, deeds } = decidePath(waiting, input());
    assert.deepEqual([memory.state, memory.reason, memory.failures], ['punching', 'the other end is back', 0]);
    assert.deepEqual(deeds, [{ op: 'punch', ttl: 2 }]);
    assert.equal(decidePath({ ...memory, state: 'relayed', nextTryAt: NOW + 2e6 }, input()).memory.state, 'relayed');
    // Whoever was direct all the while has nothing to try.
    const still = decidePath(direct, input({ relay: dead, direct: live(3) })).memory;
    assert.equal(decidePath(still, input({ direct: live(3) })).memory.wasGone, false);
  });

  it('does not count against a direct plane what was lost while it was cut', () => {
    const cut = { ...live(3), probe: probeFacts({ received: 5, lostInRow: 9, loss: 0.6, generation: 3 }) };
    const silent = decidePath(punching, input({ direct: cut })).memory;
    const healed = live(3, { received: 6, answeredInRow: 1, loss: 0.6 });
    const anew = decidePath(silent, input({ direct: healed, now: NOW + 5_000 })).memory;
    assert.deepEqual([anew.state, anew.generation, anew.startedAt], ['punching', 4, NOW + 5_000]);
    const good = live(4, { received: 2, answeredInRow: 2 });
    assert.equal(decidePath(anew, input({ direct: good, now: NOW + 6_000 })).memory.state, 'direct');
  });

  it('ends when the pair may not', () => {
    const { memory } = decidePath(direct, input({ verdict: { may: false, reason: 'switched off' }, direct: live(3) }));
    assert.deepEqual([memory.state, memory.reason], ['relayed', 'switched off']);
  });
});

const times = fc.integer({ min: -200_000, max: 200_000 }).map((ms) => NOW + ms);
const past = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 200_000 }).map((ms) => NOW - ms),
);
const memories: fc.Arbitrary<PathMemory> = fc.record({
  state: fc.constantFrom('relayed', 'punching', 'direct'),
  since: past,
  reason: fc.constant(''),
  fingerprint: fc.constantFrom('', 'f', 'g'),
  failures: fc.nat(12),
  nextTryAt: times,
  startedAt: past,
  addAt: times,
  punches: fc.nat(20),
  punchedAt: past,
  generation: fc.nat(2),
  trustMs: fc.constantFrom(0, 2000, 300_000),
  proven: fc.boolean(),
  adopted: fc.boolean(),
  wasGone: fc.boolean(),
  wasSilent: fc.boolean(),
  pings: fc.constantFrom('unknown', 'answered', 'unanswered'),
  unansweredSince: past,
});
const probes = fc.option(
  fc
    .record({
      received: fc.nat(3),
      lostInRow: fc.nat(4),
      answeredInRow: fc.nat(400),
      rttMs: fc.option(fc.double({ min: 0, max: 900, noNaN: true })),
      loss: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      generation: fc.nat(2),
    })
    .map((facts) => probeFacts(facts)),
);
const peers = fc.option(
  fc
    .record({ lastHandshake: past.map((ms) => ms / 1000), receivedAt: past, sentAt: past })
    .map((facts) => peerFacts(facts)),
);
const planes = fc.record({ peer: peers, probe: probes });
const inputs: fc.Arbitrary<PathInput> = fc
  .record({
    verdict: fc.record({ may: fc.boolean(), reason: fc.constant('r') }),
    known: fc.boolean(),
    fingerprint: fc.constantFrom('f', 'g'),
    reAdds: fc.boolean(),
    comesLast: fc.boolean(),
    probed: fc.boolean(),
    keepsAlive: fc.boolean(),
    relay: planes,
    direct: planes,
    remotePath: fc.constantFrom(null, 'relay' as const, 'direct' as const),
  })
  .map(({ known, ...rest }) =>
    input({ ...rest, target: known ? at('198.51.100.2') : null, waitingFor: known ? null : 'a hole' }),
  );

describe('any decision about a path', () => {
  it('wakes later than now, touches no peer in use, and has somewhere to send to', () => {
    fc.assert(
      fc.property(memories, inputs, (memory, observed) => {
        const { memory: after, deeds, wakeAt, lingers } = decidePath(memory, observed);
        if (lingers) assert.ok(!wantsPeer(after, NOW) && observed.direct.peer !== null, 'only what is not wanted');
        assert.ok(wakeAt > NOW, `wakes at ${wakeAt - NOW}`);
        const touching = deeds.filter(({ op }) => op !== 'punch');
        const receivedAt = observed.direct.peer?.receivedAt ?? 0;
        if (NOW - receivedAt <= IN_USE_MS) assert.deepEqual(touching, []);
        if (observed.direct.peer === null) assert.deepEqual(touching, []);
        if (deeds.length > 0) assert.notEqual(observed.target, null);
        if (after.state !== 'relayed') assert.ok(observed.verdict.may, 'only where it may');
        if (after.state === 'direct' && memory.state !== 'direct') {
          assert.ok(
            !observed.probed || after.pings === 'unanswered' || observed.direct.probe?.generation === memory.generation,
            'by probes of this try',
          );
        }
        assert.notEqual(after.reason, undefined);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('why a path is what it is', () => {
  it('says that pings do not count, where that is so', () => {
    const site = siteFacts(gateway(1), [relay(1)]);
    const remote = asSite(gateway(2));
    const heard = peerFacts({ lastHandshake: NOW / 1000 - 1, receivedAt: NOW - 100 });
    const facts = { relay: { peer: heard, probe: null }, direct: { peer: heard, probe: null }, remotePath: null };
    const silent =
      "gw-2 answers no ping on the relay plane (a firewall that drops ICMP?): judged by WireGuard's own packets";
    const said = (memory: PathMemory) => reasonOf(site, remote, memory, facts, NOW);
    assert.equal(said({ ...direct, pings: 'unanswered' }), `direct is alive, relay too; ${silent}`);
    assert.equal(said({ ...newPath(NOW), pings: 'unanswered' }), `nothing tried yet; ${silent}`);
    assert.equal(said({ ...newPath(NOW), pings: 'answered' }), 'nothing tried yet');
    assert.equal(
      reasonOf(site, asSite(gateway(2, { corax: null })), { ...direct, pings: 'unanswered' }, facts, NOW),
      'direct is alive, relay too',
      "raven's are not asked",
    );
  });
});
