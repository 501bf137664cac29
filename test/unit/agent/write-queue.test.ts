import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { WriteQueue } from '#src/agent/write-queue.js';
import { writesPerSecond } from '#src/agent/write-rate.js';

function drained<T>(queue: WriteQueue<T>): T[] {
  const taken: T[] = [];
  for (let entry = queue.take(); entry !== undefined; entry = queue.take()) taken.push(entry);
  return taken;
}

describe('the queue of writes', () => {
  it('gives the newest and the oldest by turns', () => {
    const queue = new WriteQueue<number>();
    for (const entry of [1, 2, 3, 4, 5, 6]) queue.add(entry, true);
    assert.deepEqual(drained(queue), [6, 1, 5, 2, 4, 3]);
  });

  it('gives those that may not go first in the order of their coming', () => {
    const queue = new WriteQueue<number>();
    for (const entry of [1, 2, 3]) queue.add(entry, false);
    assert.deepEqual(drained(queue), [1, 2, 3]);
  });

  it('keeps the place of one that is added again', () => {
    const queue = new WriteQueue<number>();
    for (const entry of [1, 2, 3, 1]) queue.add(entry, true);
    assert.deepEqual(drained(queue), [3, 1, 2]);
  });

  it('gives each once, and makes nobody wait for more than twice as many as came before', () => {
    const actions = fc.array(fc.option(fc.tuple(fc.nat(20), fc.boolean()), { freq: 2 }), { maxLength: 200 });
    fc.assert(
      fc.property(actions, (all) => {
        const queue = new WriteQueue<number>();
        const waiting = new Map<number, number>();
        for (const action of all) {
          if (action !== null) {
            queue.add(...action);
            if (!waiting.has(action[0])) waiting.set(action[0], 2 * waiting.size + 2);
            continue;
          }
          const taken = queue.take();
          assert.equal(taken === undefined, waiting.size === 0);
          if (taken === undefined) continue;
          assert.ok(waiting.delete(taken));
          for (const [entry, turns] of waiting) {
            assert.ok(turns > 1, `${entry} waited too long`);
            waiting.set(entry, turns - 1);
          }
        }
        assert.equal(queue.size, waiting.size);
        assert.deepEqual(new Set(drained(queue)), new Set(waiting.keys()));
      }),
    );
  });
});

it('writes are the slower, the more hear of each', () => {
  const cases: readonly [watchers: number, perSecond: number][] = [
    [0, 100],
    [100, 100],
    [2_000, 100],
    [5_000, 40],
    [10_000, 20],
    [1_000_000, 5],
  ];
  for (const [watchers, perSecond] of cases) assert.equal(writesPerSecond(watchers), perSecond, `${watchers}`);
});
