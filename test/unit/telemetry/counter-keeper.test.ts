import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CounterKeeper } from '#src/telemetry/counter-keeper.js';

test('a value that fell is counted on from what was there', () => {
  const keeper = new CounterKeeper();
  const seen: Array<[number, number]> = [
    [0, 0],
    [100, 100],
    [100, 100],
    [250, 250],
    [0, 250],
    [30, 280],
    [10, 290],
    [10, 290],
  ];
  for (const [kernel, ours] of seen) assert.equal(keeper.update('a', kernel), ours);
  assert.equal(keeper.value('a'), 290);
  assert.equal(keeper.value('b'), 0);
  assert.equal(keeper.update('b', 7), 7, 'keys do not touch each other');
  keeper.delete('a');
  assert.equal(keeper.update('a', 5), 5);
  assert.equal(keeper.size, 2);
});

test('ours never falls, and holds all that the kernel counted between the resets', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat({ max: 1e9 }), { minLength: 1 }), { minLength: 1 }), (lives) => {
      const keeper = new CounterKeeper();
      let before = 0;
      let total = 0;
      for (const steps of lives) {
        let kernel = 0;
        // The kernel's counter starts again at 0 and is read there
        assert.equal(keeper.update('a', 0), total);
        for (const step of steps) {
          kernel += step;
          const ours = keeper.update('a', kernel);
          assert.ok(ours >= before);
          assert.equal(ours, total + kernel);
          before = ours;
        }
        total += kernel;
      }
    }),
  );
});
