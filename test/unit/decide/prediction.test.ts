import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  bothPredictedOdds,
  namedPort,
  nextWindow,
  nextWindowSize,
  type PortSequence,
  PREDICTED_SOCKETS,
  portAt,
  predictedOdds,
  sequenceOf,
} from '#src/decide/prediction.js';
import type { NatPorts } from '#src/model/nat-profile.js';
import { aBlock, aSequence, RANDOM_PORTS } from './ports.js';

function sequence(more: Partial<NatPorts> = {}): PortSequence {
  const found = sequenceOf(aSequence(more));
  assert.ok(found);
  return found;
}

describe("a sequential NAT's next ports", () => {
  it('go on from the latest by the step, and begin anew at the end of the range', () => {
    assert.deepEqual(
      [1, 2, 3].map((position) => portAt(sequence(), 2_000, position)),
      [2_001, 2_002, 2_003],
    );
    assert.equal(portAt(sequence({ step: -4 }), 2_000, 2), 1_992);
    const block = sequence(aBlock(10_240, 64));
    assert.deepEqual(
      [1, 2, 3].map((position) => portAt(block, 10_302, position)),
      [10_303, 10_240, 10_241],
    );
    const falling = sequence({ ...aBlock(10_240, 64), step: -1 });
    assert.deepEqual(
      [1, 2].map((position) => portAt(falling, 10_240, position)),
      [10_303, 10_302],
    );
    // By twos: even ports stay even.
    const even = sequence({ ports: { first: 10_240, last: 10_302 }, block: true, step: 2 });
    assert.deepEqual(
      [1, 2].map((position) => portAt(even, 10_300, position)),
      [10_302, 10_240],
    );
    assert.equal(portAt(sequence(), 65_535, 1), 1_024);
  });

  it('are told of no other NAT, and of none whose window would be as large as a birthday', () => {
    for (const ports of [null, RANDOM_PORTS, aSequence({ assignment: 'port-preserving', step: null })])
      assert.equal(sequenceOf(ports), null);
    assert.equal(sequenceOf(aSequence({ step: 65 })), null);
    assert.notEqual(sequenceOf(aSequence({ step: 64 })), null);
  });

  it('take a quarter of a block at most', () => {
    assert.deepEqual(
      [aSequence(), aSequence(aBlock(10_240, 64)), aSequence(aBlock(10_240, 2))].map(
        (ports) => sequenceOf(ports)?.sockets,
      ),
      [PREDICTED_SOCKETS, 16, 1],
    );
  });

  it('make a window of one piece, all of it in the sequence to come, and no less than half of it', () => {
    const block = fc.record({
      first: fc.integer({ min: 1_024, max: 60_000 }),
      size: fc.integer({ min: 8, max: 4_096 }),
    });
    const step = fc.constantFrom(1, -1, 2, -2, 4);
    fc.assert(
      fc.property(block, step, fc.nat(), ({ first, size }, by, at) => {
        const inOrder = sequence({ ...aBlock(first, size), step: by });
        const latest = first + Math.abs(by) * (at % Math.ceil(size / Math.abs(by)));
        const window = nextWindow(inOrder, latest);
        const next = Array.from({ length: inOrder.sockets }, (_, index) => portAt(inOrder, latest, index + 1));
        const inside = next.filter((port) => port >= window.first && port <= window.last).length;
        const width = window.last - window.first + 1;
        assert.ok(inside * 2 >= inOrder.sockets, `${inside} of ${inOrder.sockets}`);
        assert.equal(width, (inside - 1) * Math.abs(by) + 1);
        assert.ok(width <= nextWindowSize(inOrder));
      }),
    );
  });

  it('have the named one among those that half as many probes come out of, others before them or not', () => {
    const own = sequence();
    for (const sockets of [2, 16, 32]) {
      const named = namedPort(own, 5_000, sockets);
      for (let others = 0; others < sockets / 2; others++) {
        const sources = Array.from({ length: sockets / 2 }, (_, index) => portAt(own, 5_000, others + index + 1));
        assert.ok(sources.includes(named), `${sockets} sockets, ${others} before`);
      }
    }
  });

  it('are hit as surely as the port is ours', () => {
    assert.equal(predictedOdds(sequence()), 1);
    assert.ok(predictedOdds(sequence({ between: 3 })) > 0.98);
    assert.equal(bothPredictedOdds(sequence(), sequence()), 1);
    assert.equal(bothPredictedOdds(sequence({ between: 1 }), sequence({ between: 1 })), 1 / 4);
    assert.equal(bothPredictedOdds(sequence({ step: 2 }), sequence({ step: 2 })), 1 / 2);
  });
});
