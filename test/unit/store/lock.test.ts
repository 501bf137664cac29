import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lock, type LockTimes } from '#src/store/lock.js';

const quick: LockTimes = { touchMs: 20, deadMs: 200, hungMs: 400, waitMs: 30_000 };

async function openPlace(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'corax-lock-'));
  t.after(() => rm(folder, { recursive: true }));
  return { folder, path: join(folder, '.corax-lock-x') };
}

/** What a holder writes into its lock, as of this process. */
async function holderText(path: string): Promise<Record<string, unknown>> {
  const lock = await Lock.acquire(path, 'x');
  const holder = JSON.parse(fs.readFileSync(path, 'utf8'));
  await lock.release();
  return holder;
}

const OTHER = '0123456789abcdef';

describe('lock', () => {
  test('says who holds it; leaves nothing behind', async (t) => {
    const { folder, path } = await openPlace(t);
    const lock = await Lock.acquire(path, 'gw-a.yaml');
    const { id, pid, file, host, time } = JSON.parse(fs.readFileSync(path, 'utf8'));
    assert.deepEqual([id, pid, file], [lock.id, process.pid, 'gw-a.yaml']);
    assert.ok(host.length > 0 && !Number.isNaN(Date.parse(time)));
    assert.deepEqual(fs.readdirSync(folder), ['.corax-lock-x']);
    assert.ok(lock.held());
    await lock.release();
    assert.ok(!lock.held());
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  test('one at a time', async (t) => {
    const { folder, path } = await openPlace(t);
    let inside = 0;
    let entered = 0;
    const work = async () => {
      for (let round = 0; round < 5; round += 1) {
        const lock = await Lock.acquire(path, 'x', { ...quick, deadMs: 60_000, hungMs: 60_000 });
        inside += 1;
        assert.equal(inside, 1);
        entered += 1;
        await sleep(Math.random() * 3);
        inside -= 1;
        await lock.release();
      }
    };
    await Promise.all(Array.from({ length: 12 }, work));
    assert.equal(entered, 60);
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  type Leave = (path: string, own: Record<string, unknown>) => Promise<void> | void;
  const write: (change: Record<string, unknown>) => Leave = (change) => (path, own) =>
    fs.writeFileSync(path, JSON.stringify({ ...own, id: OTHER, ...change }));
  const table: [string, Leave][] = [
    [
      'a process that ended',
      async (path, own) => {
        const child = spawn('true');
        const { pid } = child;
        await once(child, 'exit');
        write({ pid })(path, own);
      },
    ],
    ['a process whose number another has now', write({ started: '1' })],
    ['a process of another machine that is silent', write({ world: 'elsewhere', pid: 1 })],
    ['a process of another container that is silent', write({ world: null })],
    ['this machine, living, but stopped for long', write({})],
    ['a writer killed while it wrote (empty)', (path) => fs.writeFileSync(path, '')],
    ['a writer killed while it wrote (half)', (path) => fs.writeFileSync(path, '{"id": "0123')],
    ['nobody: no JSON', (path) => fs.writeFileSync(path, 'hello')],
    ['nobody: a named pipe', (path) => spawn('mkfifo', [path]) && until(() => fs.existsSync(path))],
    ['nobody: a link to nowhere', (path) => fs.symlinkSync('nowhere', path)],
  ];
  const until = async (state: () => boolean) => {
    while (!state()) await sleep(5);
  };

  for (const [title, leave] of table) {
    test(`is taken over, by one only, from ${title}`, async (t) => {
      const { folder, path } = await openPlace(t);
      await leave(path, await holderText(path));
      let inside = 0;
      await Promise.all(
        Array.from({ length: 6 }, async () => {
          const lock = await Lock.acquire(path, 'x', quick);
          inside += 1;
          assert.equal(inside, 1);
          await sleep(2);
          assert.ok(lock.held());
          inside -= 1;
          await lock.release();
        }),
      );
      assert.deepEqual(fs.readdirSync(folder), []);
    });
  }

  test('of a process of another machine that touches it is waited for', async (t) => {
    const { path } = await openPlace(t);
    write({ world: 'elsewhere' })(path, await holderText(path));
    const touching = setInterval(() => fs.utimesSync(path, new Date(), new Date()), 10);
    let got = false;
    const waiting = Lock.acquire(path, 'x', quick).then((lock) => {
      got = true;
      return lock;
    });
    // Many times as long as a silent one would have been given.
    for (let silence = 0; silence < 10; silence += 1) await sleep(quick.deadMs);
    assert.equal(got, false);
    clearInterval(touching);
    await (await waiting).release();
  });

  test('is given up waiting for, with a reason', async (t) => {
    const { folder, path } = await openPlace(t);
    const lock = await Lock.acquire(path, 'x');
    await assert.rejects(Lock.acquire(path, 'x', { ...quick, waitMs: 50 }), {
      code: 'CORAX_STORE',
      message: new RegExp(`is held by process ${process.pid}`),
    });
    await lock.release();
    assert.deepEqual(fs.readdirSync(folder), []);
  });

  test('that was taken over is not released by its first holder', async (t) => {
    const { path } = await openPlace(t);
    const first = await Lock.acquire(path, 'x');
    write({ pid: process.pid })(path, await JSON.parse(fs.readFileSync(path, 'utf8')));
    assert.equal(first.held(), false);
    await first.release();
    assert.equal(JSON.parse(fs.readFileSync(path, 'utf8')).id, OTHER);
  });

  test('a guard that a killed process left is no bar for ever', async (t) => {
    const { folder, path } = await openPlace(t);
    write({ started: '1' })(path, await holderText(path));
    fs.writeFileSync(`${path}.${OTHER}.gone`, '');
    await (await Lock.acquire(path, 'x', quick)).release();
    assert.deepEqual(fs.readdirSync(folder), []);
  });
});
