/** Several agents on one folder, in processes of their own. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { DirectoryStore } from '#src/store/directory.js';
import { readDocument } from '#src/store/document.js';
import { type GatewayFile, gatewayFile, Recorder, until } from './recorder.js';

const CHILD = fileURLToPath(new URL('./writer-child.ts', import.meta.url));

function startWriter(t: TestContext, ...args: string[]): ChildProcess {
  const child = spawn(process.execPath, ['-C', 'corax-source', '--import', 'tsx', CHILD, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

async function openFolder(t: TestContext, nodes: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'corax-writers-'));
  t.after(() => rm(folder, { recursive: true }));
  const shared = gatewayFile('gw-a', 1);
  shared.spec.endpoints = nodes.map((nodeName) => ({ nodeName, type: 'tunnel', config: { first: 'kept' } }));
  const file = join(folder, 'gw-a.yaml');
  fs.writeFileSync(file, `# shared\n${stringify(shared)}`);
  return { folder, file, read: () => parse(fs.readFileSync(file, 'utf8')) as GatewayFile };
}

describe('several agents on one folder', () => {
  test('five processes, fifty writes each into one file: none is lost', async (t) => {
    const nodes = ['n0', 'n1', 'n2', 'n3', 'n4'];
    const { folder, file, read } = await openFolder(t, nodes);
    const store = new DirectoryStore(folder);
    t.after(() => store.stop());
    const seen = new Recorder();
    await store.start(seen.onChange);
    const children = nodes.map((node) => startWriter(t, folder, 'gw-a', node, '50'));
    const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0]));
    assert.deepEqual(codes, [0, 0, 0, 0, 0]);
    const expected = {
      first: 'kept',
      ...Object.fromEntries(Array.from({ length: 50 }, (_, key) => [`k${key}`, `${key}`])),
    };
    for (const endpoint of read().spec.endpoints) assert.deepEqual(endpoint.config, expected);
    assert.ok(fs.readFileSync(file, 'utf8').startsWith('# shared\n'));
    // Whoever watched saw only whole files, and the last state.
    assert.deepEqual(seen.refusals, []);
    await until('all of it is seen', () => {
      const endpoints = seen.gateways.get('gw-a')?.endpoints ?? [];
      return endpoints.every(({ config }) => Object.keys(config).length === 51);
    });
    assert.deepEqual(fs.readdirSync(folder), ['gw-a.yaml']);
  });

  test('kill -9 at any moment leaves a whole file, and holds nobody up', async (t) => {
    const { folder, file, read } = await openFolder(t, ['n0', 'n1']);
    const store = new DirectoryStore(folder, { debrisMs: 500, rescanMs: 100 });
    t.after(() => store.stop());
    await store.start(() => {});
    let published = 0;
    for (let round = 0; round < 12; round += 1) {
      const child = startWriter(t, folder, 'gw-a', 'n0', '0');
      await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
      // A write takes some milliseconds: each round hits another moment of one.
      await sleep(Math.random() * 30);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const text = fs.readFileSync(file, 'utf8');
      const document = readDocument(text, 'yaml', 'x');
      assert.ok(document.ok, document.ok ? '' : `${document.reason}\n${text}`);
      assert.match(String(read().spec.endpoints[0]?.config && document.gateway.endpoints[0]?.config.last), /^\d+$/);
      const set = { config: { round: `${round}` } };
      assert.equal(await store.publish({ gateway: 'gw-a', nodeName: 'n1', set }), 'written');
      published += 1;
    }
    assert.equal(published, 12);
    assert.deepEqual(read().spec.endpoints[1]?.config, { first: 'kept', round: '11' });
    await until('what they left is swept up', () => fs.readdirSync(folder).length === 1);
  });

  test('a writer that is stopped while it holds the lock loses it, and then writes on top of what is there', async (t) => {
    const { folder, read } = await openFolder(t, ['n0', 'n1']);
    const store = new DirectoryStore(folder, { lockTimes: { touchMs: 20, deadMs: 200, hungMs: 400, waitMs: 60_000 } });
    t.after(() => store.stop());
    await store.start(() => {});
    const child = startWriter(t, folder, 'gw-a', 'n0', '0');
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    for (let round = 0; round < 8; round += 1) {
      await sleep(Math.random() * 20);
      child.kill('SIGSTOP');
      const set = { config: { [`r${round}`]: 'written' } };
      assert.equal(await store.publish({ gateway: 'gw-a', nodeName: 'n1', set }), 'written');
      child.kill('SIGCONT');
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { first, ...config } = (read().spec.endpoints[1]?.config ?? {}) as Record<string, string>;
    assert.equal(first, 'kept');
    // A stop that hits between the last look at the lock and the rename undoes a write (see Lock.commit): that is
    // a matter of microseconds, and not of every round.
    assert.ok(Object.keys(config).length >= 7, `of 8 writes there are ${JSON.stringify(config)}`);
  });
});
