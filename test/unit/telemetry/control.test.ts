import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { CoraxError, type ErrorCode } from '#src/errors.js';
import { type ControlHandlers, serveControl } from '#src/telemetry/control.js';
import { edgeStatus, explanation } from '../cli/fixtures.js';

const folder = mkdtempSync(path.join(tmpdir(), 'corax-control-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const status = edgeStatus();
const handlers: ControlHandlers = {
  status: () => status,
  explain: (gateway) => (gateway === 'gw/ä b' ? explanation({ gateway }) : null),
};
const noErrors = (error: unknown) => assert.fail(String(error));

function get(socketPath: string, target: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path: target, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => {
        const isJson = response.headers['content-type'] === 'application/json';
        resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(body) : body });
      });
    });
    outgoing.on('error', reject).end();
  });
}

async function refused(socket: string, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(serveControl(socket, handlers, noErrors), (error: unknown) => {
    assert.ok(error instanceof CoraxError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });
}

test('answers status, peers and explain, and leaves nothing behind', async () => {
  const socket = path.join(folder, 'new', 'agent.sock');
  const before = process.umask();
  const server = await serveControl(socket, handlers, noErrors);
  assert.equal(process.umask(), before, 'the mask of the process is as it was');
  assert.equal(statSync(path.dirname(socket)).mode & 0o777, 0o700);
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.deepEqual(await get(socket, '/status'), { status: 200, body: status });
  assert.deepEqual(await get(socket, '/peers'), { status: 200, body: { peers: status.peers } });
  const explained = await get(socket, `/explain/${encodeURIComponent('gw/ä b')}`);
  assert.equal(explained.status, 200);
  assert.deepEqual(await get(socket, '/explain/gw-x'), {
    status: 404,
    body: {
      code: 'CORAX_GATEWAY',
      message: 'no peer is called "gw-x"',
      known: status.peers.map((peer) => peer.gateway),
    },
  });
  assert.equal((await get(socket, '/metrics')).status, 404);
  await server.close();
  assert.equal(existsSync(socket), false);
});

test('the socket of an agent that was killed is replaced', async () => {
  const socket = path.join(folder, 'stale.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => console.log('up'))`;
  const killed = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  assert.ok(statSync(socket).isSocket());
  const server = await serveControl(socket, handlers, noErrors);
  assert.equal((await get(socket, '/status')).status, 200);
  await refused(socket, 'CORAX_LOCKED', /another agent answers on .*stale\.sock: stop it first/);
  assert.equal((await get(socket, '/status')).status, 200, 'the one that answers is left alone');
  await server.close();
});

test('what is no socket is never removed', async () => {
  const file = path.join(folder, 'file');
  writeFileSync(file, 'precious');
  await refused(file, 'CORAX_SOCKET', /is no socket: remove it/);
  assert.ok(existsSync(file));
  await refused(path.join(file, 'agent.sock'), 'CORAX_SOCKET', /folder of the control socket cannot be used/);
});

test('a folder in which everybody may replace the socket is refused, /tmp is not', async () => {
  const open = path.join(folder, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  await refused(path.join(open, 'agent.sock'), 'CORAX_SOCKET', /everybody may write to/);
  chmodSync(open, 0o1777);
  const server = await serveControl(path.join(open, 'agent.sock'), handlers, noErrors);
  await server.close();
});

test('other users cannot ask', { skip: process.getuid?.() !== 0 && 'needs root to become another user' }, async () => {
  const shared = path.join(folder, 'shared');
  mkdirSync(shared);
  chmodSync(folder, 0o755);
  const server = await serveControl(path.join(shared, 'agent.sock'), handlers, noErrors);
  const script = `require('net').connect(${JSON.stringify(server.socket)})
    .on('connect', () => console.log('in')).on('error', (e) => { console.log(e.code); process.exit(); })`;
  const { stdout } = spawnSync(process.execPath, ['-e', script], {
    uid: 65534,
    gid: 65534,
    encoding: 'utf8',
    cwd: '/',
  });
  await server.close();
  assert.equal(stdout.trim(), 'EACCES');
});
