import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Ip, ipToBytes, parseIp } from '#src/model/address.js';
import {
  addressRequest,
  type NatPmpAnswer,
  natPmpMapRequest,
  parseNatPmpAnswer,
} from '#src/nat/portmap/nat-pmp-codec.js';
import { announceRequest, mapRequest, type PcpAnswer, parsePcpAnswer } from '#src/nat/portmap/pcp-codec.js';

const ip = (text: string) => parseIp(text) as Ip;
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const NONCE = hex('378f6c3d5c537da90b0d1abd');

/** Said by miniupnpd 2.3.1 to requests for UDP 4500. */
const SAID = {
  announce: '02800000 00000000 00000006 000000000000000000000000',
  map: `02810000 00001c20 00000007 000000000000000000000000
    378f6c3d5c537da90b0d1abd 11000000 1194 1194 00000000000000000000ffff8042000a`.replaceAll(/\s/g, ''),
  noResources: `02810008 0000001e 00000002 000000000000000000000000
    65d76d3bc52feb034def047d 11000000 1194 1194 00000000000000000000ffffcb00710a`.replaceAll(/\s/g, ''),
  address: '00800000 00000007 8042000a',
  pmpMap: '00810000 00000007 1194 1194 00001c20',
  pmpNetworkFailure: '00800003 00000002 00000000',
} as const;

describe('PCP on the wire', () => {
  it('asks as RFC 6887 7.1 and 11.1 draw it', () => {
    const request = { client: ip('192.168.1.2'), nonce: NONCE, internalPort: 4500, lifetime: 3600 };
    assert.deepEqual(
      mapRequest({ ...request, suggested: { ip: null, port: 50_000 } }),
      hex(
        '02010000 00000e10 00000000000000000000ffffc0a80102 378f6c3d5c537da90b0d1abd 11000000 1194 c350 00000000000000000000ffff00000000',
      ),
    );
    assert.deepEqual(announceRequest(request.client), hex('02000000 00000000 00000000000000000000ffffc0a80102'));
  });

  it('reads what a real router says', () => {
    assert.deepEqual(parsePcpAnswer(hex(SAID.announce)), { kind: 'announce', epoch: 6 });
    assert.deepEqual(parsePcpAnswer(hex(SAID.map)), {
      kind: 'map',
      nonce: NONCE,
      internalPort: 4500,
      external: { ip: ip('128.66.0.10'), port: 4500 },
      lifetime: 7200,
      epoch: 7,
    });
    const refused = parsePcpAnswer(hex(SAID.noResources));
    assert.deepEqual(refused, {
      kind: 'error',
      of: 'map',
      name: 'NO_RESOURCES',
      nonce: hex('65d76d3bc52feb034def047d'),
      lifetime: 30,
      epoch: 2,
    });
    // RFC 6887 9: what a NAT-PMP router says to it
    assert.deepEqual(parsePcpAnswer(hex('00 81 0001')), { kind: 'other-version', version: 0 });
  });

  const spoilt: [string, (bytes: Uint8Array) => Uint8Array | undefined][] = [
    ['a request', (bytes) => bytes.with(1, 1)],
    ['an operation that was not asked for', (bytes) => bytes.with(1, 0x82)],
    ['a length that is no multiple of four', (bytes) => Uint8Array.from([...bytes, 0])],
    ['a body that is cut', (bytes) => bytes.slice(0, 56)],
    ['more than 1,100 bytes', (bytes) => Uint8Array.from([...bytes, ...new Uint8Array(1044)])],
    ['TCP', (bytes) => bytes.with(36, 6)],
    ['an outside port of 0', (bytes) => bytes.with(42, 0).with(43, 0)],
    ['an inside port of 0', (bytes) => bytes.with(40, 0).with(41, 0)],
    ['an outside address of everybody', (bytes) => bytes.with(56, 224)],
    ['an outside address of IPv6', (bytes) => bytes.with(44, 0x20)],
  ];
  for (const [name, spoil] of spoilt) {
    it(`takes no answer with ${name}`, () => assert.equal(parsePcpAnswer(spoil(hex(SAID.map)) ?? hex('')), null));
  }

  it('reads back any mapping that it can be told of', () => {
    const port = fc.integer({ min: 1, max: 65535 });
    const outside = fc.ipV4().filter((text) => /^(?:[1-9]|[1-9]\d|11\d)\./.test(text) && !text.startsWith('10.'));
    const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 });
    const u32 = fc.integer({ min: 1, max: 0xffffffff });
    fc.assert(
      fc.property(port, port, outside, nonce, u32, u32, (internal, external, address, id, lifetime, epoch) => {
        const bytes = mapRequest({
          client: ip('192.168.1.2'),
          nonce: id,
          internalPort: internal,
          lifetime,
          suggested: { ip: ip(address), port: external },
        });
        // An answer is laid out as its request is; the client's address has made room for the epoch (RFC 6887 7.2).
        bytes[1] = 0x81;
        bytes.fill(0, 8, 24);
        new DataView(bytes.buffer).setUint32(8, epoch);
        const expected = { kind: 'map', nonce: id, internalPort: internal, lifetime, epoch } as const;
        assert.deepEqual(parsePcpAnswer(bytes), { ...expected, external: { ip: ip(address), port: external } });
      }),
    );
  });
});

describe('NAT-PMP on the wire', () => {
  it('asks as RFC 6886 3.2 and 3.3 draw it', () => {
    assert.deepEqual(addressRequest(), hex('0000'));
    assert.deepEqual(natPmpMapRequest(4500, 50_000, 3600), hex('00010000 1194 c350 00000e10'));
  });

  it('reads what a real router says', () => {
    assert.deepEqual(parseNatPmpAnswer(hex(SAID.address)), { kind: 'address', ip: ip('128.66.0.10'), epoch: 7 });
    const map = { kind: 'map', internalPort: 4500, externalPort: 4500, lifetime: 7200, epoch: 7 };
    assert.deepEqual(parseNatPmpAnswer(hex(SAID.pmpMap)), map);
    const failed = { kind: 'error', of: 'address', name: 'Network Failure', epoch: 2 };
    assert.deepEqual(parseNatPmpAnswer(hex(SAID.pmpNetworkFailure)), failed);
  });

  const refused: [string, string][] = [
    ['a request', '00010000 1194 1194 00001c20'],
    ['a mapping of TCP', '00820000 00000007 1194 1194 00001c20'],
    ['PCP', '02810000 00000007 1194 1194 00001c20'],
    ['a mapping that is cut', '00810000 00000007 1194'],
    ['a mapping to port 0', '00810000 00000007 1194 0000 00001c20'],
    ['a mapping from port 0', '00810000 00000007 0000 1194 00001c20'],
    ['an address of nobody', '00800000 00000007 00000000'],
    ['an address and more', '00800000 00000007 8042000a 00000000'],
  ];
  for (const [name, bytes] of refused) {
    it(`takes no answer with ${name}`, () => assert.equal(parseNatPmpAnswer(hex(bytes)), null));
  }
});

describe('whatever the bytes', () => {
  const near = (real: string) =>
    fc
      .tuple(fc.constant(hex(real)), fc.array(fc.tuple(fc.nat(63), fc.nat(255)), { maxLength: 4 }), fc.nat(64))
      .map(([bytes, changes, length]) => {
        const changed = bytes.slice(0, length === 64 ? undefined : length);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        return changed;
      });
  const any = fc.oneof(fc.uint8Array({ maxLength: 1200 }), ...Object.values(SAID).map(near));
  const isPlace = (place: { ip: Ip; port: number }) => ipToBytes(place.ip).length === 4 && place.port > 0;

  it('an answer is taken whole or not at all', () => {
    const whole = (answer: PcpAnswer | NatPmpAnswer | null) => {
      if (answer?.kind !== 'map') return;
      assert.ok(answer.internalPort > 0);
      if (answer.lifetime === 0) return;
      if ('external' in answer) assert.ok(isPlace(answer.external));
      else assert.ok(answer.externalPort > 0);
    };
    fc.assert(
      fc.property(any, (bytes) => {
        whole(parsePcpAnswer(bytes));
        whole(parseNatPmpAnswer(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});
