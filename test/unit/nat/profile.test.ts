import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { MappingSample, NatProfile } from '#src/model/nat-profile.js';
import { profileOf } from '#src/nat/profile.js';
import { ip } from './stun-server.js';

const PUBLIC = ip('203.0.113.10');
const OTHER = ip('203.0.113.11');

/** Fresh sockets, whose own ports are none that a NAT here gives out. */
const samples = (ports: readonly number[], from = PUBLIC): MappingSample[] =>
  ports.map((port, index) => ({ localPort: 600 + index, mapped: { ip: from, port } }));

/** A counter in [first, last] that others move on between two of our mappings. */
function sequence(first: number, last: number, start: number, step: number, others: readonly number[]): number[] {
  const size = Math.floor((last - first) / Math.abs(step)) + 1;
  let at = start;
  return others.map((between) => {
    at = (((at + between + 1) % size) + size) % size;
    return step > 0 ? first + at * step : last + at * step;
  });
}

const quiet = (count: number) => Array.from({ length: count }, () => 0);

describe('NAT profile', () => {
  const preserved: MappingSample[] = Array.from({ length: 16 }, (_, index) => ({
    localPort: 40_000 + 7 * index,
    mapped: { ip: PUBLIC, port: 40_000 + 7 * index },
  }));
  const clash = { localPort: 50_001, mapped: { ip: PUBLIC, port: 1_024 } };
  const pooled = samples(sequence(20_000, 20_999, 3, 1, quiet(18))).map((sample, index) =>
    index % 2 === 0 ? sample : { ...sample, mapped: { ip: OTHER, port: sample.mapped.port + 9_000 } },
  );
  const halfPreserved = preserved.flatMap((sample, index) => [
    sample,
    { localPort: sample.localPort, mapped: { ip: PUBLIC, port: 61_000 + index } },
  ]);
  const scattered = [41_007, 2_222, 63_000, 17_300, 55_051, 9_876, 30_303, 48_484, 1_500, 22_100, 60_001, 35_353];
  const random = { assignment: 'random', step: null, between: null } as const;

  const cases: Array<[string, readonly MappingSample[], Partial<NatProfile>]> = [
    ['nothing', [], { samples: 0, assignment: null, pooling: null, latest: null, lifetime: null, addresses: [] }],
    ['one mapping', samples([5_000]), { assignment: null, pooling: null, latest: { ip: PUBLIC, port: 5_000 } }],
    ['too few to tell', samples([1, 2, 3, 4, 5, 6]), { assignment: null, ports: null, pooling: 'paired' }],
    ['ports kept', preserved, { assignment: 'port-preserving', ports: null, step: null, block: false }],
    ['ports kept but for a clash', [...preserved, clash], { assignment: 'port-preserving' }],
    ['only the first of a socket kept', halfPreserved, { assignment: 'sequential', step: 1, between: 0 }],
    [
      'a counter',
      samples(sequence(20_000, 20_399, 5, 1, quiet(8))),
      { assignment: 'sequential', step: 1, between: 0, ports: null, block: null, pooling: 'paired' },
    ],
    ['a counter that keeps parity', samples(sequence(20_000, 20_399, 5, 2, quiet(8))), { step: 2, between: 0 }],
    ['a falling counter', samples(sequence(20_000, 20_399, 5, -1, quiet(8))), { assignment: 'sequential', step: -1 }],
    [
      'a counter that others use too',
      samples(sequence(1_024, 65_535, 30_000, 1, [0, 3, 1, 0, 12, 2, 5, 0, 1, 7])),
      { assignment: 'sequential', step: 1, between: 12, ports: null },
    ],
    [
      'a block that wraps',
      samples(sequence(10_240, 10_303, 55, 1, quiet(16))),
      { assignment: 'sequential', step: 1, ports: { first: 10_240, last: 10_303 }, block: true },
    ],
    [
      'a falling block that wraps',
      samples(sequence(10_240, 10_303, 55, -1, quiet(16))),
      { assignment: 'sequential', step: -1, ports: { first: 10_240, last: 10_303 }, block: true },
    ],
    [
      'the whole range wraps: no block',
      samples([65_530, 65_531, 65_532, 65_533, 65_534, 65_535, 1_024, 1_025, 1_026, 1_027]),
      { assignment: 'sequential', ports: { first: 1_024, last: 65_535 }, block: false },
    ],
    [
      'out of order once: no wrap',
      samples([100, 101, 102, 104, 103, 105, 106, 107, 108, 109, 110, 111].map((port) => port + 20_000)),
      { assignment: 'sequential', step: 1, ports: null, block: null },
    ],
    [
      'a counter that wraps, with ports from elsewhere where its own are held',
      samples(
        [10_300, 10_301, 35_322, 10_302, 10_303, 10_240, 10_241, 10_242, 2_000, 10_243, 10_244, 10_245, 10_246].concat([
          10_247, 10_248, 10_249,
        ]),
      ),
      { assignment: 'sequential', step: 1, between: 0, ports: { first: 10_240, last: 10_303 }, block: true },
    ],
    ['all over', samples(scattered), { ...random, block: false }],
    ['a random block', samples(scattered.map((port) => 8_192 + (port % 512))), { ...random, block: true }],
    [
      'two addresses, a counter each',
      pooled,
      { assignment: 'sequential', step: 2, pooling: 'arbitrary', addresses: [PUBLIC, OTHER] },
    ],
    [
      'two addresses, random',
      [...samples(scattered), ...samples(scattered, OTHER)],
      { ...random, pooling: 'arbitrary' },
    ],
  ];
  for (const [what, given, expected] of cases) {
    it(what, () => {
      const profile = profileOf(given);
      assert.deepEqual({ ...profile, ...expected }, profile);
    });
  }
});

describe('NAT profile, whatever the NAT', () => {
  const noise = fc.array(fc.nat(20), { minLength: 12, maxLength: 24 });

  it('a counter of any step with others at it is told, with its step where some mappings were alone', () => {
    const given = fc.record({
      step: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: -8, max: -1 })),
      start: fc.nat(50_000),
      noise,
    });
    fc.assert(
      fc.property(given, ({ step, start, noise }) => {
        // Far from the end of the range; three single steps are more than the tenth that may be strays.
        const profile = profileOf(samples(sequence(1_024, 65_535, start % 2_000, step, [...noise, 0, 0, 0])));
        assert.equal(profile.assignment, 'sequential');
        assert.equal(profile.step, step);
        assert.equal(profile.ports, null);
      }),
    );
  });

  it('a counter that wraps in its block is told, and the block from within', () => {
    const given = fc.record({
      first: fc.integer({ min: 1_024, max: 60_000 }),
      size: fc.constantFrom(256, 512, 1_024, 2_048),
      noise: fc.array(fc.nat(4), { minLength: 16, maxLength: 24 }),
      before: fc.integer({ min: 8, max: 20 }),
    });
    fc.assert(
      fc.property(given, ({ first, size, noise, before }) => {
        const last = first + size - 1;
        const profile = profileOf(samples(sequence(first, last, size - before, 1, noise)));
        assert.equal(profile.assignment, 'sequential');
        if (profile.ports === null) return;
        assert.equal(profile.block, true);
        assert.ok(profile.ports.first >= first && profile.ports.last <= last);
        assert.ok(profile.ports.first - first <= 5 && last - profile.ports.last <= 5);
      }),
    );
  });

  it('random ports of a block: random, and the block about as large as it is', () => {
    const given = fc.record({
      first: fc.integer({ min: 1_024, max: 57_000 }),
      size: fc.constantFrom(512, 1_024, 2_048, 4_096),
      seed: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 16, maxLength: 16 }),
    });
    fc.assert(
      fc.property(given, ({ first, size, seed }) => {
        const ports = seed.map((at) => first + Math.floor(at * size));
        const inOrder = (sign: number) =>
          ports.filter((port, i) => i > 0 && sign * (port - (ports[i - 1] ?? 0)) <= 0).length;
        // fast-check likes sequences: those that look like one may be called one.
        fc.pre(Math.min(inOrder(1), inOrder(-1)) > 3);
        const profile = profileOf(samples(ports));
        assert.equal(profile.assignment, 'random');
        assert.equal(profile.block, true);
        const [low, high] = [Math.min(...ports), Math.max(...ports)];
        assert.ok(profile.ports !== null && profile.ports.first <= low && profile.ports.last >= high);
        assert.ok(profile.ports.last - profile.ports.first <= size * 1.2);
      }),
    );
  });

  it('uniform ports of the whole range are almost never taken for a sequence or a block', () => {
    let state = 1;
    // A fixed generator (Numerical Recipes' LCG): the same thousands of draws in every run.
    const draw = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return 1_024 + Math.floor((state / 2 ** 32) * 64_512);
    };
    let wrong = 0;
    for (let round = 0; round < 5_000; round += 1) {
      const profile = profileOf(samples(Array.from({ length: 16 }, draw)));
      if (profile.assignment !== 'random' || profile.block !== false) wrong += 1;
    }
    assert.ok(wrong <= 10, `${wrong} of 5,000`);
  });

  it('any samples at all: never throws, and what it says hangs together', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    const sample = fc.record({
      localPort: port,
      mapped: fc.record({ ip: fc.constantFrom(PUBLIC, OTHER), port }),
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 40 }), (given) => {
        const { assignment, step, between, ports, latest, samples: count } = profileOf(given);
        assert.equal(count, given.length);
        assert.equal(step !== null, assignment === 'sequential');
        assert.equal(between !== null, assignment === 'sequential');
        assert.notEqual(step, 0);
        assert.deepEqual(latest, given.at(-1)?.mapped ?? null);
        if (ports !== null) assert.ok(1 <= ports.first && ports.first <= ports.last && ports.last <= 65_535);
      }),
      { numRuns: 500 },
    );
  });
});
