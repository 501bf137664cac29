/** The STUN tap through the addon, in a network namespace of its own whose firewall lets nothing in. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type NativeEvent, openEngine } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';
import { until } from './until.js';

const NODE = '192.0.2.1';
const SERVER = '192.0.2.2';
const WALL = 'add table inet wall; add chain inet wall in { type filter hook input priority 0; policy drop; }';

/** A Binding success response (RFC 8489 section 5) with `extra` bytes after its header. */
function response(extra: number, type = 0x0101): Buffer {
  const message = Buffer.alloc(20 + extra, 7);
  message.writeUInt16BE(type, 0);
  message.writeUInt16BE(extra, 2);
  message.writeUInt32BE(0x2112a442, 4);
  return message;
}

async function bound(port: number, address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

/** Packet sockets of this namespace, by the kernel's own list: all users' of it, that is, the tap. */
const packetSockets = () => readFileSync('/proc/self/net/packet', 'utf8').trim().split('\n').length - 1;

function suite(): void {
  const events: NativeEvent[] = [];
  const engine = openEngine((batch) => events.push(...batch));
  const heard: Buffer[] = [];
  let node: Socket;
  let server: Socket;
  const raw = () => events.flatMap((event) => (event.type === 'raw' ? [event] : []));
  const send = (message: Uint8Array) =>
    new Promise<void>((resolve, reject) =>
      server.send(message, 40_000, NODE, (error) => (error ? reject(error) : resolve())),
    );

  before(async () => {
    command('ip', 'link', 'set', 'lo', 'up');
    for (const address of [NODE, SERVER]) command('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    node = await bound(40_000, NODE);
    node.on('message', (message) => heard.push(message));
    server = await bound(3478, SERVER);
    command('nft', WALL);
  });
  after(() => {
    engine.close();
    node.close();
    server.close();
  });

  test('closed until it is asked for', async () => {
    await engine.stunTap(false);
    assert.equal(packetSockets(), 0);
  });

  test('it reports the response that the firewall drops, and no request', async () => {
    await engine.stunTap(true);
    await engine.stunTap(true);
    assert.equal(packetSockets(), 1, 'asking twice opens one');
    await send(response(8, 0x0001));
    await send(Buffer.alloc(60, 1));
    await send(response(12));
    await send(response(16, 0x0111));
    await until(() => raw().length === 2);
    assert.deepEqual(
      raw().map(({ address, port, payload }) => ({ address, port, payload: Buffer.from(payload) })),
      [
        { address: SERVER, port: 3478, payload: response(12) },
        { address: SERVER, port: 3478, payload: response(16, 0x0111) },
      ],
    );
    // The tap's copies came after the socket's would have.
    assert.deepEqual(heard, []);
  });

  test('closed, it reports nothing; open again, it does', async () => {
    await engine.stunTap(false);
    await engine.stunTap(false);
    assert.equal(packetSockets(), 0);
    const before = raw().length;
    await send(response(20));
    await engine.stunTap(true);
    await send(response(24));
    await until(() => raw().length > before);
    assert.deepEqual(
      raw()
        .slice(before)
        .map(({ payload }) => payload.length),
      [44],
    );
  });

  test('without the firewall the socket gets it too: the tap takes nothing away', async () => {
    command('nft', 'flush ruleset');
    const before = raw().length;
    await send(response(28));
    await until(() => heard.length === 1 && raw().length === before + 1);
    assert.deepEqual(heard, [response(28)]);
  });

  test('what is no boolean is a TypeError', () => {
    for (const wrong of [undefined, null, 1, 'true', {}])
      assert.throws(() => engine.stunTap(wrong as unknown as boolean), TypeError);
  });

  test('it goes with its engine', async () => {
    engine.close();
    assert.equal(packetSockets(), 0);
    await assert.rejects(engine.stunTap(true), { code: 'CORAX_CLOSED' });
  });
}

if (inOwnNamespace(import.meta.url)) describe('STUN tap', suite);
