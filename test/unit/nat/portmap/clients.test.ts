/** PCP and NAT-PMP clients against a router that says what it is told to. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Ip, parseIp } from '#src/model/address.js';
import type { Answer, Ask, Question } from '#src/nat/portmap/exchange.js';
import { NatPmpClient } from '#src/nat/portmap/nat-pmp.js';
import { PcpClient } from '#src/nat/portmap/pcp.js';

const ROUTER = parseIp('192.168.1.1') as Ip;
const OWN = parseIp('192.168.1.2') as Ip;
const NONCE = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
const WISH = { internalPort: 4500, externalPort: 50_000 };
const never = new AbortController().signal;

type Said = 'closed' | 'silent' | readonly Uint8Array[];

/** Answers each question in turn; what the client does not take is as if nothing had come. */
function scripted(...script: Said[]) {
  const requests: string[] = [];
  const ask: Ask = async <T>(question: Question<T>): Promise<Answer<T>> => {
    assert.equal(`${question.router}:${question.port}`, '192.168.1.1:5351');
    requests.push(Buffer.from(question.request(OWN)).toString('hex'));
    const said = script.shift() ?? 'silent';
    if (typeof said === 'string') return { kind: said };
    for (const bytes of said) {
      const value = question.parse(bytes);
      if (value !== null) return { kind: 'answered', value };
    }
    return { kind: 'silent' };
  };
  return { ask, requests };
}

function pcpMap({ nonce = NONCE, port = 4500, lifetime = 3600, result = 0, epoch = 9 } = {}): Uint8Array {
  const bytes = new Uint8Array(60);
  const view = new DataView(bytes.buffer);
  bytes.set([2, 0x81, 0, result]);
  view.setUint32(4, lifetime);
  view.setUint32(8, epoch);
  bytes.set(nonce, 24);
  bytes[36] = 17;
  view.setUint16(40, port);
  view.setUint16(42, 50_001);
  bytes.set([0xff, 0xff, 198, 51, 100, 7], 54);
  return bytes;
}
const announce = (epoch: number) =>
  Uint8Array.from([2, 0x80, ...new Array(9).fill(0), epoch, ...new Array(12).fill(0)]);

describe('PCP', () => {
  const setUp = (...script: Said[]) => {
    const clock = { now: 0 };
    const { ask, requests } = scripted(...script);
    return { clock, requests, client: new PcpClient({ router: ROUTER, nonce: NONCE, now: () => clock.now, ask }) };
  };

  it('is granted what the router says', async () => {
    const { client, requests } = setUp([pcpMap()]);
    const external = { ip: parseIp('198.51.100.7'), port: 50_001 };
    assert.deepEqual(await client.map(WISH, never), { kind: 'granted', external, lifetimeS: 3600 });
    assert.match(requests[0] ?? '', /^02010000.*0102030405060708090a0b0c110000001194c350/);
  });

  it("takes no answer to another's request", async () => {
    const others = [pcpMap({ nonce: NONCE.with(0, 9) }), pcpMap({ port: 4501 }), announce(3)];
    const { client } = setUp(others, [...others, pcpMap()], [pcpMap({ nonce: NONCE.with(11, 0), result: 2 })]);
    assert.deepEqual(await client.map(WISH, never), { kind: 'silent' });
    assert.equal((await client.map(WISH, never)).kind, 'granted');
    assert.deepEqual(await client.map(WISH, never), { kind: 'silent' });
  });

  it('tells a refusal from a router that does not speak it', async () => {
    const { client } = setUp(
      [pcpMap({ result: 2 })],
      [pcpMap({ result: 4 })],
      [Uint8Array.of(0, 0x81, 0, 1)],
      'closed',
    );
    assert.deepEqual(await client.map(WISH, never), { kind: 'refused', reason: 'NOT_AUTHORIZED' });
    for (const closed of [false, false, true])
      assert.deepEqual(await client.map(WISH, never), { kind: 'unsupported', closed });
  });

  it('finds a router that started over, asked or told', async () => {
    const { client, clock } = setUp([pcpMap({ epoch: 100 })], [announce(110)], [announce(3)], 'silent');
    await client.map(WISH, never);
    clock.now = 10_000;
    assert.equal(await client.check(WISH, never), 'kept');
    clock.now = 20_000;
    assert.equal(await client.check(WISH, never), 'lost');
    assert.equal(await client.check(WISH, never), 'silent');
    clock.now = 30_000;
    assert.deepEqual([client.announced(announce(13)), client.announced(announce(1))], [false, true]);
    assert.equal(client.announced(Uint8Array.of(1, 2, 3)), false);
  });

  it('gives back with a lifetime of 0', async () => {
    const { client, requests } = setUp('silent');
    await client.release(WISH);
    assert.match(requests[0] ?? '', /^0201000000000000/);
  });
});

describe('NAT-PMP', () => {
  const address = (epoch = 9) => Uint8Array.of(0, 0x80, 0, 0, 0, 0, 0, epoch, 198, 51, 100, 7);
  const mapping = (port = 4500) =>
    Uint8Array.of(0, 0x81, 0, 0, 0, 0, 0, 9, port >> 8, port & 255, 0xc3, 0x51, 0, 0, 14, 16);
  const setUp = (...script: Said[]) => {
    const clock = { now: 0 };
    const { ask, requests } = scripted(...script);
    return { clock, requests, client: new NatPmpClient({ router: ROUTER, now: () => clock.now, ask }) };
  };

  it('asks for the address and the port, and takes the answers that belong to them', async () => {
    const { client, requests } = setUp([mapping(), address()], [address(), mapping(4501), mapping()]);
    const external = { ip: parseIp('198.51.100.7'), port: 50_001 };
    assert.deepEqual(await client.map(WISH, never), { kind: 'granted', external, lifetimeS: 3600 });
    assert.deepEqual(requests, ['0000', '000100001194c35000000e10']);
  });

  it('tells a refusal from a router that does not speak it', async () => {
    const refused = Uint8Array.of(0, 0x80, 0, 2, 0, 0, 0, 9);
    const { client } = setUp([refused], [Uint8Array.of(0, 0x80, 0, 1, 0, 0, 0, 9)], 'closed', 'silent');
    assert.deepEqual(await client.map(WISH, never), { kind: 'refused', reason: 'Not Authorized/Refused' });
    for (const closed of [false, true])
      assert.deepEqual(await client.map(WISH, never), { kind: 'unsupported', closed });
    assert.deepEqual(await client.map(WISH, never), { kind: 'silent' });
  });

  it('finds a router that started over, asked or told', async () => {
    const { client, clock } = setUp([address(50)], [address(60)], [address(2)]);
    assert.equal(await client.check(WISH, never), 'kept');
    clock.now = 10_000;
    assert.equal(await client.check(WISH, never), 'kept');
    assert.equal(await client.check(WISH, never), 'lost');
    clock.now = 60_000;
    assert.equal(client.announced(address(1)), true);
  });

  it('gives back with a lifetime and an outside port of 0 (RFC 6886 3.4)', async () => {
    const { client, requests } = setUp('silent');
    await client.release(WISH);
    assert.deepEqual(requests, ['000100001194000000000000']);
  });
});
