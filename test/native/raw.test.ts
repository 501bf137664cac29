/** The raw UDP socket through the addon, in a network namespace of its own, beside a socket that holds the port. */
import assert from 'node:assert/strict';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { type NativeEvent, openEngine, type RawPacket } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';
import { until } from './until.js';

const NODE = '192.0.2.1';
const SERVER = '192.0.2.2';

/** A Binding success response, or another type (RFC 8489 section 5), with `extra` bytes after its header. */
function stun(extra = 0, type = 0x0101): Buffer {
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

const next = async (socket: Socket): Promise<{ payload: Buffer; from: RemoteInfo }> => {
  const [payload, from] = (await once(socket, 'message')) as [Buffer, RemoteInfo];
  return { payload, from };
};

function suite(): void {
  const events: NativeEvent[] = [];
  const engine = openEngine((batch) => events.push(...batch));
  const raw = () => events.flatMap((event) => (event.type === 'raw' ? [event] : []));
  let holder: Socket;
  let server: Socket;

  const packet = (change: Partial<RawPacket> = {}): RawPacket => ({
    sourcePort: 4500,
    address: SERVER,
    port: 3478,
    ttl: 64,
    payload: stun(),
    ...change,
  });

  before(async () => {
    command('ip', 'link', 'set', 'lo', 'up');
    for (const address of [NODE, SERVER]) command('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    holder = await bound(4500, NODE);
    server = await bound(3478, SERVER);
  });
  after(() => {
    engine.close();
    holder.close();
    server.close();
  });

  test('sending needs an open socket', async () => {
    await assert.rejects(engine.rawSend([packet()]), { code: 'CORAX_SOCKET', errnoName: 'ENOTCONN' });
  });

  test('STUN answers to the held port are reported and delivered; the rest, requests too, only delivered', async () => {
    await engine.rawOpen({ ports: [4500, 4501], fwmark: 0 });
    const other = Buffer.from('not a STUN message, yet as long as one');
    const delivered: Buffer[] = [];
    holder.on('message', (payload) => delivered.push(payload));
    server.send(other, 4500, NODE);
    server.send(stun(20, 0x0001), 4500, NODE);
    server.send(stun(40), 4500, NODE);
    await until(() => raw().length > 0 && delivered.length === 3);
    holder.removeAllListeners('message');
    assert.deepEqual(delivered, [other, stun(20, 0x0001), stun(40)]);
    assert.deepEqual(
      raw().map(({ address, port, payload }) => ({ address, port, payload: Buffer.from(payload) })),
      [{ address: SERVER, port: 3478, payload: stun(40) }],
    );
  });

  test('packets leave from the held port, each with its own result', async () => {
    const answer = next(server);
    const [sent, unreachable] = await engine.rawSend([
      packet({ payload: stun(1452) }),
      packet({ address: '198.51.100.1' }),
    ]);
    assert.equal(sent, null);
    assert.equal(unreachable?.errnoName, 'ENETUNREACH');
    assert.match(unreachable?.message ?? '', /198\.51\.100\.1:3478/);
    const { payload, from } = await answer;
    assert.deepEqual(payload, stun(1452));
    assert.equal(from.port, 4500);
  });

  test('what is out of range is a TypeError before anything is sent', () => {
    const bad: ReadonlyArray<Partial<Record<keyof RawPacket, unknown>>> = [
      { ttl: 0 },
      { ttl: 256 },
      { port: 0 },
      { sourcePort: 65_536 },
      { address: '2001:db8::1' },
      { address: 'localhost' },
      { payload: stun(1453) },
      { payload: 'text' },
    ];
    for (const change of bad) assert.throws(() => engine.rawSend([packet(change as Partial<RawPacket>)]), TypeError);
    for (const ports of [[], [0], [70_000], new Array(65).fill(4500)])
      assert.throws(() => engine.rawOpen({ ports, fwmark: 0 }), TypeError);
  });

  test('opening again takes the new ports', async () => {
    await engine.rawOpen({ ports: [4600], fwmark: 0x51 });
    const count = raw().length;
    server.send(stun(1), 4500, NODE);
    server.send(stun(2), 4600, NODE);
    await until(() => raw().length > count);
    assert.equal(raw().length, count + 1);
    assert.equal(raw().at(-1)?.payload.length, 22);
  });
}

if (inOwnNamespace(import.meta.url)) describe('raw UDP', suite);
