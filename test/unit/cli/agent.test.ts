import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { prepareStateDir } from '#src/cli/agent.js';
import { acquireLock, claimFile, identity } from '#src/cli/lock.js';
import { checkPermission, missingCapabilities } from '#src/cli/permission.js';
import { CoraxError, type ErrorCode } from '#src/errors.js';

const folder = mkdtempSync(path.join(tmpdir(), 'corax-agent-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const gateways = path.join(folder, 'gateways');
mkdirSync(gateways);

function isCorax(code: ErrorCode, message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CoraxError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  };
}

test('capabilities', () => {
  const cases: Array<[string, string[]]> = [
    ['CapEff:\t000001ffffffffff\n', []],
    ['CapEff:\t0000000000003000\n', []],
    ['CapPrm:\t0000000000003000\nCapEff:\t0000000000001000\n', ['CAP_NET_RAW']],
    ['CapEff:\t0000000000002000\n', ['CAP_NET_ADMIN']],
    ['CapEff:\t0000000000000000\n', ['CAP_NET_ADMIN', 'CAP_NET_RAW']],
    ['', ['CAP_NET_ADMIN', 'CAP_NET_RAW']],
  ];
  for (const [text, missing] of cases) assert.deepEqual(missingCapabilities(text), missing, text);
  assert.throws(
    () => checkPermission('CapEff:\t0000000000000000\n'),
    isCorax('CORAX_PERMISSION', /lacks CAP_NET_ADMIN and CAP_NET_RAW: run it as root, or give it both/),
  );
});

test('the state folder is for its owner only', () => {
  const warnings: string[] = [];
  const fresh = path.join(folder, 'a', 'b');
  prepareStateDir(fresh, warnings);
  assert.equal(statSync(fresh).mode & 0o777, 0o700);
  prepareStateDir(fresh, warnings);
  assert.deepEqual(warnings, []);
  chmodSync(fresh, 0o755);
  prepareStateDir(fresh, warnings);
  assert.match(warnings.join(), /is open to others \(mode 755\)/);
  chmodSync(fresh, 0o770);
  assert.throws(() => prepareStateDir(fresh, warnings), isCorax('CORAX_CONFIG', /may write to it: chmod 0700/));
  const file = path.join(folder, 'a-file');
  writeFileSync(file, '');
  assert.throws(() => prepareStateDir(file, warnings), isCorax('CORAX_CONFIG', /cannot be used/));
});

test('one agent a node, one a state folder', async () => {
  const [one, two] = ['one', 'two'].map((name) => path.join(folder, name)) as [string, string];
  for (const each of [one, two]) mkdirSync(each);
  const name = `\0corax-test-${process.pid}`;
  const lock = await acquireLock(one, name);
  await assert.rejects(acquireLock(two, name), isCorax('CORAX_LOCKED', /another corax agent runs on this node/));
  const elsewhere = `${name}-another-network-namespace`;
  await assert.rejects(
    acquireLock(one, elsewhere),
    isCorax('CORAX_LOCKED', /\(process \d+\) uses .*one: stop it first/),
  );
  const free = await acquireLock(two, elsewhere);
  await free.release();
  await lock.release();
  assert.equal(existsSync(path.join(one, 'agent.pid')), false);
  await (await acquireLock(one, name)).release();
});

test('what a dead agent left behind does not lock', () => {
  const file = path.join(folder, 'agent.pid');
  const mine = identity(process.pid) ?? assert.fail();
  const boot = mine.split(' ')[2];
  const stale = [
    '',
    'rubbish',
    `999999999 1 ${boot}`,
    `${process.pid} 1 ${boot}`,
    mine.replace(boot ?? '', 'another-boot'),
  ];
  for (const content of stale) {
    writeFileSync(file, content);
    claimFile(file, mine);
    assert.equal(readFileSync(file, 'utf8'), `${mine}\n`, content);
  }
  assert.throws(() => claimFile(file, mine), isCorax('CORAX_LOCKED', /uses/));
  assert.equal(identity(999_999_999), null);
});

interface Run {
  readonly child: ChildProcess;
  /** Resolves when the loop runs, with the line that it logged. */
  readonly running: Promise<Record<string, unknown>>;
  readonly done: Promise<{ code: number | null; out: string; err: string }>;
}

/**
 * In a network namespace of its own, or in that of another process: the lock belongs to the namespace, and
 * this machine's own may have an agent.
 */
function host(flags: object, env: NodeJS.ProcessEnv = {}, beside?: ChildProcess): Run {
  const script = fileURLToPath(new URL('agent-host.ts', import.meta.url));
  const [enter = '', ...words] = beside === undefined ? ['unshare', '-n'] : ['nsenter', '-t', String(beside.pid), '-n'];
  const node = [process.execPath, '-C', 'corax-source', '--import', 'tsx', script, JSON.stringify(flags)];
  const child = spawn(enter, [...words, '--', ...node], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  const running = new Promise<Record<string, unknown>>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      const line = out.split('\n').find((each) => each.includes('"running"') && each.endsWith('}'));
      if (line !== undefined) resolve(JSON.parse(line));
    });
  });
  const done = once(child, 'close').then(() => ({ code: child.exitCode, out, err }));
  return { child, running, done };
}

const needsRoot = { skip: process.getuid?.() !== 0 && 'needs NET_ADMIN' };
const flags = { node: 'edge-a', gateways, stateDir: path.join(folder, 'state') };

test('start-up: the loop gets the Config, the key stays out of the log and the environment', needsRoot, async () => {
  const run = host(flags, { VPN_CONNECTION_PSK: 'hunter2-for-the-tests' });
  const line = await run.running;
  assert.equal((line.config as { node: string }).node, 'edge-a');
  assert.equal(line.inherited, false);
  assert.equal(statSync(flags.stateDir).mode & 0o777, 0o700);

  const second = await host({ ...flags, stateDir: path.join(folder, 'other') }, { VPN_CONNECTION_PSK: 'x' }, run.child)
    .done;
  assert.equal(second.code, 1);
  assert.match(second.err, /^corax: another corax agent runs on this node/);

  run.child.kill('SIGTERM');
  const { code, out, err } = await run.done;
  assert.deepEqual([code, err], [0, '']);
  assert.ok(!out.includes('hunter2'), out);
});

test('SIGINT: 130; a killed agent locks nobody out', needsRoot, async () => {
  const killed = host(flags, { VPN_CONNECTION_PSK: 'x' });
  await killed.running;
  killed.child.kill('SIGKILL');
  await killed.done;
  assert.ok(existsSync(path.join(flags.stateDir, 'agent.pid')), 'the killed one could not tidy up');
  const next = host(flags, { VPN_CONNECTION_PSK: 'x' });
  await next.running;
  next.child.kill('SIGINT');
  assert.equal((await next.done).code, 130);
  assert.ok(!existsSync(path.join(flags.stateDir, 'agent.pid')));
});

test('what nobody caught is told as a bug, and ends it', needsRoot, async () => {
  const { code, out } = await host(flags, { VPN_CONNECTION_PSK: 'x', HOST_FAULT: 'nobody awaits this' }).done;
  assert.equal(code, 1);
  const last = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '');
  assert.match(last.msg, /^a fault in corax itself/);
  assert.equal(last.err.message, 'nobody awaits this');
});

test('what is wrong is told before anything is touched', needsRoot, async () => {
  const { code, out, err } = await host({ ...flags, stateDir: path.join(folder, 'untouched') }, {}).done;
  assert.deepEqual([code, out], [1, '']);
  assert.match(err, /^corax: there is no pre-shared key: give the cluster's/);
  assert.equal(existsSync(path.join(folder, 'untouched')), false);
});

test('--cleanup runs without a key', needsRoot, async () => {
  const { code, out } = await host({ cleanup: true, stateDir: path.join(folder, 'cleanup') }, {}).done;
  assert.equal(code, 0);
  assert.match(out, /"cleanup":true/);
});
