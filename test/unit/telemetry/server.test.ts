import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { CoraxError } from '#src/errors.js';
import { CONTENT_TYPES, type Format } from '#src/telemetry/format.js';
import { Heartbeat, type RunningServer, serveHealth, serveMetrics, type Where } from '#src/telemetry/server.js';

const anywhere: Where = { host: '127.0.0.1', port: 0 };
const noErrors = (error: unknown) => assert.fail(String(error));

interface Got {
  status: number;
  type: string | undefined;
  body: string;
  allow: string | undefined;
}

function get(server: RunningServer, path: string, method = 'GET'): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...server.where, path, method, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk;
      });
      response.on('end', () => {
        const { allow, 'content-type': type } = response.headers;
        resolve({ status: response.statusCode ?? 0, type, body, allow });
      });
    });
    outgoing.on('error', reject).end();
  });
}

test('metrics: one page, GET and HEAD only', async () => {
  const render = async (format: Format) => [Buffer.from('a 1\n'), Buffer.from(`# ${format}\n`)];
  const server = await serveMetrics(anywhere, { render }, noErrors);
  try {
    const body = 'a 1\n# text\n';
    assert.deepEqual(await get(server, '/metrics'), { status: 200, type: CONTENT_TYPES.text, body, allow: undefined });
    assert.equal((await get(server, '/metrics?x=1')).status, 200);
    const head = await get(server, '/metrics', 'HEAD');
    assert.deepEqual([head.status, head.body], [200, '']);
    for (const path of ['/', '/metrics/', '/healthz', '/%2e%2e/metrics'])
      assert.equal((await get(server, path)).status, 404, path);
    assert.equal((await get(server, '/%')).status, 400);
    const post = await get(server, '/metrics', 'POST');
    assert.deepEqual([post.status, post.allow], [405, 'GET, HEAD']);
  } finally {
    await server.close();
  }
});

test('metrics: the form and the encoding that are asked for', async () => {
  const piece = Buffer.alloc(100_000, 'x 1\n');
  const server = await serveMetrics(anywhere, { render: async () => Array(20).fill(piece) }, noErrors);
  const { host, port } = server.where;
  try {
    for (const encoding of ['gzip', 'identity', 'gzip;q=0']) {
      const headers = { accept: 'application/openmetrics-text;version=1.0.0', 'accept-encoding': encoding };
      const response = await fetch(`http://${host}:${port}/metrics`, { headers });
      assert.equal(response.headers.get('content-type'), CONTENT_TYPES.openmetrics);
      assert.equal(response.headers.get('content-encoding'), encoding === 'gzip' ? 'gzip' : null);
      assert.equal(response.headers.get('content-length'), encoding === 'gzip' ? null : '2000000');
      assert.equal(Buffer.concat(Array(20).fill(piece)).equals(Buffer.from(await response.arrayBuffer())), true);
    }
    // Whoever asks and goes away takes nothing down.
    const gone = request({ host, port, path: '/metrics' }, (response) => response.destroy());
    gone.on('error', () => undefined).end();
    await new Promise((resolve) => gone.once('close', resolve));
    assert.equal((await get(server, '/metrics', 'HEAD')).status, 200);
  } finally {
    await server.close();
  }
});

test('a source that fails: 500, the reason goes to the log and not to the asker', async () => {
  const errors: unknown[] = [];
  const render = async (): Promise<Buffer[]> => {
    throw new Error('secret reason');
  };
  const server = await serveMetrics(anywhere, { render }, (error) => errors.push(error));
  const { status, body } = await get(server, '/metrics');
  await server.close();
  assert.equal(status, 500);
  assert.ok(!body.includes('secret reason'));
  assert.match(String(errors[0]), /secret reason/);
});

test('health: 200, or 503 and the reason', async () => {
  let ready: string | null = 'the store was not read yet';
  const server = await serveHealth(anywhere, { live: () => null, ready: () => ready }, noErrors);
  try {
    assert.deepEqual((await get(server, '/healthz')).body, 'ok\n');
    const early = await get(server, '/readyz');
    assert.deepEqual([early.status, early.body], [503, 'the store was not read yet\n']);
    ready = null;
    assert.equal((await get(server, '/readyz')).status, 200);
    assert.equal((await get(server, '/metrics')).status, 404);
  } finally {
    await server.close();
  }
});

test('what is no HTTP, and headers without end, are answered and cut off', async () => {
  const server = await serveHealth(anywhere, { live: () => null, ready: () => null }, noErrors);
  const raw = (bytes: string) =>
    new Promise<string>((resolve) => {
      let got = '';
      const socket = connect(server.where, () => socket.write(bytes));
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        got += chunk;
      });
      // A reset is as good an end as any
      socket.on('error', () => undefined).on('close', () => resolve(got));
    });
  try {
    assert.match(await raw('\x16\x03\x01 hello\r\n\r\n'), /^HTTP\/1.1 400/);
    assert.match(await raw(`GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`), /^(HTTP\/1.1 400|$)/);
    assert.equal((await get(server, '/healthz')).status, 200, 'and it still serves');
  } finally {
    await server.close();
  }
});

test('an address that is taken, or not ours, is named with the flag that changes it', async () => {
  const checks = { live: () => null, ready: () => null };
  const first = await serveHealth(anywhere, checks, noErrors);
  const cases: Array<[Where, RegExp]> = [
    [first.where, /^cannot serve health on 127\.0\.0\.1:\d+: something else listens there already \(--health-addr/],
    [{ host: '192.0.2.1', port: 0 }, /192\.0\.2\.1:0: this machine does not have that address/],
  ];
  for (const [where, message] of cases) {
    await assert.rejects(serveHealth(where, checks, noErrors), (error: unknown) => {
      assert.ok(error instanceof CoraxError);
      assert.equal(error.code, 'CORAX_SOCKET');
      assert.match(error.message, message);
      return true;
    });
  }
  await first.close();
  const again = await serveHealth(first.where, checks, noErrors);
  await again.close();
});

test('closing does not wait for those who keep a connection open', async () => {
  const server = await serveHealth(anywhere, { live: () => null, ready: () => null }, noErrors);
  const idle = connect(server.where);
  await new Promise((resolve) => idle.once('connect', resolve));
  idle.on('error', () => undefined);
  const gone = new Promise((resolve) => idle.once('close', resolve));
  await server.close();
  await gone;
});

test('a heartbeat that stopped is told', () => {
  let now = 0;
  const heartbeat = new Heartbeat(30_000, () => now);
  now = 30_000;
  assert.equal(heartbeat.check(), null);
  now = 45_000;
  assert.equal(heartbeat.check(), 'the loop has not ticked for 45 s');
  heartbeat.beat();
  assert.equal(heartbeat.check(), null);
});
