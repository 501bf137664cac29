import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NO_OPENING } from '#src/decide/opening-input.js';
import { FAN_SOCKETS } from '#src/decide/opening-size.js';
import { PAUSES_MS } from '#src/decide/opening-timing.js';
import { PREDICTED_SOCKETS } from '#src/decide/prediction.js';
import type { NatPorts } from '#src/model/nat-profile.js';
import { SimulatedMapping } from './mapping.js';
import { OpeningPair } from './opening-pair.js';
import { aBlock, aSequence, RANDOM_PORTS } from './ports.js';

/** One end behind a sequential NAT, or both. @param known what each knows of its own NAT, where that is not all */
function sequential(fan: NatPorts, spray: NatPorts | null = null, at: readonly [number, number] = [20_000, 50_000]) {
  const pair = new OpeningPair();
  pair.fan.mapping = new SimulatedMapping(fan, at[0]);
  pair.fan.ports = fan;
  pair.bothHard = spray !== null;
  if (spray !== null) {
    pair.spray.mapping = new SimulatedMapping(spray, at[1]);
    pair.spray.ports = spray;
  }
  return pair;
}

/** What each sends goes where the other's comes from, and NATs let it in. */
function assertOneWay({ fan, spray, holes }: OpeningPair): void {
  const [there, back] = [fan.memory.opened, spray.memory.opened];
  assert.ok(there !== null && back !== null && there.localPort !== null);
  assert.equal(there.target.ip, holes[1].ip);
  assert.equal(back.target.ip, holes[0].ip);
  assert.equal(spray.mapping?.to(`${back.target.port}`) ?? holes[1].port, there.target.port);
  assert.equal(fan.mapping?.to(`${there.localPort} ${there.target.port}`), back.target.port);
}

const opened = ({ fan, spray }: OpeningPair) => [fan.memory.phase, spray.memory.phase].join() === 'opened,opened';

describe('a predicted opening', () => {
  it('with one sequential end takes one mapping that is asked for, and probes of the next ones only', () => {
    const pair = sequential(aSequence());
    pair.run(700);
    assert.deepEqual(pair.fan.acts, ['sample', 'fan', 'end-opening']);
    assert.deepEqual(pair.fan.said, ['nat', 'ask', 'open', 'hit']);
    assert.deepEqual(pair.spray.said, ['ready']);
    assert.deepEqual([pair.fan.spent, pair.spray.spent], [[PREDICTED_SOCKETS], [PREDICTED_SOCKETS]]);
    assertOneWay(pair);
  });

  it('with two of them names the port at either end before it is there', () => {
    const pair = sequential(aSequence(), aSequence({ step: -1 }));
    pair.run(900);
    assert.deepEqual(pair.fan.acts, ['sample', 'fan', 'end-opening']);
    assert.deepEqual(pair.spray.acts, ['sample', 'spray', 'end-opening']);
    assert.deepEqual(pair.spray.said, ['nat', 'ready']);
    assertOneWay(pair);
  });

  it('gets through wherever the sequences stand, also where a block wraps', () => {
    const block = fc
      .record({ first: fc.integer({ min: 1_024, max: 60_000 }), size: fc.integer({ min: 32, max: 1_024 }) })
      .chain(({ first, size }) =>
        fc.tuple(fc.constant(aBlock(first, size)), fc.integer({ min: first, max: first + size - 1 })),
      );
    const step = fc.constantFrom(1, -1);
    fc.assert(
      fc.property(block, block, step, step, fc.boolean(), ([one, a], [other, b], up, down, both) => {
        const ports = [aSequence({ ...one, step: up }), aSequence({ ...other, step: down })] as const;
        const pair = sequential(ports[0], both ? ports[1] : null, [a, b]);
        pair.run(2_000);
        assert.ok(opened(pair), `${pair.fan.memory.failure}`);
        assertOneWay(pair);
      }),
      { numRuns: 300 },
    );
  });

  it('in a block that nobody has measured fails where it wraps, and not the next time', () => {
    const [mine, theirs] = [aSequence(aBlock(10_240, 64)), aSequence(aBlock(40_960, 64))];
    for (let at = 0; at < 64; at++) {
      for (const both of [false, true]) {
        const pair = sequential(mine, both ? theirs : null, [10_240 + at, 40_960 + ((at * 7) % 64)]);
        // What is known of it has no range.
        for (const end of [pair.fan, pair.spray]) end.ports = end.ports === null ? null : aSequence();
        pair.run(60_000);
        assert.ok(opened(pair), `from ${at}, ${both ? 'both' : 'one'}: ${pair.fan.memory.failure}`);
        assert.ok(pair.fan.spent.length <= 4, `${pair.fan.spent.length} tries`);
        assertOneWay(pair);
      }
    }
  });

  it("gets by others' mappings as often as it says", () => {
    let seed = 11;
    const random = () => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return seed / 2 ** 32;
    };
    const ports = aSequence({ between: 1 });
    const tries = 400;
    const share = (both: boolean) => {
      let hits = 0;
      for (let index = 0; index < tries; index++) {
        const pair = sequential(ports, both ? ports : null);
        // One of others' between two of ours, give or take.
        for (const { mapping } of [pair.fan, pair.spray])
          if (mapping !== null) mapping.others = () => (random() < 1 / 3 ? 0 : random() < 1 / 2 ? 1 : 2);
        pair.run(1_200);
        hits += opened(pair) ? 1 : 0;
      }
      return hits / tries;
    };
    assert.equal(share(false), 1);
    const found = share(true);
    assert.ok(Math.abs(found - 1 / 4) < 0.08, `${found} of tries`);
  });

  it('that misses is followed by a birthday, where there may be one, and that by another prediction', () => {
    const pair = sequential(aSequence());
    pair.hits = false;
    pair.run(60_000);
    assert.deepEqual(pair.fan.spent.slice(0, 3), [PREDICTED_SOCKETS, FAN_SOCKETS, PREDICTED_SOCKETS]);
    assert.ok(pair.fan.spent.length <= PAUSES_MS.length);
    const both = sequential(aSequence(), aSequence());
    both.hits = false;
    both.run(60_000);
    assert.deepEqual([...new Set(both.fan.spent)], [PREDICTED_SOCKETS]);
  });

  it('of which nobody tells where the ports stand becomes a birthday at once, or fails', () => {
    for (const both of [false, true]) {
      const pair = sequential(aSequence(), both ? aSequence() : null);
      pair.fan.mapping = null;
      pair.run(700);
      assert.deepEqual(pair.fan.spent, both ? [] : [FAN_SOCKETS]);
      if (both) assert.match(pair.fan.memory.failure ?? '', /could not be told/);
    }
  });

  it('with an end that gives out ports at random is asked for once, and never again', () => {
    for (const [mine, theirs] of [
      [aSequence(), RANDOM_PORTS],
      [RANDOM_PORTS, aSequence()],
      [RANDOM_PORTS, RANDOM_PORTS],
    ] as const) {
      const pair = new OpeningPair();
      pair.bothHard = true;
      [pair.fan.ports, pair.spray.ports] = [mine, theirs];
      pair.run(3 * 3_600_000);
      assert.deepEqual(
        [pair.fan.said, pair.spray.said],
        [
          ['nat', 'ask'],
          ['nat', 'no'],
        ],
      );
      assert.deepEqual([pair.fan.memory.theirs, pair.spray.memory.theirs], [theirs, mine]);
      assert.match(pair.fan.memory.failure ?? '', /too few tries would succeed/);
      assert.deepEqual([...pair.fan.acts, ...pair.spray.acts], ['end-opening']);
    }
  });

  it('that is hopeless is told to an end that does not know so, once', () => {
    const pair = new OpeningPair();
    pair.bothHard = true;
    [pair.fan.ports, pair.spray.ports] = [aSequence(), RANDOM_PORTS];
    pair.fan.memory = { ...NO_OPENING, theirs: RANDOM_PORTS, fingerprint: 'same' };
    pair.run(3 * 3_600_000);
    assert.deepEqual(pair.fan.said, ['nat', 'ask']);
    assert.deepEqual(pair.spray.memory.theirs, aSequence());
  });

  it('with an end of an earlier version is a question that it refuses, ever more rarely asked', () => {
    const pair = sequential(aSequence(), aSequence());
    pair.passes = (_, kind) => kind !== 'nat';
    pair.spray.input = { role: null };
    pair.spray.ports = null;
    pair.run(3_600_000);
    assert.deepEqual([pair.fan.spent, pair.spray.spent], [[], []]);
    assert.deepEqual([...new Set(pair.spray.said)], ['no']);
    assert.ok(pair.spray.said.length <= PAUSES_MS.length, `${pair.spray.said.length} questions in an hour`);
    assert.match(pair.fan.memory.failure ?? '', /nothing to open/);
  });

  it('is had behind a port-restricted NAT by an end of an earlier version, which knows no more than the messages', () => {
    const pair = sequential(aSequence());
    pair.passes = (_, kind) => kind !== 'nat';
    pair.run(900);
    assert.ok(opened(pair));
    assertOneWay(pair);
  });

  it('leaves nothing running whatever is lost', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.boolean()), fc.boolean(), (lost, both) => {
        const pair = sequential(aSequence(), both ? aSequence() : null);
        pair.passes = () => lost.next().value === false;
        pair.run(8_000);
        pair.passes = () => true;
        pair.run(120_000);
        assert.equal(pair.fan.memory.phase, 'opened');
        assert.deepEqual([pair.fan.fan, pair.spray.spray], [null, null]);
      }),
      { numRuns: 200 },
    );
  });
});
