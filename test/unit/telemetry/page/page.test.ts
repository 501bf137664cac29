/** The document and who may have it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, test } from 'node:test';
import { createPage } from '#src/telemetry/page/page.js';
import { type Head, headView } from '#src/telemetry/page/view.js';
import { type RunningServer, serveHealth } from '#src/telemetry/server.js';
import { edgeStatus, peerStatus } from '../../cli/fixtures.js';
import { ask, bodyOf, Events } from './events.js';

const checks = { live: () => null, ready: () => null };
const onError = (error: unknown) => assert.fail(String(error));
const source = { head: () => edgeStatus() as Head, peers: () => [peerStatus()], changes: () => [] };
const page = () => createPage(source, onError);

const servers: RunningServer[] = [];
after(() => Promise.all(servers.map((server) => server.close())));

async function serve(host: string, withPage = true): Promise<RunningServer> {
  const server = await serveHealth({ host, port: 0 }, checks, onError, withPage ? page() : null);
  servers.push(server);
  return server;
}

test('one document, under a policy that allows its own style and script and nothing else', async () => {
  const { where } = await serve('127.0.0.1');
  const { status, headers, response } = await ask(where, '/');
  const body = await bodyOf(response);
  assert.deepEqual([status, headers['content-type']], [200, 'text/html; charset=utf-8']);
  const policy = String(headers['content-security-policy']);
  assert.match(policy, /^default-src 'none'; /);
  assert.ok(!/unsafe|\*|https?:/.test(policy), policy);
  for (const tag of ['script', 'style']) {
    const inside = [...body.matchAll(new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`, 'g'))].map((match) => match[1] ?? '');
    assert.equal(inside.length, 1);
    const hash = createHash('sha256')
      .update(inside[0] ?? '')
      .digest('base64');
    assert.ok(policy.includes(`${tag}-src 'sha256-${hash}'`), tag);
  }
  const outside = body.replace(/<(script|style)>[\s\S]*?<\/\1>/g, '');
  assert.ok(!/\son\w+=|\sstyle=|src=|javascript:/i.test(outside), 'no handlers, styles or sources in the markup');
  for (const [, target] of outside.matchAll(/href="([^"]*)"/g))
    assert.match(target ?? '', /^(?:#|data:image\/svg\+xml,)/);
  assert.ok(Buffer.byteLength(body) < 64 << 10, 'it comes in one breath');
});

test('only for those who ask this machine by a name of its own', async () => {
  const { where } = await serve('127.0.0.1');
  const cases: Array<[Record<string, string>, number]> = [
    [{}, 200],
    [{ host: `localhost:${where.port}` }, 200],
    [{ host: 'LOCALHOST' }, 200],
    [{ host: '[::1]:18080' }, 200],
    [{ host: '127.8.9.1:1' }, 200],
    [{ host: 'evil.example' }, 403],
    [{ host: 'localhost.evil.example:10275' }, 403],
    [{ host: '127.0.0.1.evil.example' }, 403],
    [{ host: 'evil.example:127.0.0.1' }, 403],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    // Somebody followed a link
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
  ];
  for (const [headers, expected] of cases) {
    for (const path of ['/', '/events']) {
      const { status, response } = await ask(where, path, headers);
      response.destroy();
      assert.equal(status, expected, `${path} ${JSON.stringify(headers)}`);
    }
    assert.equal((await ask(where, '/healthz', headers)).status, 200, 'the kubelet asks as it likes');
  }
});

test('on an address of the network it may be asked by any name', async () => {
  const { where } = await serve('0.0.0.0');
  const at = { host: '127.0.0.1', port: where.port };
  assert.equal((await ask(at, '/', { host: 'edge-a.example' })).status, 200);
  assert.equal((await ask(at, '/', { host: 'edge-a.example', 'sec-fetch-site': 'cross-site' })).status, 403);
});

test('where it is off there is a word on how to have it; and nothing can be written', async () => {
  const off = await serve('127.0.0.1', false);
  const { status, response } = await ask(off.where, '/');
  assert.equal(status, 404);
  assert.match(await bodyOf(response), /--status-page on/);
  assert.equal((await ask(off.where, '/events')).status, 404);
  const { where } = await serve('127.0.0.1');
  for (const method of ['POST', 'PUT', 'DELETE']) assert.equal((await ask(where, '/', {}, method)).status, 405);
  const head = await ask(where, '/events', {}, 'HEAD');
  assert.deepEqual([head.status, head.headers['content-type']], [200, 'text/event-stream']);
  assert.equal(await bodyOf(head.response), '');
  assert.equal((await ask(where, '/nothing')).status, 404);
});

test('of very many errors a few are told, and their number', () => {
  const errors = Array.from({ length: 5000 }, (_, index) => ({
    code: 'CORAX_GATEWAY',
    gateway: `gw-${index}`,
    message: 'x',
    since: null,
  }));
  const view = headView(edgeStatus({ errors }) as Head);
  assert.deepEqual([view.errors.length, view.errorCount], [100, 5000]);
});

test('names and reasons reach the page escaped', async () => {
  const evil = '\u001b[2J\u202egw';
  const head = { ...edgeStatus({ node: evil, store: { kind: 'directory', synced: true, lastError: evil } }) } as Head;
  const errors = [{ code: evil, gateway: evil, message: evil, since: null }];
  const hostile = createPage(
    {
      head: () => ({ ...head, errors }),
      peers: () => [peerStatus({ gateway: evil, node: evil, subnets: [evil], reason: evil })],
      changes: () => [{ at: 1, gateway: evil, from: 'relayed', to: 'direct', reason: evil }],
    },
    onError,
  );
  const server = await serveHealth({ host: '127.0.0.1', port: 0 }, checks, onError, hostile);
  servers.push(server);
  const { response } = await ask(server.where, '/events');
  const events = new Events(response);
  for (const event of [await events.next(), await events.next()]) {
    const text = JSON.stringify(event.data);
    assert.ok(text.includes('\\\\u001b[2J\\\\u202egw'), text);
    // JSON itself would write it with one backslash
    assert.ok(!/[^\\]\\u(?:001b|202e)|\u202e/.test(text), text);
  }
  response.destroy();
});
