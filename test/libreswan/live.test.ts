/** Real plutos, each in a network namespace of this test's: what they make of our messages, and what we of their ways. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openPluto, type Pluto, type PlutoCommand, type PlutoConnection, type PlutoReply } from '#src/native.js';
import { inOwnNamespace, command as run } from '../native/namespace.js';
import { until } from '../native/until.js';
import { commandOf, type Libreswan, libreswans } from './libreswans.js';

const name = 'edge/a-b';
const connection = (changes: Partial<PlutoConnection> = {}): PlutoConnection => ({
  local: { id: '@a', host: '192.168.1.2', ikePort: null, client: '10.1.0.0/24' },
  remote: { id: '@b', host: '203.0.113.12', ikePort: 4500, client: '10.2.0.0/24' },
  dpdDelayS: 5,
  dpdAction: 'restart',
  retransmitTimeoutS: 10,
  retransmitIntervalMs: 500,
  ifId: null,
  reqid: 77,
  ike: null,
  esp: null,
  ...changes,
});
const on = (rest: object): PlutoCommand => ({ op: 'connection', name, ...rest });

function network(): void {
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
  run('ip', 'address', 'add', '192.168.1.2/24', 'dev', 'v0');
  run('ip', 'link', 'set', 'v0', 'up');
  run('ip', 'link', 'set', 'v1', 'up');
  run('ip', 'route', 'add', 'default', 'via', '192.168.1.1');
}

function suite({ version, root }: Libreswan): void {
  const folder = mkdtempSync(join(root || '/', 'tmp/corax-'));
  const path = join(folder, 'pluto.ctl');
  let daemon: ChildProcess;
  let pluto: Pluto;

  const send = async (command: PlutoCommand): Promise<PlutoReply> => pluto.send(version, command);
  const text = async (command: PlutoCommand): Promise<string> =>
    (await send(command)).lines.map((line) => `${line.code} ${line.text}\n`).join('');

  before(async () => {
    mkdirSync(join(folder, 'nss'));
    mkdirSync(join(folder, 'ipsec.d'));
    run('certutil', '-N', '-d', `sql:${join(folder, 'nss')}`, '--empty-password');
    writeFileSync(join(folder, 'secrets'), ': PSK "not a secret"\n', { mode: 0o600 });
    chmodSync(folder, 0o755);
    if (root !== '') run('mount', '-t', 'proc', 'proc', join(root, 'proc'));
    const inside = folder.slice(root === '' ? 0 : root.length);
    const folders = ['--rundir', inside, '--dumpdir', inside, '--nssdir', `${inside}/nss`];
    const files = [
      '--secretsfile',
      `${inside}/secrets`,
      '--ipsecdir',
      `${inside}/ipsec.d`,
      '--logfile',
      `${inside}/log`,
    ];
    const [program, words] = commandOf(root, 'pluto', '--nofork', '--no-dnssec', ...folders, ...files);
    // Ends with this process, however that ends.
    daemon = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...words], { stdio: 'ignore' });
    pluto = openPluto(path);
    await until(() => {
      if (daemon.exitCode !== null) throw new Error(`pluto ended: ${readFileSync(join(folder, 'log'), 'utf8')}`);
      return existsSync(path);
    });
  });
  after(async () => {
    pluto.close();
    if (daemon.exitCode === null) daemon.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  test('it says its version', async () => {
    assert.deepEqual(await pluto.version(), { version, vendor: `OE-Libreswan-${version}` });
  });

  test('it listens, and reads its secrets', async () => {
    assert.match(await text({ op: 'listen' }), /listening for IKE messages/);
    assert.match(await text({ op: 'rereadsecrets' }), /loading secrets from/);
  });

  test('nothing to tell is an answer of no lines', async () => {
    assert.deepEqual(await send({ op: 'showstates' }), { lines: [] });
    assert.deepEqual(await send({ op: 'trafficstatus' }), { lines: [] });
  });

  test('what is said to a connection that is not there is answered, or passed over', async () => {
    for (const action of ['delete', 'route', 'unroute', 'initiate', 'terminate']) {
      const { lines } = await send(on({ [action]: true }));
      assert.ok(lines.every(({ code }) => code === 0 || (code >= 20 && code < 30)));
    }
  });

  test('delete, add, route and initiate in one; status has each field where it belongs', async () => {
    const reply = await text(on({ delete: true, add: connection(), route: true, initiate: true }));
    assert.match(reply, /^2 "edge\/a-b": added IKEv2 connection\n/m);
    assert.match(reply, /"edge\/a-b" #1: initiating IKEv2 connection/);
    const status = await text({ op: 'status' });
    for (const words of [
      '10.1.0.0/24===192.168.1.2:4500[@a',
      '...203.0.113.12:4500[@b',
      ']===10.2.0.0/24',
      'my_updown=<disabled>',
      'our auth:secret, their auth:secret',
      'retransmit-interval: 500ms; retransmit-timeout: 10s',
      'liveness: active;',
      'dpddelay:5s',
      'IKEv2+PSK',
      version.startsWith('4.') ? 'dpdaction:restart' : 'encapsulation:yes',
    ]) {
      assert.ok(status.includes(words), `${words} is not in ${status}`);
    }
    assert.match(
      await text({ op: 'showstates' }),
      /^\d #1: "edge\/a-b":4500 (?:IKE_SA_INIT_I0?|STATE_V2_PARENT_I[01]) /m,
    );
  });

  test('unroute, terminate, delete: it is gone', async () => {
    for (const action of ['unroute', 'terminate', 'delete']) await send(on({ [action]: true }));
    assert.deepEqual(await send({ op: 'showstates' }), { lines: [] });
    assert.match(await text({ op: 'status' }), /connections: loaded 0, active 0/);
  });

  test('an end that may be anywhere, IPv6, proposals', async () => {
    const anywhere = { id: '@b', host: null, ikePort: null, client: '10.2.0.0/24' };
    const proposals = { ike: 'aes_gcm256-sha2_256;modp2048', esp: 'aes_gcm256' };
    assert.match(await text(on({ add: connection({ remote: anywhere, ...proposals }) })), /added/);
    assert.match(await text({ op: 'status' }), /192\.168\.1\.2.*\.\.\.%any\[@b/);
    const ends = [1, 2].map((n) => ({
      id: `@${n}`,
      host: `2001:db8::${n}`,
      ikePort: 4500,
      client: `2001:db8:${n}::/48`,
    }));
    const [local, remote] = ends as [PlutoConnection['local'], PlutoConnection['remote']];
    assert.match(await text(on({ delete: true, add: connection({ local, remote }) })), /added/);
    assert.match(await text({ op: 'status' }), /2001:db8:1::\/48===.*===2001:db8:2::\/48/);
  });

  test('a no resolves, with a code from 20 to 99', async () => {
    const { lines } = await send(on({ delete: true, add: connection({ ike: 'nonsense' }) }));
    const refusal = lines.find(({ text: words }) => words.includes('failed to add connection'));
    assert.ok(refusal && refusal.code >= 20 && refusal.code < 100);
  });

  test('100 connections, each replaced once, and it lives', async () => {
    const add = (index: number, reqid: number): Promise<PlutoReply> =>
      pluto.send(version, {
        ...{ op: 'connection', name: `c${index}`, delete: true },
        add: connection({
          reqid,
          remote: { id: `@c${index}`, host: '203.0.113.12', ikePort: 4500, client: `10.3.${index}.0/24` },
        }),
      });
    for (const reqid of [1, 2]) {
      const replies = await Promise.all(Array.from({ length: 100 }, (_, index) => add(index, reqid)));
      for (const { lines } of replies) assert.match(lines.at(-1)?.text ?? '', /added IKEv2 connection/);
    }
    assert.match(await text({ op: 'status' }), /connections: loaded 100, active 0/);
  });

  test('while it hangs, each command runs out of time; after that it works as before', async () => {
    const hasty = openPluto(path, { timeoutMs: 100 });
    daemon.kill('SIGSTOP');
    const failures = await Promise.allSettled([hasty.version(), hasty.send(version, { op: 'showstates' })]);
    daemon.kill('SIGCONT');
    hasty.close();
    for (const failure of failures) {
      assert.equal(failure.status, 'rejected');
      assert.equal(failure.reason.code, 'CORAX_PLUTO');
      assert.equal(failure.reason.errnoName, 'ETIMEDOUT');
    }
    assert.equal((await pluto.version()).version, version);
    assert.match(await text({ op: 'status' }), /connections: loaded 100, active 0/);
  });

  test('shutdown ends it, and then nobody is there', async () => {
    const ended = once(daemon, 'exit');
    await send({ op: 'shutdown' });
    assert.deepEqual(await ended, [0, null]);
    await assert.rejects(pluto.version(), { code: 'CORAX_PLUTO', errnoName: 'ENOENT' });
  });
}

if (inOwnNamespace(import.meta.url)) {
  network();
  for (const libreswan of libreswans()) describe(`pluto ${libreswan.version}`, () => suite(libreswan));
}
