import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { NatPorts } from '#src/model/nat-profile.js';
import { REFUSALS, type RendezvousMessage } from '#src/model/opening.js';
import { encodeMessage, MESSAGE_BYTES, parseMessage } from '#src/probe/rendezvous-codec.js';
import { at } from '../decide/fixtures.js';
import { aSequence } from '../decide/ports.js';

const token = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value) => value.toString(16).padStart(16, '0'));
const port = fc.integer({ min: 1, max: 65_535 });
const count = fc.integer({ min: 1, max: 4_096 });
const hole = fc.tuple(fc.integer({ min: 1, max: 254 }), port).map(([last, to]) => at(`203.0.113.${last}`, to));
const ports = fc.tuple(port, port).map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));

const step = fc.integer({ min: -32_768, max: 32_767 }).filter((value) => value !== 0);
const block = fc.constantFrom(true, false, null);
const range = fc.option(ports);
const natPorts: fc.Arbitrary<NatPorts> = fc
  .oneof(
    fc.record({
      assignment: fc.constant('sequential' as const),
      step,
      between: fc.nat({ max: 65_535 }),
      ports: range,
      block,
    }),
    fc.record({
      assignment: fc.constantFrom('random' as const, 'port-preserving' as const),
      step: fc.constant(null),
      between: fc.constant(null),
      ports: range,
      block,
    }),
  )
  .map((value) => ({ ...value }));

const PLAIN = { noNullPrototype: true };

const message: fc.Arbitrary<RendezvousMessage> = fc.oneof(
  fc.record({ kind: fc.constant('ask' as const), token, sockets: count }, PLAIN),
  fc.record({ kind: fc.constant('ready' as const), token, hole, probes: count }, PLAIN),
  fc.record({ kind: fc.constant('open' as const), token, ports }, PLAIN),
  fc.record({ kind: fc.constant('hit' as const), token, port }, PLAIN),
  fc.record({ kind: fc.constant('nat' as const), token, ports: natPorts }, PLAIN),
  fc.record({ kind: fc.constant('no' as const), token, why: fc.constantFrom(...REFUSALS) }, PLAIN),
);

describe('rendezvous messages', () => {
  it('are read as they were written, all of one length', () => {
    fc.assert(
      fc.property(message, (written) => {
        const bytes = encodeMessage(written);
        assert.equal(bytes.length, MESSAGE_BYTES);
        assert.deepEqual(parseMessage(bytes), written);
      }),
    );
  });

  it('have one form: a message with any bit changed is another message, or none', () => {
    fc.assert(
      fc.property(message, fc.integer({ min: 0, max: MESSAGE_BYTES * 8 - 1 }), (written, bit) => {
        const bytes = encodeMessage(written);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        const read = parseMessage(bytes);
        if (read === null) return;
        assert.notDeepEqual(read, written);
        assert.deepEqual(encodeMessage(read), bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it('are nothing at another length, of another version, or when anybody makes them up', () => {
    const bytes = encodeMessage({ kind: 'ask', token: '0123456789abcdef', sockets: 256 });
    for (let length = 0; length < MESSAGE_BYTES; length++) assert.equal(parseMessage(bytes.subarray(0, length)), null);
    assert.equal(parseMessage(Uint8Array.from([...bytes, 0])), null);
    assert.equal(parseMessage(bytes.with(4, 2)), null);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
        const read = parseMessage(noise);
        assert.ok(read === null || encodeMessage(read).every((byte, index) => byte === noise[index]));
      }),
      { numRuns: 5_000 },
    );
  });

  it('never name a place that cannot be sent to, or a range or count that is none', () => {
    const refused = (change: (bytes: Uint8Array) => void, written: RendezvousMessage) => {
      const bytes = encodeMessage(written);
      change(bytes);
      assert.equal(parseMessage(bytes), null);
    };
    const ready: RendezvousMessage = { kind: 'ready', token: 'f'.repeat(16), hole: at('203.0.113.9', 4500), probes: 9 };
    for (const ip of [
      [127, 0, 0, 1],
      [224, 0, 0, 1],
      [0, 0, 0, 0],
      [255, 255, 255, 255],
    ])
      refused((bytes) => bytes.set(ip, 16), ready);
    refused((bytes) => bytes.set([0, 0], 20), ready);
    refused((bytes) => bytes.set([0, 0], 26), ready);
    refused((bytes) => bytes.set([0xff, 0xff], 26), ready);
    const open: RendezvousMessage = { kind: 'open', token: '0'.repeat(16), ports: { first: 9, last: 9 } };
    refused((bytes) => bytes.set([0, 8], 24), open);
    refused((bytes) => bytes.set([0, 0], 22), open);
    refused((bytes) => bytes.set([0, 1], 26), open);
    refused((bytes) => bytes.set([1], 6), open);
    const nat: RendezvousMessage = { kind: 'nat', token: '0'.repeat(16), ports: aSequence() };
    refused((bytes) => bytes.set([0], 6), nat);
    refused((bytes) => bytes.set([4], 6), nat);
    refused((bytes) => bytes.set([3], 7), nat);
    refused((bytes) => bytes.set([0, 0], 20), nat);
    refused((bytes) => bytes.set([0, 9], 24), nat);
    // A random NAT has no step.
    refused((bytes) => bytes.set([3], 6), nat);
  });

  it('of the kinds that the first version had are those of the first version, byte for byte', () => {
    const token = '0123456789abcdef';
    const hex = (written: RendezvousMessage) => Buffer.from(encodeMessage(written)).toString('hex');
    const start = '435852560';
    const of = (kind: number, rest: string) => `${start}10${kind}0000${token}${rest.padEnd(32, '0')}`;
    assert.equal(hex({ kind: 'ask', token, sockets: 256 }), of(1, '000000000000000000000100'));
    assert.equal(hex({ kind: 'open', token, ports: { first: 1_024, last: 65_535 } }), of(3, '0000000000000400ffff'));
    assert.equal(hex({ kind: 'no', token, why: 'missed' }), of(5, '000000000000000000000008'));
    assert.equal(hex({ kind: 'nat', token, ports: aSequence({ step: -2, between: 3 }) }).slice(10, 12), '06');
  });
});
