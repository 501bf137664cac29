/** The path state machine at both ends of a pair. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pairVerdict } from '#src/decide/relations.js';
import { ATTEMPT_MS, COMES_LAST_MS, PUNCH_TTLS } from '#src/decide/timing.js';
import type { NatType } from '#src/model/nat.js';
import { FULL, PORT, RESTRICTED, SYMMETRIC } from './fixtures.js';
import { inUse, Pair, START } from './pair-simulator.js';

const TYPES: readonly NatType[] = [FULL, RESTRICTED, PORT, SYMMETRIC];
const PAIRS = TYPES.flatMap((left) => TYPES.map((right) => [left, right] as const));

function direct(options: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  const pair = new Pair(options);
  assert.ok(Number.isFinite(pair.until(() => pair.bothDirect, 10_000)), 'both go direct');
  return pair;
}

/** Every assertion has its message: without one, node parses the source for it, for minutes where it is one line. */
function within(pair: Pair, what: () => boolean, ms: number, message = 'in time'): void {
  const took = pair.until(what, ms + 10_000);
  assert.ok(took <= ms, `${message}: ${took} ms of ${ms}`);
}

describe('a pair that knows both holes', () => {
  for (const types of PAIRS.filter(([left, right]) => pairVerdict(left, right).may)) {
    for (const lag of [0, 150, 900]) {
      it(`${types.join(' with ')}, ${lag} ms apart, goes direct at both ends`, () => {
        const pair = new Pair({ types, lag });
        const took = pair.until(() => pair.bothDirect, 10_000);
        assert.ok(took < 3_000 + lag, `took ${took} ms`);
        assert.ok(pair.a.reAdds.length + pair.b.reAdds.length <= 2, 'hardly a re-add');
        pair.run(600_000);
        assert.ok(pair.bothDirect, 'direct');
        assert.deepEqual([...pair.a.removals, ...pair.b.removals].filter(inUse), []);
      });
    }
  }

  for (const lag of [0, 200, 450]) {
    it(`behind NATs that keep strangers' packets, ${lag} ms apart, goes direct in the first try`, () => {
      const pair = new Pair({ keepsStrangers: true, lag });
      const took = pair.until(() => pair.bothDirect, 10_000);
      assert.ok(took < 3_000 + lag, `took ${took} ms`);
    });
  }

  for (const lag of [700, 3_000, 20_000]) {
    it(`behind NATs that keep strangers' packets, ${lag} ms apart, goes direct in the second try`, () => {
      const pair = new Pair({ keepsStrangers: true, lag });
      const took = pair.until(() => pair.bothDirect, 300_000);
      assert.ok(took < lag + 140_000, `took ${took} ms`);
    });
  }

  for (const types of PAIRS.filter(([left, right]) => !pairVerdict(left, right).may)) {
    it(`${types.join(' with ')} stays on the relay and does nothing`, () => {
      const pair = new Pair({ types });
      pair.run(3_600_000);
      for (const end of [pair.a, pair.b]) {
        assert.deepEqual([end.states, end.punches, end.reAdds, end.decisions.length], [[], [], [], 2]);
        assert.match(end.memory.reason, /Symmetric/);
      }
    });
  }

  it('adds the peer of a symmetric end last, after its NAT was opened', () => {
    const pair = new Pair({ types: [SYMMETRIC, RESTRICTED] });
    pair.run(COMES_LAST_MS - 20);
    assert.deepEqual(pair.a.punches, [2]);
    assert.equal(pair.a.peer, null);
    assert.notEqual(pair.b.peer, null);
    pair.run(40);
    assert.notEqual(pair.a.peer, null);
  });

  it('settles: once direct, an end decides only when it looks', () => {
    const pair = direct();
    const before = pair.a.decisions.length;
    pair.run(60_000);
    assert.ok(pair.a.decisions.length - before <= 62, `${pair.a.decisions.length - before} decisions`);
  });
});

describe('a pair that cannot get through', () => {
  const stuck = new Pair();
  stuck.cut = true;
  stuck.run(ATTEMPT_MS - 100);

  it('re-adds about once a second, at one end only', () => {
    const [one, other] = [stuck.a.reAdds, stuck.b.reAdds].sort((a, b) => b.length - a.length) as [number[], number[]];
    assert.deepEqual(other, []);
    assert.ok(one.length >= 6 && one.length <= 10, `${one.length} re-adds`);
    one.slice(1).forEach((when, index) => {
      assert.ok(when - (one[index] as number) >= 1000, 'never faster than once a second');
    });
  });

  it('opens its NAT with each TTL in turn, about once a second', () => {
    for (const end of [stuck.a, stuck.b]) {
      assert.deepEqual(end.punches.slice(0, 3), PUNCH_TTLS);
      assert.ok(end.punches.length >= 7 && end.punches.length <= 20, `${end.punches.length}`);
    }
  });

  it('does not spin meanwhile', () => {
    for (const end of [stuck.a, stuck.b]) assert.ok(end.decisions.length < ATTEMPT_MS / 100, `${end.decisions.length}`);
  });

  it('gives up, and tries ever more seldom', () => {
    const pair = new Pair();
    pair.cut = true;
    pair.run(3 * 3_600_000);
    for (const end of [pair.a, pair.b]) {
      const tries = end.states.filter(({ state }) => state === 'punching').length;
      assert.ok(tries >= 7 && tries <= 16, `${tries} tries in 3 hours`);
      assert.match(end.states.at(-1)?.reason ?? '', /no handshake|failed tries/);
      assert.ok(end.reAdds.length <= tries * 10, `${end.reAdds.length} re-adds`);
    }
    pair.cut = false;
    within(pair, () => pair.bothDirect, 65 * 60_000, 'the ends meet in their next try');
  });

  it('is told from one whose handshake passes and whose full-size packets do not', () => {
    const pair = new Pair({ dropsFragments: true });
    pair.run(600_000);
    for (const end of [pair.a, pair.b]) {
      assert.ok(
        end.states.every(({ state }) => state !== 'direct'),
        'never trusted',
      );
      assert.match(end.states.find(({ state }) => state === 'relayed')?.reason ?? '', /no full-size probe passed/);
    }
  });

  it('starts over at once when a hole changes', () => {
    const pair = new Pair();
    pair.cut = true;
    pair.run(3_600_000);
    pair.cut = false;
    pair.rebind(pair.b);
    within(pair, () => pair.bothDirect, 4_000);
    assert.equal(pair.a.memory.failures, 0);
  });
});

describe('a direct path that is cut', () => {
  it('goes back to the relay at both ends within 3 s, and stays there until it is healed', () => {
    const pair = direct();
    pair.run(30_000);
    pair.cut = true;
    within(pair, () => pair.bothRelayed, 3_500);
    for (let minute = 0; minute < 30; minute++) {
      pair.run(60_000);
      assert.ok(pair.bothRelayed, `after ${minute} min`);
    }
    pair.cut = false;
    within(pair, () => pair.bothDirect, 65_000, 'a pair that was direct comes back within its minute');
    pair.run(300_000);
    assert.ok(pair.bothDirect, 'direct');
  });

  it('comes back when healed in the middle of the first try', () => {
    const pair = direct();
    pair.cut = true;
    pair.until(() => pair.bothRelayed, 10_000);
    pair.run(2_000);
    pair.cut = false;
    within(pair, () => pair.bothDirect, 8_000);
  });

  it('is trusted later each time it fails', () => {
    const pair = direct();
    const trusts: number[] = [];
    for (let time = 0; time < 6; time++) {
      pair.cut = true;
      within(pair, () => pair.bothRelayed, 10_000);
      trusts.push(pair.a.memory.trustMs);
      pair.cut = false;
      assert.ok(Number.isFinite(pair.until(() => pair.bothDirect, 600_000)), `back after the ${time + 1}th time`);
    }
    assert.deepEqual(trusts, [2_000, 4_000, 8_000, 16_000, 32_000, 64_000]);
  });

  it('is forgiven when it held for long', () => {
    const pair = direct();
    for (let time = 0; time < 3; time++) {
      pair.cut = true;
      pair.until(() => pair.bothRelayed, 10_000);
      pair.cut = false;
      pair.until(() => pair.bothDirect, 600_000);
      pair.run(700_000);
    }
    pair.cut = true;
    pair.until(() => pair.bothRelayed, 10_000);
    assert.equal(pair.a.memory.trustMs, 2_000);
  });
});

describe('a pair of which a firewall lets WireGuard through and drops pings', () => {
  const kinds: [string, readonly [boolean, boolean]][] = [
    ['at one end', [true, false]],
    ['at the other', [false, true]],
    ['at both', [true, true]],
  ];
  for (const [where, firewalls] of kinds) {
    for (const idle of [false, true]) {
      for (const types of [
        [PORT, PORT],
        [SYMMETRIC, RESTRICTED],
        [FULL, SYMMETRIC],
      ] as const) {
        const blind = (pair: Pair) => [pair.a, pair.b].filter((_, index) => firewalls[1 - index]);
        it(`${where}, ${idle ? 'idle' : 'busy'}, ${types.join(' with ')}: goes direct, stays, falls back, comes back`, () => {
          const pair = new Pair({ types, firewalls, idle });
          within(pair, () => pair.bothDirect, 45_000, 'both go direct');
          for (const end of blind(pair)) assert.equal(end.memory.pings, 'unanswered');
          const before = pair.a.states.length + pair.b.states.length;
          pair.run(1_200_000);
          assert.ok(pair.bothDirect, 'direct');
          assert.equal(pair.a.states.length + pair.b.states.length, before, 'and never otherwise');
          pair.cut = true;
          // Where one end has answers it tells the other; else WireGuard's silence does.
          within(pair, () => pair.bothRelayed, blind(pair).length === 2 ? 14_000 : 5_000, 'both fall back');
          pair.run(600_000);
          assert.ok(pair.bothRelayed, 'relayed');
          pair.cut = false;
          within(pair, () => pair.bothDirect, 90_000, 'both come back');
          assert.equal(pair.a.abandoned + pair.b.abandoned, 0);
        });
      }
    }
  }
});

describe('an end that leaves the direct path alone', () => {
  it('hears the other until that one has come off it too, and then takes the peer away', () => {
    const pair = direct();
    pair.run(30_000);
    pair.forbid(pair.a);
    assert.ok(!pair.a.isDirect && pair.b.isDirect, 'one end left');
    assert.notEqual(pair.a.peer, null, 'and still hears the other');
    within(pair, () => !pair.b.isDirect, 3_500, 'which finds that nobody answers there');
    within(pair, () => pair.a.peer === null, 10_100, 'the peer goes when it is of no use');
    assert.equal(pair.a.abandoned, 0);
    pair.run(60_000);
    assert.equal(pair.a.peer, null);
    assert.ok(pair.bothRelayed, 'and stays away');
  });

  it('is not held up by an end that only tries', () => {
    const pair = new Pair({ dropsFragments: true });
    pair.run(5_000);
    assert.notEqual(pair.a.peer, null);
    pair.forbid(pair.a);
    within(pair, () => pair.a.peer === null, 10_100, 'keepalives are no use');
  });
});

describe('a pair in any weather', () => {
  const events = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 10, max: 40_000 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('cut' as const), ms: fc.integer({ min: 10, max: 60_000 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('rebind' as const), ms: fc.constant(50), which: fc.boolean() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('lossy' as const), ms: fc.integer({ min: 1000, max: 30_000 }) }),
    },
  );

  it('never takes away a peer in use, never spins, and ends up direct when the weather clears', () => {
    const may = PAIRS.filter(([left, right]) => pairVerdict(left, right).may);
    const walls = fc.constantFrom<readonly [boolean, boolean]>(
      [false, false],
      [false, false],
      [true, false],
      [true, true],
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...may),
        fc.nat(1_000),
        fc.array(events, { maxLength: 8 }),
        walls,
        (types, lag, weather, firewalls) => {
          const pair = new Pair({ types, lag, firewalls });
          for (const event of weather) {
            pair.cut = event.kind === 'cut';
            pair.lossEvery = event.kind === 'lossy' ? 2 : 0;
            if (event.kind === 'rebind') pair.rebind(event.which ? pair.a : pair.b);
            pair.run(event.ms);
          }
          pair.cut = false;
          pair.lossEvery = 0;
          assert.ok(Number.isFinite(pair.until(() => pair.bothDirect, 400_000)), 'direct in the end');
          for (const end of [pair.a, pair.b]) {
            assert.deepEqual(
              end.reAdds.filter((when) => end.removals.some((removal) => removal.at === when && inUse(removal))),
              [],
            );
            assert.equal(end.abandoned, 0);
            const seconds = (pair.now - START) / 1000;
            assert.ok(end.decisions.length < seconds * 12 + 50, `${end.decisions.length} decisions in ${seconds} s`);
          }
        },
      ),
      { numRuns: 40, endOnFailure: true },
    );
  });
});
