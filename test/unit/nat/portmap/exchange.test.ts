/** Over real sockets, on loopback. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { it } from 'node:test';
import { type Ip, parseIp } from '#src/model/address.js';
import { ask, doubling, ownAddressToward } from '#src/nat/portmap/exchange.js';

const HOME = parseIp('127.0.0.1') as Ip;
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, HOME);
  await once(socket, 'listening');
  return socket;
}

it('transmits again until there is an answer that it can read, from whom it asked', async (t) => {
  const [router, stranger] = [await bound(), await bound()];
  t.after(() => {
    router.close();
    stranger.close();
  });
  const heard: string[] = [];
  router.on('message', (bytes, { port }) => {
    heard.push(text(bytes));
    stranger.send('from a stranger', port, HOME);
    router.send(heard.length < 3 ? 'no answer' : 'yes', port, HOME);
  });
  const answer = await ask({
    router: HOME,
    port: router.address().port,
    request: (own) => Buffer.from(`from ${own}`),
    parse: (bytes) => (text(bytes) === 'no answer' ? null : text(bytes)),
    waitsMs: [50, 50, 5000],
  });
  assert.deepEqual(answer, { kind: 'answered', value: 'yes' });
  assert.deepEqual(heard, ['from 127.0.0.1', 'from 127.0.0.1', 'from 127.0.0.1']);
});

it('knows a closed port, silence, and who gave up', async (t) => {
  const [silent, closing] = [await bound(), await bound()];
  t.after(() => silent.close());
  const { port } = closing.address();
  closing.close();
  const question = { router: HOME, request: () => Buffer.from('?'), parse: text };
  assert.deepEqual(await ask({ ...question, port, waitsMs: [60_000] }), { kind: 'closed' });
  assert.deepEqual(await ask({ ...question, port: silent.address().port, waitsMs: [10, 10] }), { kind: 'silent' });
  const abort = new AbortController();
  const given = ask({ ...question, port: silent.address().port, waitsMs: [60_000], signal: abort.signal });
  abort.abort();
  assert.deepEqual(await given, { kind: 'silent' });
  assert.deepEqual(
    await ask({ ...question, port, waitsMs: [60_000], signal: abort.signal }),
    { kind: 'silent' },
    'nothing is asked any more',
  );
});

it('waits twice as long each time, from about the first (RFC 6887 8.1.1)', () => {
  assert.deepEqual(
    doubling(3000, 3, () => 0.5),
    [3000, 6000, 12_000],
  );
  for (const random of [0, 0.999]) {
    const [first = 0, second = 0] = doubling(250, 2, () => random);
    assert.ok(first >= 225 && first <= 275);
    assert.equal(second, 2 * first);
  }
});

it('knows its own address toward somebody', async () => {
  assert.equal(await ownAddressToward(HOME), HOME);
});
