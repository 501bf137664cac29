/** The live part over real connections: what is told, to whom, and who is let go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { PathChange, PeerStatus } from '#src/model/status.js';
import type { ErrorSink } from '#src/telemetry/http.js';
import { FEED_LIMITS, Feed, type FeedLimits, type PageSource } from '#src/telemetry/page/feed.js';
import { createPage } from '#src/telemetry/page/page.js';
import type { Head } from '#src/telemetry/page/view.js';
import { type RunningServer, serveHealth, type Where } from '#src/telemetry/server.js';
import { edgeStatus, peerStatus } from '../../cli/fixtures.js';
import { ask, bodyOf, open } from './events.js';

const FAST = { ...FEED_LIMITS, intervalMs: 10 };
const running: RunningServer[] = [];
after(() => Promise.all(running.map((server) => server.close())));

function source(peers: PeerStatus[] = [peerStatus(), peerStatus({ gateway: 'gw-c' })]) {
  const made = {
    asked: 0,
    list: peers,
    log: [] as readonly PathChange[],
    node: edgeStatus() as Head,
    head: () => {
      made.asked += 1;
      return made.node;
    },
    peers: (): Iterable<PeerStatus> => made.list,
    changes: () => made.log,
  };
  return made;
}

const noErrors = (error: unknown) => assert.fail(String(error));

async function serve(
  from: PageSource,
  limits: FeedLimits = FAST,
  onError: ErrorSink = noErrors,
): Promise<RunningServer> {
  const checks = { live: () => null, ready: () => null };
  const server = await serveHealth({ host: '127.0.0.1', port: 0 }, checks, onError, createPage(from, onError, limits));
  running.push(server);
  return server;
}

/** The feed alone, to look inside. */
async function serveFeed(from: PageSource, limits: FeedLimits = FAST): Promise<{ where: Where; feed: Feed }> {
  const feed = new Feed(from, noErrors, limits);
  const server = createServer((_, response) => {
    response.flushHeaders();
    feed.add(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    feed.close();
    server.closeAllConnections();
    server.close();
  });
  return { where: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, feed };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a reader is told all at first, then what changed, and each second at least that nothing did', async () => {
  const from = source();
  const { where } = await serve(from);
  const events = await open(where);
  assert.equal(events.response.headers['content-type'], 'text/event-stream');
  const reset = await events.next();
  assert.deepEqual([reset.event, reset.data.count, reset.data.head.node], ['reset', 2, 'edge-a']);
  const first = await events.next();
  assert.equal(first.event, 'delta');
  assert.deepEqual(
    first.data.peers.map(([name]: [string]) => name),
    ['gw-b', 'gw-c'],
  );
  assert.equal(first.data.peers[0][1].reason, peerStatus().reason);
  const beat = await events.next();
  assert.deepEqual([beat.event, Object.keys(beat.data)], ['delta', ['now']], 'a sign of life');

  from.list = [peerStatus({ reason: 'another' }), peerStatus({ gateway: 'gw-d' })];
  const { data } = await events.until(({ data }) => data.peers !== undefined);
  assert.deepEqual(data.peers[0], ['gw-b', { reason: 'another' }], 'only what changed');
  assert.deepEqual([data.peers[1][0], data.gone], ['gw-d', ['gw-c']]);

  from.node = { ...from.node, nat: { ...from.node.nat, hole: '198.51.100.1:4500' } };
  const turned = await events.until(({ data }) => data.head !== undefined);
  assert.equal(turned.data.head.nat.hole, '198.51.100.1:4500');

  const change = (to: PathChange['to'], at: number): PathChange => ({
    at,
    gateway: 'gw-b',
    from: 'relayed',
    to,
    reason: 'so',
  });
  from.log = [change('punching', 1)];
  assert.equal((await events.until(({ data }) => data.changes !== undefined)).data.changes.length, 1);
  from.log = [change('relayed', 3), change('direct', 2), ...from.log];
  const { data: news } = await events.until(({ data }) => data.changes !== undefined);
  assert.deepEqual(
    news.changes.map(({ at }: PathChange) => at),
    [3, 2],
    'each once, newest first',
  );
  events.response.destroy();
});

test('a late comer is told all, and those before it no more than before', async () => {
  const from = source();
  const { where } = await serve(from);
  const early = await open(where);
  await early.until(({ event }) => event === 'delta');
  const late = await open(where);
  assert.equal((await late.next()).event, 'reset');
  assert.equal((await late.next()).data.peers.length, 2);
  for (let count = 0; count < 5; count += 1) assert.equal((await early.next()).data.peers, undefined);
  early.response.destroy();
  late.response.destroy();
});

test('the agent is asked only while somebody looks', async () => {
  const from = source();
  const { where, feed } = await serveFeed(from);
  assert.equal(from.asked, 0);
  const events = await open(where);
  await events.until(() => from.asked >= 3);
  assert.ok(!feed.isResting);
  events.response.destroy();
  await until(() => feed.isResting);
  const again = await open(where);
  assert.equal((await again.next()).event, 'reset', 'and it is there again when somebody comes');
  again.response.destroy();
});

test('so many readers and no more; a place that becomes free can be had', async () => {
  const { where } = await serve(source(), { ...FAST, readers: 2 });
  const first = await open(where);
  const second = await open(where);
  await Promise.all([first.next(), second.next()]);
  const third = await ask(where, '/events');
  assert.deepEqual([third.status, third.headers['retry-after']], [503, '10']);
  assert.match(await bodyOf(third.response), /2 look already/);
  assert.equal((await ask(where, '/healthz')).status, 200, 'health is another matter');
  first.response.destroy();
  for (;;) {
    const { status, response } = await ask(where, '/events');
    response.destroy();
    if (status === 200) break;
    assert.equal(status, 503);
  }
  second.response.destroy();
});

/** Asks for the events and reads none of them. */
async function openAndSleep(where: Where): Promise<Socket> {
  const socket = connect(where);
  await once(socket, 'connect');
  socket.pause();
  socket.on('error', () => undefined);
  socket.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${where.port}\r\n\r\n`);
  return socket;
}

const many = (count: number) =>
  Array.from({ length: count }, (_, index) => peerStatus({ gateway: `gw-${index}`, reason: 'x'.repeat(900) }));

test('a reader that does not read is dropped, and the others are served on', async () => {
  const from = source(many(400));
  let turn = 0;
  // More each turn than sockets hold for long
  from.peers = () => {
    turn += 1;
    return from.list.map((peer) => ({ ...peer, reason: `${turn} ${peer.reason}` }));
  };
  const { where, feed } = await serveFeed(from, { ...FAST, lateTurns: 3 });
  const slow = await openAndSleep(where);
  const brisk = await open(where);
  await until(() => feed.readers === 2);
  await until(() => feed.readers === 1);
  const before = turn;
  await brisk.until(() => turn > before);
  const dropped = once(slow, 'close');
  slow.resume();
  await dropped;
  brisk.response.destroy();
});

test('what is too much at once is not kept for a slow reader', async () => {
  const { where, feed } = await serveFeed(source(many(20_000)), { ...FAST, backlog: 64 << 10, lateTurns: 1e9 });
  const slow = await openAndSleep(where);
  await until(() => feed.readers === 1);
  await until(() => feed.readers === 0);
  slow.destroy();
});

test('a source that fails lets the readers go, and serves the next', async () => {
  const from = source();
  const works = from.peers;
  from.peers = () => {
    throw new Error('not now');
  };
  const errors: unknown[] = [];
  const { where } = await serve(from, FAST, (error) => errors.push(error));
  const { response } = await ask(where, '/events');
  await new Promise((resolve) =>
    response
      .on('error', () => undefined)
      .on('close', resolve)
      .resume(),
  );
  assert.match(String(errors), /not now/);
  from.peers = works;
  const events = await open(where);
  assert.equal((await events.next()).event, 'reset');
  events.response.destroy();
});

test('closing ends the streams', async () => {
  const server = await serve(source());
  const events = await open(server.where);
  await events.next();
  const ended = once(events.response, 'close');
  await server.close();
  await ended;
});
