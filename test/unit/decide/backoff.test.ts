import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { fraction, nextTry, pairName } from '#src/decide/backoff.js';
import { RETRY_MS, SILENCE_MS } from '#src/decide/timing.js';
import { keyOf } from './fixtures.js';

const NOW = 1_800_000_000_000;
const HOUR_ISH = RETRY_MS * 64;
const pair = (a: number, b: number) => pairName(keyOf(a), keyOf(b));
const numbers = fc.integer({ min: 0, max: 100_000 });
const times = fc.integer({ min: NOW, max: NOW + 30 * 86_400_000 });

describe('nextTry', () => {
  it('comes after a silence, and no later than a period after that', () => {
    fc.assert(
      fc.property(numbers, numbers, fc.nat(1000), fc.boolean(), times, (a, b, failures, proven, now) => {
        const next = nextTry(pair(a, b), failures, proven, now);
        const period = Math.min(RETRY_MS * 2 ** Math.max(0, failures - 1), proven ? RETRY_MS : HOUR_ISH);
        const after = next - now - SILENCE_MS;
        assert.ok(after > 0 && after <= period, `${after} of ${period}`);
      }),
    );
  });

  it('is the same at both ends', () => {
    fc.assert(
      fc.property(numbers, numbers, fc.nat(12), fc.boolean(), times, (a, b, failures, proven, now) => {
        assert.equal(nextTry(pair(a, b), failures, proven, now), nextTry(pair(b, a), failures, proven, now));
      }),
    );
  });

  it('has every point of a coarser grid in each finer one: who failed more often still meets the other', () => {
    fc.assert(
      fc.property(numbers, numbers, fc.nat(12), fc.nat(12), times, (a, b, x, y, now) => {
        const [fine, coarse] = [Math.min(x, y), Math.max(x, y)];
        const point = nextTry(pair(a, b), coarse, false, now);
        const before = point - SILENCE_MS - 1;
        assert.equal(nextTry(pair(a, b), fine, false, before), point);
        assert.equal(nextTry(pair(a, b), fine, true, before), point);
      }),
    );
  });

  it('spreads a thousand pairs over the period', () => {
    for (const failures of [1, 4, 7]) {
      const period = RETRY_MS * 2 ** (failures - 1);
      const bins = new Array<number>(20).fill(0);
      for (let number = 0; number < 1000; number++) {
        const wait = nextTry(pair(number, number + 1), failures, false, NOW) - NOW - SILENCE_MS;
        const bin = Math.min(19, Math.floor((wait / period) * 20));
        bins[bin] = (bins[bin] as number) + 1;
      }
      // 50 are expected in each; 20 or 90 would be six standard deviations away.
      assert.ok(Math.min(...bins) > 20 && Math.max(...bins) < 90, `after ${failures}: ${bins}`);
    }
  });

  it('comes back sooner to a pair that was direct before', () => {
    assert.ok(nextTry(pair(1, 2), 9, true, NOW) - NOW <= SILENCE_MS + RETRY_MS);
  });
});

describe('fraction', () => {
  it('is in [0, 1), the same for the same text, and far apart for near ones', () => {
    const values = Array.from({ length: 1000 }, (_, index) => fraction(`pair ${index}`));
    assert.ok(values.every((value) => value >= 0 && value < 1));
    assert.equal(fraction('pair 7'), values[7]);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(Math.abs(mean - 0.5) < 0.05, `mean ${mean}`);
  });
});
