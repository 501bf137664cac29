/** Tapped answers beside a socket's own: taken once, by whoever asked, and by nobody else. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { HostPort } from '#src/model/address.js';
import { RFC_8489, StunClient } from '#src/nat/client.js';
import { type DecodedMessage, decodeMessage, encodeMessage } from '#src/nat/codec.js';
import { discover } from '#src/nat/discover.js';
import type { RawAnswer } from '#src/nat/hole.js';
import { openTapped } from '#src/nat/tap.js';
import { type OnDatagram, type OpenUdp, openUdp } from '#src/nat/udp.js';
import { behindNat } from './nat-box.js';
import { ip, startServer } from './stun-server.js';

const SERVER: HostPort = { ip: ip('198.51.100.1'), port: 3478 };
const STRANGER: HostPort = { ip: ip('198.51.100.9'), port: 3478 };
const MAPPED: HostPort = { ip: ip('203.0.113.7'), port: 20_001 };

/** A tap that a test speaks through. */
function tap() {
  const listeners = new Set<(answer: RawAnswer) => void>();
  const onRaw = (listener: (answer: RawAnswer) => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  const hear = (payload: Uint8Array, from: HostPort) => {
    for (const listener of [...listeners]) listener({ address: from.ip, port: from.port, payload });
  };
  return { onRaw, hear, listeners };
}

/** Ports that send nowhere: what arrives is the test's business. */
function silentPorts() {
  const sent: DecodedMessage[] = [];
  const inward: OnDatagram[] = [];
  let closed = 0;
  const open: OpenUdp = async (_bindAddress, onDatagram) => {
    inward.push(onDatagram);
    const send = async (bytes: Uint8Array) => {
      sent.push(decodeMessage(bytes) ?? assert.fail('a request that is no STUN'));
    };
    const close = () => {
      closed += 1;
    };
    return { localPort: 40_000, send, close };
  };
  return { open, sent, inward, closed: () => closed };
}

const answerTo = (request: DecodedMessage | undefined, mapped = MAPPED): Uint8Array => {
  assert.ok(request);
  return encodeMessage({ kind: 'success', transactionId: request.transactionId, xorMappedAddress: mapped });
};
const query = () => ({ to: SERVER, retransmission: RFC_8489, deadline: performance.now() + 20_000 });

describe('tapped ports', () => {
  it('take an answer that only the tap brings', async () => {
    const { onRaw, hear } = tap();
    const { open, sent } = silentPorts();
    const client = await StunClient.open(openTapped(onRaw, open), null);
    const asked = client.ask(query());
    hear(answerTo(sent[0]), SERVER);
    const outcome = await asked;
    assert.equal(outcome.kind, 'answered');
    assert.deepEqual(outcome.kind === 'answered' && outcome.mapped, MAPPED);
    client.close();
  });

  for (const first of ['tap', 'socket'] as const)
    it(`take one answer once, when it comes twice, by the ${first} first`, async () => {
      const { onRaw, hear } = tap();
      const { open, sent, inward } = silentPorts();
      const client = await StunClient.open(openTapped(onRaw, open), null);
      const one = client.ask(query());
      const two = client.ask(query());
      const ways = [hear, (bytes: Uint8Array, from: HostPort) => inward[0]?.(bytes, from)];
      if (first === 'socket') ways.reverse();
      // The second copy says something else: it must not count, for this transaction or for the other.
      ways[0]?.(answerTo(sent[0]), SERVER);
      ways[1]?.(answerTo(sent[0], { ...MAPPED, port: 9 }), SERVER);
      for (const way of ways) way(answerTo(sent[1], { ...MAPPED, port: 20_002 }), SERVER);
      const outcomes = await Promise.all([one, two]);
      const ports = outcomes.map((outcome) => (outcome.kind === 'answered' ? outcome.mapped.port : outcome.kind));
      assert.deepEqual(ports, [20_001, 20_002]);
      client.close();
    });

  it('give every port every answer, and only who asked takes it', async () => {
    const { onRaw, hear } = tap();
    const { open, sent } = silentPorts();
    const tapped = openTapped(onRaw, open);
    const clients = [await StunClient.open(tapped, null), await StunClient.open(tapped, null)];
    const asked = clients.map((client) => client.ask(query()));
    hear(answerTo(sent[1]), SERVER);
    assert.equal((await asked[1])?.kind, 'answered');
    clients[0]?.close();
    assert.equal((await asked[0])?.kind, 'no-answer');
    clients[1]?.close();
  });

  it('refuse a stranger, another transaction, and what is no address', async () => {
    const { onRaw, hear, listeners } = tap();
    const { open, sent } = silentPorts();
    const client = await StunClient.open(openTapped(onRaw, open), null);
    const asked = client.ask(query());
    hear(answerTo(sent[0]), STRANGER);
    hear(answerTo({ ...(sent[0] ?? assert.fail()), transactionId: new Uint8Array(12) }), SERVER);
    hear(new Uint8Array(20), SERVER);
    for (const listener of [...listeners]) {
      listener({ address: 'nonsense', port: 3478, payload: answerTo(sent[0]) });
      listener({ address: SERVER.ip, port: 0, payload: answerTo(sent[0]) });
    }
    client.close();
    const outcome = await asked;
    assert.equal(outcome.kind, 'no-answer');
    assert.match((outcome.kind === 'no-answer' && outcome.problem) || '', /198\.51\.100\.9/);
  });

  it('stop listening when they are closed, twice too', async () => {
    const { onRaw, listeners } = tap();
    const { open, closed } = silentPorts();
    const port = await openTapped(onRaw, open)(null, () => assert.fail('nothing was sent'));
    assert.equal(listeners.size, 1);
    port.close();
    port.close();
    assert.equal(listeners.size, 0);
    assert.ok(closed() >= 1);
  });

  it('leave no listener behind where no port can be opened', async () => {
    const { onRaw, listeners } = tap();
    const open: OpenUdp = async () => {
      throw new Error('no port');
    };
    await assert.rejects(
      openTapped(onRaw, open)(null, () => {}),
      /no port/,
    );
    assert.equal(listeners.size, 0);
  });
});

describe('discovery behind a firewall that lets in only answers to what was asked', async () => {
  const server = await startServer();
  after(() => server.close());
  const types = { 'endpoint-independent': 'Full cone NAT', 'address-dependent': 'Restricted cone NAT' } as const;

  for (const filtering of ['endpoint-independent', 'address-dependent'] as const)
    it(`sees ${filtering} filtering of the NAT by the tap only; every answer that passes comes twice`, async () => {
      const { onRaw, hear } = tap();
      const nat = behindNat('endpoint-independent', filtering);
      // The NAT's inside, where the tap is; then the firewall.
      const firewalled: OpenUdp = async (bindAddress, onDatagram) => {
        const contacted = new Set<string>();
        const port = await nat(bindAddress, (bytes, from) => {
          hear(bytes, from);
          if (contacted.has(`${from.ip}:${from.port}`)) onDatagram(bytes, from);
        });
        const send = (bytes: Uint8Array, to: HostPort) => {
          contacted.add(`${to.ip}:${to.port}`);
          return port.send(bytes, to);
        };
        return { localPort: port.localPort, send, close: port.close };
      };
      const options = { servers: [server.text], localAddresses: [], deadlines: { rtoMs: 100 } };
      const plain = await discover({ ...options, open: firewalled });
      assert.equal(plain.filtering, 'address-and-port-dependent', 'the firewall hides it');
      const tapped = await discover({ ...options, open: openTapped(onRaw, firewalled) });
      assert.equal(tapped.filtering, filtering);
      assert.equal(tapped.type, types[filtering]);
    });

  it('finds the same with and without a tap where nothing is in between', async () => {
    const { onRaw, hear } = tap();
    const echoing: OpenUdp = (bindAddress, onDatagram) =>
      openUdp(bindAddress, (bytes, from) => {
        onDatagram(bytes, from);
        hear(bytes, from);
        hear(bytes, from);
      });
    const report = await discover({
      servers: [server.text],
      localAddresses: [ip('127.0.0.1')],
      open: openTapped(onRaw, echoing),
    });
    const { type, mapping, filtering, underNat } = report;
    const none = {
      type: 'Undefined',
      mapping: 'endpoint-independent',
      filtering: 'endpoint-independent',
      underNat: false,
    };
    assert.deepEqual({ type, mapping, filtering, underNat }, none);
  });
});
