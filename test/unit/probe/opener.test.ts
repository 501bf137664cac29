import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OpeningDeed } from '#src/model/opening.js';
import type { Engine } from '#src/native.js';
import { Opener, saidIn } from '#src/probe/opener.js';
import { encodeMessage } from '#src/probe/rendezvous-codec.js';
import { at, ip } from '../decide/fixtures.js';

const TOKEN = '0123456789abcdef';
const message = { kind: 'ask', token: TOKEN, sockets: 256 } as const;
const bytes = Uint8Array.of(0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef);

function engine(refusal: Error | null = null) {
  const calls: [string, unknown][] = [];
  const call = (name: string, answer: unknown) => async (argument: unknown) => {
    calls.push([name, argument]);
    return answer;
  };
  const fake = {
    rendezvousOpen: call('rendezvousOpen', undefined),
    rendezvousSend: call('rendezvousSend', [refusal]),
    fanOpen: async () => Promise.reject(new Error('EBUSY')),
    sprayStart: call('sprayStart', undefined),
    openingEnd: call('openingEnd', undefined),
  };
  const opener = new Opener(fake as unknown as Engine, (token) => calls.push(['sample', token]));
  return { calls, opener, fake, call };
}

const deeds: OpeningDeed[] = [
  { op: 'say', gateway: 'gw-2', to: ip('10.0.2.1'), message },
  { op: 'fan', gateway: 'gw-2', token: TOKEN, to: at('198.51.100.2'), sockets: 9, ttl: 2, lifeMs: 5_000 },
  {
    op: 'spray',
    gateway: 'gw-2',
    token: TOKEN,
    to: ip('198.51.100.2'),
    ports: { first: 1_024, last: 2_048 },
    count: 7,
  },
  { op: 'sample', gateway: 'gw-2', token: TOKEN },
  { op: 'end-opening', gateway: 'gw-2', token: TOKEN },
];

describe('the opener', () => {
  it('does each deed by the engine, under one id; what fails stops no other', async () => {
    const { calls, opener } = engine();
    const results = await opener.apply(deeds);
    assert.deepEqual(
      results.map((error) => error?.message ?? null),
      [null, 'EBUSY', null, null, null],
    );
    const id = 0x01234567;
    assert.deepEqual(calls, [
      ['rendezvousSend', [{ address: '10.0.2.1', payload: encodeMessage(message) }]],
      [
        'sprayStart',
        { id, token: bytes, sourcePort: 4500, address: '198.51.100.2', first: 1_024, last: 2_048, count: 7 },
      ],
      ['sample', TOKEN],
      ['openingEnd', id],
    ]);
  });

  it("marks what a fan sends as the tunnel's own, so that it goes by no tunnel", async () => {
    const { opener, fake, calls, call } = engine();
    fake.fanOpen = call('fanOpen', undefined) as never;
    await opener.apply(deeds.slice(1, 2));
    const expected = { id: 0x01234567, token: bytes, address: '198.51.100.2', port: 4500, sockets: 9, ttl: 2 };
    assert.deepEqual(calls, [['fanOpen', { ...expected, fwmark: 0x1194, lifeMs: 5_000 }]]);
  });

  it('says what the kernel says to a message', async () => {
    const { opener } = engine(new Error('ENETUNREACH'));
    const [error] = await opener.apply(deeds.slice(0, 1));
    assert.equal(error?.message, 'ENETUNREACH');
  });

  it('opens at the port that all agents agree on, and reads what is a message', async () => {
    const { calls, opener } = engine();
    await opener.open({ device: 'raven-wg0', address: ip('10.0.1.1') });
    await opener.open(null);
    assert.deepEqual(calls, [
      ['rendezvousOpen', { device: 'raven-wg0', address: '10.0.1.1', port: 4502 }],
      ['rendezvousOpen', null],
    ]);
    const event = { type: 'rendezvous', address: '10.0.2.1' } as const;
    assert.deepEqual(saidIn({ ...event, payload: encodeMessage(message) }), message);
    assert.equal(saidIn({ ...event, payload: Uint8Array.of(1) }), null);
  });
});
