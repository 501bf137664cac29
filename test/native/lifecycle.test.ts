/** How an engine lives and dies: the queue's bound, close, exit, garbage, worker threads. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type NativeError, openEngine } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';

const addon = fileURLToPath(new URL('../../build/Release/corax.node', import.meta.url));

/** Native threads of this process that are engines'. */
function threads(): number {
  const tasks = '/proc/self/task';
  return readdirSync(tasks).filter((task) => {
    try {
      return readFileSync(`${tasks}/${task}/comm`, 'utf8') === 'corax\n';
    } catch {
      return false;
    }
  }).length;
}

async function eventually(what: string, holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries += 1) {
    assert.ok(tries < 1000, `not within 10 s: ${what}`);
    await sleep(10);
  }
}

/** Runs a script with the addon as `Engine` in a process of its own. */
function script(body: string, ...flags: string[]): { status: number | null; signal: string | null; output: string } {
  const source = `const { Engine } = require(${JSON.stringify(addon)});\n${body}`;
  const child = spawnSync(process.execPath, [...flags, '--eval', source], { encoding: 'utf8', timeout: 60_000 });
  return { status: child.status, signal: child.signal, output: `${child.stdout}${child.stderr}` };
}

const worker = (body: string, workerData: unknown = null): Worker =>
  new Worker(`const { Engine } = require(${JSON.stringify(addon)});\n${body}`, { eval: true, workerData });

function suite(): void {
  test('the queue is bounded: what is too much is refused at once, the rest is done in order', async () => {
    const engine = openEngine(() => {});
    const outcomes: string[] = [];
    const slow = engine.network(
      Array.from({ length: 20_000 }, (_, index) => ({
        op: 'route-replace',
        table: 9028,
        destination: `10.${index >> 8}.${index & 255}.0/24`,
        type: 'unreachable',
      })),
    );
    const all = Array.from({ length: 1500 }, (_, index) =>
      engine.rules().then(
        () => outcomes.push(`${index}`),
        (error: NativeError) => outcomes.push(error.code),
      ),
    );
    assert.ok(engine.stats().queueLength >= 1024);
    await Promise.all([slow, ...all]);
    const refused = outcomes.filter((outcome) => outcome === 'CORAX_QUEUE_FULL').length;
    assert.ok(refused >= 400 && refused < 500, `${refused} refused`);
    const done = outcomes.filter((outcome) => outcome !== 'CORAX_QUEUE_FULL').map(Number);
    assert.equal(done.length, 1500 - refused);
    assert.deepEqual(
      done,
      done.toSorted((a, b) => a - b),
    );
    assert.equal(engine.stats().queueLength, 0);
    await engine.links();
    engine.close();
  });

  test('close rejects what is pending, ends the thread, and may be called again', async () => {
    let engine = openEngine(() => {});
    const closeInTheMiddle = async (): Promise<boolean> => {
      await engine.watchNetwork();
      assert.equal(threads(), 1);
      const pending = Array.from({ length: 500 }, () => engine.links());
      engine.close();
      engine.close();
      assert.equal(threads(), 0);
      const outcomes = await Promise.allSettled(pending);
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'CORAX_CLOSED');
      }
      return outcomes.at(-1)?.status === 'rejected';
    };
    // A thread that got the processor at the right moment is done before the close.
    let tries = 1;
    while (!(await closeInTheMiddle())) {
      assert.ok(tries < 100, 'something is pending when it is closed');
      tries += 1;
      engine = openEngine(() => {});
    }
    await assert.rejects(engine.links(), {
      code: 'CORAX_CLOSED',
      errno: 0,
      errnoName: '',
      extAck: null,
      message: 'the engine is closed',
    });
    assert.equal(engine.stats().queueLength, 0);
  });

  test('closing from within a listener is fine, and ends the events', async () => {
    let calls = 0;
    const engine = openEngine(() => {
      calls += 1;
      engine.close();
    });
    await engine.watchNetwork();
    command('ip', 'link', 'set', 'lo', 'mtu', '60000');
    await eventually('an event', () => calls === 1);
    await eventually('the thread has ended', () => threads() === 0);
    command('ip', 'link', 'set', 'lo', 'mtu', '65536');
    await sleep(200);
    assert.equal(calls, 1);
  });

  test('a listener that throws is an uncaught exception, and promises still settle', () => {
    const { status, output } = script(`
      const { execFileSync } = require('node:child_process');
      process.on('uncaughtException', (error) => { console.log('uncaught', error.message); caught = true; });
      let caught = false;
      const engine = new Engine(() => { throw new Error('of mine'); });
      engine.watchNetwork().then(async () => {
        execFileSync('ip', ['link', 'set', 'lo', 'mtu', '60001']);
        while (!caught) await new Promise((resolve) => setTimeout(resolve, 10));
        console.log('links', (await engine.links()).length > 0);
      });`);
    assert.equal(status, 0, output);
    assert.match(output, /uncaught of mine\nlinks true/);
  });

  test('several engines in one process do not meet', async () => {
    const engines = Array.from({ length: 8 }, () => openEngine(() => {}));
    assert.equal(threads(), 8);
    const links = await Promise.all(engines.map((engine) => engine.links()));
    for (const found of links) assert.deepEqual(found, links[0]);
    for (const engine of engines) engine.close();
    assert.equal(threads(), 0);
  });

  test('an open engine keeps the process alive only while a promise is pending', () => {
    const idle = script(
      `const engine = new Engine(() => {}); engine.watchNetwork().then(() => console.log('watching'));`,
    );
    assert.deepEqual([idle.status, idle.signal, idle.output], [0, null, 'watching\n']);
    const busy = script(
      `const engine = new Engine(() => {}); engine.rules().then((all) => console.log(all.length > 0));`,
    );
    assert.deepEqual([busy.status, busy.output], [0, 'true\n']);
  });

  test('a process may exit in the middle of a job, without close', () => {
    for (const ending of [
      'process.exit(7)',
      'setImmediate(() => process.exit(7))',
      'setTimeout(() => process.exit(7), 5)',
    ]) {
      const { status, signal, output } = script(`
        const engine = new Engine(() => {});
        engine.watchNetwork();
        for (let round = 0; round < 200; round += 1) engine.links();
        ${ending};`);
      assert.deepEqual([status, signal, output], [7, null, '']);
    }
  });

  test('signals are the event loop’s', () => {
    const { status, output } = script(`
      const engine = new Engine(() => {});
      process.on('SIGUSR2', () => { console.log('got it'); engine.close(); clearInterval(timer); });
      const timer = setInterval(() => {}, 1000);
      engine.links().then(() => process.kill(process.pid, 'SIGUSR2'));`);
    assert.equal(status, 0, output);
    assert.equal(output, 'got it\n');
  });

  test('an engine that nobody holds is collected with its thread, even where its listener knows it', () => {
    const { status, output } = script(
      `
      const { readdirSync, readFileSync } = require('node:fs');
      const threads = () => readdirSync('/proc/self/task').filter((task) => {
        try { return readFileSync('/proc/self/task/' + task + '/comm', 'utf8') === 'corax\\n'; } catch { return false; }
      }).length;
      const open = async () => {
        const engine = new Engine((events) => engine.stats(events));
        await engine.watchNetwork();
        // Pending work holds it until it is done.
        const pending = engine.links();
        return { pending };
      };
      (async () => {
        for (let round = 0; round < 20; round += 1) await (await open()).pending;
        for (let tries = 0; tries < 500 && threads() > 0; tries += 1) {
          gc();
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        console.log(threads());
      })();`,
      '--expose-gc',
    );
    assert.deepEqual([status, output], [0, '0\n']);
  });

  test('results outlive their engine', async () => {
    const engine = openEngine(() => {});
    await engine.probeSet([
      {
        id: 7,
        source: '127.0.0.1',
        destination: '127.0.0.1',
        tos: 0,
        intervalMs: 1000,
        fastIntervalMs: 200,
        size: 64,
        state: 0,
      },
    ]);
    const snapshot = await engine.probeSnapshot();
    engine.close();
    await sleep(20);
    assert.deepEqual([...snapshot.ids], [7]);
  });

  test('50 workers open an engine, use it, and are terminated in the middle of a job', async () => {
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 50; round += 1) {
      const running = worker(`
        const { parentPort } = require('node:worker_threads');
        const engine = new Engine(() => {});
        engine.watchNetwork();
        const ops = [];
        for (let index = 0; index < 5000; index += 1) {
          ops.push({ op: 'route-replace', table: 9029, destination: '10.' + (index >> 8) + '.' + (index & 255) + '.0/24', type: 'unreachable' });
        }
        engine.links().then((links) => parentPort.postMessage(links.length));
        (async () => { for (;;) await engine.network(ops); })();
      `);
      const links = await new Promise((resolve, reject) => {
        running.once('message', resolve);
        running.once('error', reject);
      });
      assert.ok(Number(links) >= 1);
      if (round % 2 === 0) await sleep(round % 7);
      await running.terminate();
      assert.equal(threads(), 0, `round ${round}`);
    }
    console.log(`memory grew by ${((process.memoryUsage().rss - before) / 2 ** 20).toFixed(0)} MiB over 50 workers`);
  });

  test('workers that end by themselves or exit take their engines with them', async () => {
    for (const ending of ['', 'process.exit(3)', 'engine.close()', 'throw new Error("of the test")']) {
      const running = worker(`
        const engine = new Engine(() => {});
        engine.links().then(() => { engine.rules(); ${ending} });
      `);
      running.on('error', (error) => assert.match(String(error), /of the test/));
      await new Promise((resolve) => running.once('exit', resolve));
      await eventually(`no thread after "${ending}"`, () => threads() === 0);
    }
  });

  test('a firewall transaction and a raw socket end with their engine', async () => {
    const engine = openEngine(() => {});
    await engine.rawOpen({ ports: [4500], fwmark: 0 });
    const [error] = await engine.rawSend([
      { sourcePort: 4500, address: '127.0.0.1', port: 9, ttl: 1, payload: new Uint8Array(8) },
    ]);
    assert.ok(error === null || error?.code === 'CORAX_SOCKET');
    await engine.nft(JSON.stringify({ nftables: [{ add: { table: { family: 'inet', name: 'coraxtest' } } }] }));
    assert.match(command('nft', 'list', 'tables'), /coraxtest/);
    await assert.rejects(
      engine.nft(JSON.stringify({ nftables: [{ delete: { table: { family: 'inet', name: 'no' } } }] })),
      {
        code: 'CORAX_NFT',
        errnoName: 'ENOENT',
      },
    );
    const sockets = () => readdirSync('/proc/self/fd').length;
    const open = sockets();
    engine.close();
    assert.ok(sockets() < open);
  });
}

if (inOwnNamespace(import.meta.url)) describe('engine', suite);
