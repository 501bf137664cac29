import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { HoleProbe, type RawAnswer, type RawLink } from '#src/nat/hole.js';
import type { RawPacket } from '#src/native.js';
import { bind, type Faults, ip, startServer, type TestServer } from './stun-server.js';

/** The engine's raw socket, with a UDP socket in its place: everything that arrives is reported to all. */
async function rawLink() {
  const { socket, at } = await bind(ip('127.0.0.1'), 0);
  const listeners = new Set<(packet: RawAnswer) => void>();
  const sent: RawPacket[] = [];
  socket.on('message', (payload, { address, port }) => {
    for (const listener of listeners) listener({ address, port, payload });
  });
  const link: RawLink = {
    send: (packet) => {
      sent.push(packet);
      return new Promise((done) => socket.send(packet.payload, packet.port, packet.address, (error) => done(error)));
    },
    onRaw: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const inject = (packet: RawAnswer) => {
    for (const listener of listeners) listener(packet);
  };
  return { link, sent, at, listeners, inject, socket };
}

describe('HoleProbe', { timeout: 30_000 }, () => {
  const servers: TestServer[] = [];
  const links: Awaited<ReturnType<typeof rawLink>>[] = [];
  after(async () => {
    await Promise.all(servers.map((server) => server.close()));
    for (const { socket } of links) socket.close();
  });
  const setUp = async (faults: Partial<Faults> = {}) => {
    const server = await startServer(faults);
    const raw = await rawLink();
    servers.push(server);
    links.push(raw);
    return { server, raw, probe: new HoleProbe(raw.link, { sourcePort: 4500, rtoMs: 40 }) };
  };

  it('finds the hole, from the tunnel port', async () => {
    const { server, raw, probe } = await setUp();
    const outcome = await probe.ask(server.primary);
    assert.equal(outcome.kind, 'answered');
    assert.deepEqual(outcome.kind === 'answered' && outcome.mapped, raw.at);
    const [packet] = raw.sent;
    assert.deepEqual(
      { ...packet, payload: null },
      { sourcePort: 4500, address: '127.0.0.1', port: server.primary.port, ttl: 64, payload: null },
    );
    assert.equal(raw.listeners.size, 0, 'it listens only while it waits');
  });

  it('retransmits the same request', async () => {
    const { server, raw, probe } = await setUp({ dropFirst: 2 });
    assert.equal((await probe.ask(server.primary)).kind, 'answered');
    assert.ok(raw.sent.length >= 3);
    for (const { payload } of raw.sent) assert.deepEqual(payload, raw.sent[0]?.payload);
  });

  it('asks several servers at a time over one socket', async () => {
    const { server, raw, probe } = await setUp();
    const other = await setUp();
    const outcomes = await Promise.all([probe.ask(server.primary), probe.ask(other.server.primary)]);
    for (const outcome of outcomes) assert.deepEqual(outcome.kind === 'answered' && outcome.mapped, raw.at);
  });

  const deaf: Array<[string, Partial<Faults>]> = [
    ['silence', { dropFirst: Number.POSITIVE_INFINITY }],
    ['another transaction', { wrongTransaction: true }],
    ['an answer from elsewhere', { thirdParty: true }],
    ['garbage', { garbage: new Uint8Array(60).fill(0x21) }],
  ];
  for (const [what, faults] of deaf) {
    it(`takes ${what} for no answer, in bounded time`, async () => {
      const { server, raw, probe } = await setUp(faults);
      const outcome = await probe.ask(server.primary, { timeoutMs: 200 });
      assert.equal(outcome.kind, 'no-answer');
      assert.equal(raw.listeners.size, 0);
    });
  }

  it('ignores events that make no sense', async () => {
    const { server, raw, probe } = await setUp({ delayMs: 50 });
    const asking = probe.ask(server.primary);
    const payload = raw.sent[0]?.payload ?? new Uint8Array();
    raw.inject({ address: 'nonsense', port: 1, payload });
    raw.inject({ address: '127.0.0.1', port: 0, payload });
    raw.inject({ ...server.primary, address: server.primary.ip, payload });
    raw.inject({ address: server.primary.ip, port: server.primary.port, payload: new Uint8Array(0) });
    assert.equal((await asking).kind, 'answered');
  });

  it('reports what the kernel says when it refuses the packet', async () => {
    const link: RawLink = { send: async () => new Error('EPERM'), onRaw: () => () => {} };
    const outcome = await new HoleProbe(link, { sourcePort: 4500, rtoMs: 10 }).ask(
      { ip: ip('127.0.0.1'), port: 3478 },
      { timeoutMs: 50 },
    );
    assert.equal(outcome.kind, 'no-answer');
    assert.match((outcome.kind === 'no-answer' && outcome.problem) || '', /EPERM/);
  });

  it('ends on abort', async () => {
    const { server, raw, probe } = await setUp({ dropFirst: Number.POSITIVE_INFINITY });
    const abort = new AbortController();
    const asking = probe.ask(server.primary, { timeoutMs: 600_000, signal: abort.signal });
    abort.abort();
    assert.equal((await asking).kind, 'no-answer');
    assert.equal((await probe.ask(server.primary, { signal: abort.signal })).kind, 'no-answer');
    assert.equal(raw.listeners.size, 0);
  });
});
