/** The command as people run it: a process, its output and its exit code, against a real control socket. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildProgram } from '#src/cli/program.js';
import { statusSchema } from '#src/model/status.js';
import { type ControlServer, serveControl } from '#src/telemetry/control.js';
import { VERSION } from '#src/version.js';
import { edgeStatus, explanation, peerStatus } from './fixtures.js';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'corax-cli-'));
const socket = path.join(folder, 'agent.sock');
let server: ControlServer;
let status = edgeStatus();

before(async () => {
  server = await serveControl(
    socket,
    {
      status: () => status,
      explain: (gateway) => (gateway === 'gw-b' ? explanation({ gateway, reason: 'so' }) : null),
    },
    (error) => assert.fail(String(error)),
  );
});
after(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function corax(...words: string[]): Promise<Result> {
  const child = spawn(process.execPath, ['-C', 'corax-source', '--import', 'tsx', main, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, CORAX_SOCKET: '', FORCE_COLOR: '1' },
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  await once(child, 'close');
  return { code: child.exitCode, out, err };
}

test('status: a table, or JSON as the schema has it', async () => {
  const { code, out, err } = await corax('status', '--socket', socket);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^node {3}edge-a, edge of gw-a$/m);
  assert.ok(!out.includes('\u001b'), 'no colours into a pipe');
  const json = await corax('status', '--socket', socket, '--json');
  assert.equal(json.code, 0);
  assert.deepEqual(statusSchema.parse(JSON.parse(json.out)), edgeStatus());
});

test('status --json keeps what this version does not know', async () => {
  status = { ...edgeStatus(), fresh: { idea: 1 } } as ReturnType<typeof edgeStatus>;
  const { out } = await corax('status', '--socket', socket, '--json');
  status = edgeStatus();
  assert.deepEqual(JSON.parse(out).fresh, { idea: 1 });
});

test('status --check: 2 where something wants a person', async () => {
  assert.equal((await corax('status', '--socket', socket, '--check')).code, 0);
  status = edgeStatus({
    errors: [{ code: 'CORAX_GATEWAY', gateway: 'gw-x', message: 'it claims 0.0.0.0/0', since: null }],
  });
  const checked = await corax('status', '--socket', socket, '--check');
  const unchecked = await corax('status', '--socket', socket);
  status = edgeStatus();
  assert.equal(checked.code, 2);
  assert.match(checked.out, /CORAX_GATEWAY gw-x: it claims 0\.0\.0\.0\/0/);
  assert.equal(unchecked.code, 0);
});

test('status --schema asks no agent', async () => {
  const { code, out } = await corax('status', '--schema', '--socket', path.join(folder, 'nobody'));
  assert.equal(code, 0);
  assert.ok(JSON.parse(out).required.includes('peers'));
});

test('peers and explain', async () => {
  const all = await corax('peers', '--socket', socket);
  assert.equal(all.code, 0);
  assert.match(all.out, /^gw-b \(edge-b\)$[\s\S]*^gw-c /m);
  const one = await corax('peers', 'gw-b', '--socket', socket, '--json');
  assert.deepEqual(JSON.parse(one.out), { peers: [peerStatus()] });
  const explained = await corax('explain', 'gw-b', '--socket', socket);
  assert.equal(explained.code, 0);
  assert.match(explained.out, /^gw-b \(edge-b\) {2}on the relay[\s\S]*own NAT +Symmetric NAT/);
  assert.equal(JSON.parse((await corax('explain', 'gw-b', '--socket', socket, '--json')).out).reason, 'so');
});

test('an unknown gateway: 1, and the names that are known', async () => {
  for (const words of [
    ['explain', 'gw-d'],
    ['peers', 'gw-d'],
    ['peers', '%'],
  ]) {
    const { code, out, err } = await corax(...words, '--socket', socket);
    assert.deepEqual([code, out], [1, ''], words.join(' '));
    assert.match(err, /^corax: no peer is called "(gw-d|%)" \(known: gw-b, gw-c\)$/m);
  }
});

test('nobody answers: 1, and what to do', async () => {
  const nobody = path.join(folder, 'nobody.sock');
  for (const command of ['status', 'peers', 'explain gw-b']) {
    const { code, out, err } = await corax(...command.split(' '), '--socket', nobody);
    assert.deepEqual([code, out], [1, '']);
    assert.equal(err, `corax: no agent answers on ${nobody}; is it running? (corax agent --help)\n`);
  }
});

test('something else answers: 1, and it is told apart', async () => {
  const answers = ['{"node": 1}', 'hello', '[]'];
  for (const answer of answers) {
    const strange = path.join(folder, 'strange.sock');
    const other = createServer((_, response) => response.end(answer)).listen(strange);
    await once(other, 'listening');
    const { code, err } = await corax('status', '--socket', strange);
    other.close();
    await once(other, 'close');
    assert.equal(code, 1);
    assert.match(err, /answers in words that this version does not know: is it corax/);
  }
});

test('wrong usage: 1, and where to look', async () => {
  const cases: Array<[string[], RegExp]> = [
    [['sttus'], /unknown command 'sttus'[\s\S]*Did you mean status/],
    [['status', '--jsn'], /unknown option '--jsn'[\s\S]*Did you mean --json[\s\S]*--help shows more/],
    [['explain'], /missing required argument 'gateway'/],
    [['agent', '--driver', 'x', '--gateways', folder, '--node', 'a'], /--driver "x": expected wireguard or libreswan/],
    [['agent', '--nat-traversal=maybe'], /Allowed choices are true, false/],
    [['agent', '--psk=hunter2'], /use --psk-file FILE or VPN_CONNECTION_PSK/],
  ];
  for (const [words, message] of cases) {
    const { code, out, err } = await corax(...words);
    assert.deepEqual([code, out], [1, ''], words.join(' '));
    assert.match(err, message);
    assert.ok(!err.includes('hunter2'));
    assert.ok(!err.includes('    at '), `a person reads this: ${err}`);
  }
});

test('every command has help with examples and exit codes, and none shows what is not for people', async () => {
  assert.equal((await corax('--version')).out, `${VERSION}\n`);
  const help = await corax('--help');
  assert.equal(help.code, 0);
  assert.match(help.out, /Examples:[\s\S]*Exit codes:/);
  for (const command of ['agent', 'controller', 'status', 'peers', 'explain', 'netcheck', 'lab']) {
    const { code, out } = await corax(command, '--help');
    assert.equal(code, 0);
    assert.match(out, /Examples:[\s\S]*Exit codes:/, command);
    assert.ok(!/--vpn-driver|--psk </.test(out));
  }
});

test("raven's flags and ours are all there", () => {
  const agent = buildProgram().commands.find((command) => command.name() === 'agent');
  const flags = agent?.options.map((option) => option.long) ?? [];
  const ours =
    '--node --gateways --driver --stun --state-dir --socket --metrics-addr --health-addr --psk-file --direct --log-level --config --cleanup';
  const raven =
    '--vpn-driver --vpn-bind-port --keep-alive-interval --keep-alive-timeout --nat-traversal --forward-node-ip --metric-bind-addr --health-probe-addr';
  for (const flag of `${ours} ${raven}`.split(' ')) assert.ok(flags.includes(flag), flag);
});

test('a reader that goes away is no crash', async () => {
  status = edgeStatus({ peers: Array.from({ length: 5000 }, (_, index) => peerStatus({ gateway: `gw-${index}` })) });
  const child = spawn(
    process.execPath,
    ['-C', 'corax-source', '--import', 'tsx', main, 'status', '--json', '--socket', socket],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let err = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
  });
  await once(child.stdout, 'data');
  child.stdout.destroy();
  await once(child, 'close');
  status = edgeStatus();
  assert.deepEqual([child.exitCode, err], [0, '']);
});
