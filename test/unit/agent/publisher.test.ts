import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { Publisher } from '#src/agent/publisher.js';
import type { EndpointFields, PublishDeed } from '#src/model/step.js';
import type { EndpointPatch, GatewayStore } from '#src/store/store.js';
import { ip } from '../decide/fixtures.js';

const hole = (port: number): EndpointFields => ({ publicIP: ip('198.51.100.1'), publicPort: port });
const deed = (name: string, fields: EndpointFields): PublishDeed => ({
  op: 'publish',
  gateway: name,
  nodeName: `${name}-node`,
  fields,
});
const settled = async () => {
  for (let turns = 0; turns < 500; turns++) await Promise.resolve();
};

describe('the publisher', () => {
  let patches: EndpointPatch[];
  let again: string[];
  let failing: boolean;
  let hold: Promise<void> | null;
  let publisher: Publisher;
  let written: PublishDeed[];
  let failed: unknown[];
  let watchers: number;

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_800_000_000_000 });
    [patches, again, written, failed, failing, hold] = [[], [], [], [], false, null];
    watchers = 10_000;
    const store = {
      publish: async (patch: EndpointPatch) => {
        patches.push(patch);
        if (hold !== null) await hold;
        if (failing) throw new Error('no');
        return 'written';
      },
    } as unknown as GatewayStore;
    const events = {
      written: (what: PublishDeed) => written.push(what),
      failed: (_: PublishDeed, error: unknown) => failed.push(error),
      again: (name: string) => again.push(name),
    };
    publisher = new Publisher(store, events, () => watchers, Date.now);
  });
  afterEach(() => {
    publisher.stop();
    mock.timers.reset();
  });

  it('writes at once what is new', async () => {
    publisher.publish(deed('a', hole(1)));
    await settled();
    assert.deepEqual(patches, [{ gateway: 'a', nodeName: 'a-node', set: hole(1) }]);
    assert.equal(written.length, 1);
  });

  it('writes the latest wish only, when one is under way', async () => {
    let release: () => void = () => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    for (const port of [1, 2, 3, 4]) publisher.publish(deed('a', hole(port)));
    release();
    await settled();
    assert.deepEqual(
      patches.map(({ set }) => set.publicPort),
      [1, 4],
    );
  });

  it('does not write the same again before its echo can have come, then has it looked at once more', async () => {
    publisher.publish(deed('a', hole(1)));
    publisher.publish(deed('a', hole(1)));
    await settled();
    publisher.publish(deed('a', hole(1)));
    publisher.publish(deed('a', hole(1)));
    await settled();
    assert.equal(patches.length, 1);
    mock.timers.tick(5_000);
    assert.deepEqual(again, ['a']);
    publisher.publish(deed('a', hole(1)));
    await settled();
    assert.equal(patches.length, 2);
  });

  it('writes a burst at once and then 20 a second', async () => {
    for (let number = 0; number < 100; number++) publisher.publish(deed(`g${number}`, hole(1)));
    await settled();
    assert.equal(patches.length, 40);
    for (let step = 0; step < 20; step++) {
      mock.timers.tick(50);
      await settled();
    }
    assert.ok(patches.length >= 59 && patches.length <= 61, `${patches.length}`);
    for (let step = 0; step < 60; step++) {
      mock.timers.tick(50);
      await settled();
    }
    assert.equal(new Set(patches.map(({ gateway }) => gateway)).size, 100);
    assert.equal(patches.length, 100);
  });

  it('writes a moving edge while many wait, at the next turn but one, and the one that waits longest in between', async () => {
    for (let number = 0; number < 1000; number++) publisher.publish(deed(`g${number}`, hole(1)));
    await settled();
    const before = patches.length;
    publisher.publish(deed('late', hole(1)));
    for (let step = 0; step < 2; step++) {
      mock.timers.tick(50);
      await settled();
    }
    const next = patches.slice(before).map(({ gateway }) => gateway);
    assert.equal(next.length, 2);
    assert.ok(next.includes('late'), next.join());
    assert.ok(
      next.some((name) => Number(name.slice(1)) < 100),
      next.join(),
    );
  });

  it('does not let one that moves all the time go before others', async () => {
    publisher.publish(deed('restless', hole(1)));
    await settled();
    for (let number = 0; number < 200; number++) publisher.publish(deed(`g${number}`, hole(1)));
    await settled();
    publisher.publish(deed('restless', hole(2)));
    for (let step = 0; step < 40; step++) {
      mock.timers.tick(50);
      await settled();
      publisher.publish(deed('restless', hole(3 + step)));
    }
    assert.equal(patches.filter(({ gateway }) => gateway === 'restless').length, 1);
    for (let step = 0; step < 200; step++) {
      mock.timers.tick(50);
      await settled();
    }
    const last = patches.findLast(({ gateway }) => gateway === 'restless');
    assert.equal(last?.set.publicPort, 42, 'once more, with where it is now');
    assert.equal(patches.length, 202);
  });

  it('has a few writes under way at once, however slow the store is', async () => {
    let release: () => void = () => undefined;
    hold = new Promise((resolve) => {
      release = resolve;
    });
    for (let number = 0; number < 30; number++) publisher.publish(deed(`g${number}`, hole(1)));
    await settled();
    assert.equal(patches.length, 8);
    for (let number = 8; number < 30; number++) publisher.publish(deed(`g${number}`, hole(2)));
    release();
    await settled();
    assert.equal(patches.length, 30);
    assert.ok(
      patches.slice(8).every(({ set }) => set.publicPort === 2),
      'what waited was replaced',
    );
  });

  it('has a failed write decided anew, later each time', async () => {
    failing = true;
    for (const pause of [500, 1000, 2000]) {
      publisher.publish(deed('a', hole(1)));
      await settled();
      const attempts = patches.length;
      mock.timers.tick(pause - 1);
      assert.equal(again.length, attempts - 1, `not before ${pause} ms`);
      mock.timers.tick(1);
      assert.equal(again.length, attempts);
    }
    assert.equal(failed.length, 3);
    assert.deepEqual(publisher.failures, [
      { gateway: 'a', code: 'CORAX_STORE', message: 'a-node is not published: no', since: 1_800_000_000_000, times: 3 },
    ]);
    failing = false;
    publisher.publish(deed('a', hole(2)));
    await settled();
    assert.deepEqual(
      written.map(({ fields }) => fields.publicPort),
      [2],
    );
    assert.deepEqual(publisher.failures, []);
  });

  it('forgets a failure when nobody wishes the write any more', async () => {
    failing = true;
    publisher.publish(deed('a', hole(1)));
    await settled();
    assert.equal(publisher.failures.length, 1);
    mock.timers.tick(6_000);
    assert.deepEqual([again, publisher.failures], [['a'], []]);
  });

  it('keeps a wish that comes while it backs off, and nobody else waits', async () => {
    failing = true;
    publisher.publish(deed('a', hole(1)));
    await settled();
    failing = false;
    publisher.publish(deed('a', hole(2)));
    publisher.publish(deed('b', hole(1)));
    await settled();
    assert.deepEqual(
      patches.map(({ gateway, set }) => [gateway, set.publicPort]),
      [
        ['a', 1],
        ['b', 1],
      ],
    );
    mock.timers.tick(600);
    await settled();
    assert.deepEqual(patches.at(-1)?.set.publicPort, 2);
  });

  it('writes nothing after it was stopped', async () => {
    publisher.stop();
    publisher.publish(deed('a', hole(1)));
    await settled();
    assert.deepEqual(patches, []);
  });
});
