import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type HostPort, parseIp } from '#src/model/address.js';
import {
  bindingRequest,
  isPlausibleMapping,
  newTransactionId,
  parseBindingResponse,
  usableOther,
} from '#src/nat/binding.js';
import { decodeMessage, encodeMessage, type StunMessage, transactionKey } from '#src/nat/codec.js';

const at = (ip: string, port: number): HostPort => ({ ip: parseIp(ip) as HostPort['ip'], port });
const transactionId = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
const mapped = at('203.0.113.10', 51234);
const success: StunMessage = { kind: 'success', transactionId, xorMappedAddress: mapped };
const bytesOf = (message: Partial<StunMessage>) => encodeMessage({ ...success, ...message });

/** An attribute as bytes, padded (RFC 8489 14). */
const attribute = (type: number, value: readonly number[]) => {
  const padding = new Array((4 - (value.length % 4)) % 4).fill(0);
  return [type >> 8, type & 255, value.length >> 8, value.length & 255, ...value, ...padding];
};
const message = (type: number, ...attributes: number[][]) => {
  const body = attributes.flat();
  const header = [type >> 8, type & 255, body.length >> 8, body.length & 255, 0x21, 0x12, 0xa4, 0x42];
  return Uint8Array.from([...header, ...transactionId, ...body]);
};

describe('STUN codec', () => {
  it('writes a Binding request as RFC 8489 5, RFC 5780 7.2 and 7.5 draw it', () => {
    assert.deepEqual(bindingRequest(transactionId), message(0x0001));
    const both = bindingRequest(transactionId, { changeRequest: { ip: true, port: true } });
    assert.deepEqual(both, message(0x0001, attribute(0x0003, [0, 0, 0, 6])));
    const port = bindingRequest(transactionId, { changeRequest: { ip: false, port: true } });
    assert.deepEqual(port, message(0x0001, attribute(0x0003, [0, 0, 0, 2])));
    const elsewhere = bindingRequest(transactionId, { responsePort: 0x1234 });
    assert.deepEqual(elsewhere, message(0x0001, attribute(0x0027, [0x12, 0x34])));
    assert.equal(decodeMessage(elsewhere)?.responsePort, 0x1234);
  });

  it('reads XOR-MAPPED-ADDRESS of both families from bytes made by hand (RFC 8489 14.2)', () => {
    const v4 = [0, 1, 0x30, 0x86, 203 ^ 0x21, 0 ^ 0x12, 113 ^ 0xa4, 4 ^ 0x42];
    const read4 = parseBindingResponse(message(0x0101, attribute(0x0020, v4)), transactionId);
    assert.deepEqual(read4, { kind: 'success', mapped: at('203.0.113.4', 4500), other: null });
    const mask = [0x21, 0x12, 0xa4, 0x42, ...transactionId];
    const v6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].map((byte, i) => byte ^ (mask[i] ?? 0));
    const read6 = parseBindingResponse(message(0x0101, attribute(0x0020, [0, 2, 0x30, 0x86, ...v6])), transactionId);
    assert.deepEqual(read6, { kind: 'success', mapped: at('2001:db8::1', 4500), other: null });
  });

  it('brings back what it wrote', () => {
    const ip = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => parseIp(text));
    const port = fc.integer({ min: 1, max: 65535 });
    const address = fc.record({ ip: ip.filter((value) => value !== null), port }, { noNullPrototype: true });
    const id = fc.uint8Array({ minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(id, address, address, fc.boolean(), (txid, seen, other, xor) => {
        const key = xor ? 'xorMappedAddress' : 'mappedAddress';
        const bytes = encodeMessage({ kind: 'success', transactionId: txid, [key]: seen, otherAddress: other });
        assert.deepEqual(parseBindingResponse(bytes, txid), { kind: 'success', mapped: seen, other });
      }),
    );
  });

  it('prefers XOR-MAPPED-ADDRESS, and falls back to MAPPED-ADDRESS', () => {
    const both = parseBindingResponse(bytesOf({ mappedAddress: at('198.51.100.1', 1) }), transactionId);
    assert.deepEqual(both, { kind: 'success', mapped, other: null });
    const plain = parseBindingResponse(bytesOf({ xorMappedAddress: undefined, mappedAddress: mapped }), transactionId);
    assert.deepEqual(plain, { kind: 'success', mapped, other: null });
  });

  it('reads errors, without what a terminal would obey', () => {
    const error = { code: 420, reason: 'Un\u001b[31mknown\n' };
    const read = parseBindingResponse(encodeMessage({ kind: 'error', transactionId, error }), transactionId);
    assert.deepEqual(read, { kind: 'error', code: 420, reason: 'Un[31mknown' });
  });

  const good = bytesOf({});
  const patched = (offset: number, ...values: number[]) => {
    const bytes = Uint8Array.from(good);
    bytes.set(values, offset);
    return bytes;
  };
  const mappedBytes = attribute(0x0001, [0, 1, 0x11, 0x94, 203, 0, 113, 10]);
  const refused: Array<[string, Uint8Array, RegExp]> = [
    ['nothing', new Uint8Array(0), /well-formed/],
    ['a short header', good.subarray(0, 19), /well-formed/],
    ['a cut message', good.subarray(0, good.length - 4), /well-formed/],
    ['bytes behind the message', Uint8Array.from([...good, 0, 0, 0, 0]), /well-formed/],
    ['another cookie', patched(4, 0x22), /well-formed/],
    ['the two top bits', patched(0, 0x81), /well-formed/],
    ['a length that lies', patched(2, 0, 8), /well-formed/],
    ['a length that is no multiple of four', patched(2, 0, 11), /well-formed/],
    ['more than a packet holds', new Uint8Array(2000), /well-formed/],
    ['an attribute longer than the message', patched(22, 0, 200), /well-formed/],
    ['another method', patched(0, 0x01, 0x03), /well-formed/],
    ['another transaction', patched(8, 99), /transaction/],
    ['our own request', bindingRequest(transactionId), /request/],
    ['no mapped address', message(0x0101), /mapped address/],
    ['port 0', message(0x0101, attribute(0x0001, [0, 1, 0, 0, 203, 0, 113, 10])), /well-formed/],
    ['a mapped address cut short', message(0x0101, attribute(0x0001, [0, 1, 17, 148, 203])), /well-formed/],
    ['an unknown required attribute', message(0x0101, mappedBytes, attribute(0x7abc, [1])), /0x7abc/],
    ['an error without a code', message(0x0111), /without an error code/],
    ['an error code out of range', message(0x0111, attribute(0x0009, [0, 0, 9, 0])), /without an error code/],
  ];
  for (const [what, bytes, problem] of refused) {
    it(`refuses ${what}`, () => {
      const answer = parseBindingResponse(bytes, transactionId);
      assert.equal(answer.kind, 'invalid');
      assert.match(answer.kind === 'invalid' ? answer.problem : '', problem);
    });
  }

  it('takes unknown optional attributes and RFC 3489 names', () => {
    const bytes = message(0x0101, mappedBytes, attribute(0xc0de, [1, 2, 3]), attribute(0x0005, mappedBytes.slice(4)));
    assert.deepEqual(parseBindingResponse(bytes, transactionId), {
      kind: 'success',
      mapped: at('203.0.113.10', 4500),
      other: null,
    });
  });

  it('never throws, whatever the bytes', () => {
    const noise = fc.uint8Array({ maxLength: 1600 });
    // Noise behind a good header reaches the codec; whole attributes reach every one of its readers.
    const headed = fc.uint8Array({ maxLength: 400 }).map((body) => {
      const whole = body.subarray(0, body.length - (body.length % 4));
      return message(0x0101, Array.from(whole));
    });
    const type = fc.oneof(
      fc.constantFrom(1, 3, 6, 8, 9, 10, 0x14, 0x15, 0x1c, 0x1d, 0x1e, 0x20, 0x24, 0x26, 0x27, 0x8022, 0x802b, 0x802c),
      fc.nat(65535),
    );
    const someAttribute = fc
      .tuple(type, fc.array(fc.nat(255), { maxLength: 40 }))
      .map(([kind, value]) => attribute(kind, value));
    const built = fc
      .tuple(fc.constantFrom(0x0001, 0x0101, 0x0111), fc.array(someAttribute, { maxLength: 8 }))
      .map(([kind, attributes]) => message(kind, ...attributes));
    fc.assert(
      fc.property(fc.oneof(noise, headed, built), (bytes) => {
        const answer = parseBindingResponse(bytes, transactionId);
        assert.ok(['success', 'error', 'invalid'].includes(answer.kind));
        if (answer.kind === 'success') assert.notEqual(parseIp(answer.mapped.ip), null);
        decodeMessage(bytes);
        transactionKey(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it('gives each request 96 bits of its own', () => {
    const ids = new Set(Array.from({ length: 1000 }, () => Buffer.from(newTransactionId()).toString('hex')));
    assert.equal(ids.size, 1000);
    for (const id of ids) assert.equal(id.length, 24);
  });
});

describe('what a server may claim', () => {
  const server = at('198.51.100.1', 3478);
  const inside = at('10.0.0.1', 3478);
  const loopback = at('127.0.0.1', 3478);
  const others: Array<[string, HostPort | null, HostPort, boolean]> = [
    ['none', null, server, false],
    ['public', at('198.51.100.2', 3479), server, true],
    ['the same address', at('198.51.100.1', 3479), server, false],
    ['the same port', at('198.51.100.2', 3478), server, false],
    ['private, from a public server', at('192.168.1.1', 53), server, false],
    ['private, from a private server', at('10.0.0.2', 3479), inside, true],
    ['public, from a private server', at('198.51.100.2', 3479), inside, true],
    ['loopback, from a public server', at('127.0.0.1', 53), server, false],
    ['loopback, from a private server', at('127.0.0.1', 53), inside, false],
    ['loopback, from a loopback server', at('127.0.0.2', 3479), loopback, true],
    ['multicast', at('224.0.0.1', 5353), server, false],
    ['IPv6', at('2001:db8::1', 3479), server, false],
  ];
  for (const [what, other, asked, usable] of others) {
    it(`OTHER-ADDRESS ${what}: ${usable ? 'used' : 'not used'}`, () => {
      assert.deepEqual(usableOther(other, asked), usable ? other : null);
    });
  }

  const mappings: Array<[HostPort, HostPort, boolean]> = [
    [at('203.0.113.1', 1), server, true],
    [at('100.64.0.1', 1), server, true],
    [at('127.0.0.1', 1), server, false],
    [at('127.0.0.1', 1), loopback, true],
    [at('0.0.0.0', 1), server, false],
    [at('224.0.0.1', 1), server, false],
    [at('2001:db8::1', 1), server, false],
  ];
  for (const [claim, asked, plausible] of mappings) {
    it(`mapped address ${claim.ip} from ${asked.ip}: ${plausible ? 'possible' : 'impossible'}`, () => {
      assert.equal(isPlausibleMapping(claim, asked), plausible);
    });
  }
});
