import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decideOpening } from '#src/decide/opening.js';
import { NO_OPENING } from '#src/decide/opening-input.js';
import { PAUSES_MS } from '#src/decide/opening-timing.js';
import { describeOpening } from '#src/decide/opening-words.js';
import { fanFor } from '#src/decide/strategies.js';
import type { OpeningMemory } from '#src/model/opening.js';
import { at } from './fixtures.js';
import { OpeningPair, START } from './opening-pair.js';

const phases = (pair: OpeningPair) => [pair.fan.memory.phase, pair.spray.memory.phase];

describe('an opening', () => {
  it('takes a question, an answer, a fan, a spray and a hit; then both ends know the way', () => {
    const pair = new OpeningPair();
    pair.run(600);
    assert.deepEqual(phases(pair), ['opened', 'opened']);
    assert.deepEqual(pair.fan.memory.opened, { target: at('203.0.113.20', 30_000), localPort: 40_001 });
    assert.deepEqual(pair.spray.memory.opened, { target: at('203.0.113.10', 50_002), localPort: null });
    assert.deepEqual(pair.fan.acts, ['fan', 'end-opening']);
    assert.deepEqual(pair.spray.acts, ['spray', 'end-opening']);
    assert.deepEqual(pair.spray.said, ['ready']);
  });

  it('gets through a relay that loses messages, and leaves nothing running whatever is lost', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.boolean()), (lost) => {
        const pair = new OpeningPair();
        pair.passes = () => lost.next().value === false;
        pair.run(8_000);
        pair.passes = () => true;
        pair.run(120_000);
        assert.equal(pair.fan.memory.phase, 'opened');
        assert.equal(pair.fan.fan, null);
        assert.equal(pair.spray.spray, null);
      }),
      { numRuns: 200 },
    );
  });

  it('comes to nothing where the other end says nothing, without one socket, and is asked for ever more rarely', () => {
    const pair = new OpeningPair();
    pair.passes = () => false;
    pair.run(3_600_000);
    assert.deepEqual(
      pair.fan.acts.filter((act) => act === 'fan'),
      [],
    );
    assert.equal(pair.fan.memory.failure, 'the other end does not answer');
    // Each try asks three times.
    assert.ok(pair.fan.said.length <= 3 * PAUSES_MS.length, `${pair.fan.said.length} questions in an hour`);
    assert.match(
      describeOpening(pair.fan.memory) ?? '',
      /^\d+ tries failed, the latest: the other end does not answer$/,
    );
  });

  it('that no probe hits ends on both sides by time; pauses grow', () => {
    const pair = new OpeningPair();
    pair.hits = false;
    pair.run(3_600_000);
    const tries = pair.fan.acts.filter((act) => act === 'fan').length;
    assert.ok(tries >= 5 && tries <= PAUSES_MS.length, `${tries} tries in an hour`);
    assert.deepEqual(phases(pair), ['idle', 'idle']);
    assert.deepEqual([pair.fan.fan, pair.spray.spray], [null, null]);
    assert.equal(pair.fan.memory.failure, 'no probe found one of its mappings');
  });

  for (const [what, input, words] of [
    ['is switched off', { against: 'off' }, /switched off there/],
    ['has the relay near', { against: 'near' }, /the relay is as good/],
    ['has no budget left', { allowance: { probes: 0, busy: false } }, /budget of probes is spent/],
    ['has another try going on', { allowance: { probes: 9, busy: true } }, /another try going on/],
    ['is still direct', { state: 'direct' }, /still direct/],
    ['knows no hole yet', { hole: null }, /both holes/],
  ] as const) {
    it(`is not begun with an end that ${what}: no socket, no probe, and the reason is known`, () => {
      const pair = new OpeningPair();
      pair.spray.input = input;
      pair.run(500);
      assert.deepEqual(
        [...pair.fan.acts, ...pair.spray.acts].filter((act) => act !== 'end-opening'),
        [],
      );
      assert.match(pair.fan.memory.failure ?? '', words);
    });
  }

  it('waits for its turn with an end that has others, and takes it', () => {
    const pair = new OpeningPair();
    pair.spray.input = { allowance: { probes: 9, busy: true } };
    pair.run(600_000);
    assert.equal(pair.fan.memory.failures, 0);
    const asked = pair.fan.said.length;
    assert.ok(asked >= 90 && asked <= 310, `${asked} questions in ten minutes`);
    pair.spray.input = {};
    pair.run(8_000);
    assert.deepEqual(phases(pair), ['opened', 'opened']);
  });

  it('is not even asked for by an end that has reason not to', () => {
    for (const input of [
      { against: 'off' },
      { against: 'near' },
      { state: 'direct' },
      { state: 'punching' },
      { peer: true },
      { ownHole: null },
      { allowance: { probes: 0, busy: false } },
      { allowance: { probes: 9, busy: true } },
    ] as const) {
      const pair = new OpeningPair();
      pair.fan.input = input;
      pair.run(5_000);
      assert.deepEqual(pair.fan.said, []);
    }
  });

  it('sends to no third party: an address that is not the published one is refused', () => {
    const asking = { ...NO_OPENING, phase: 'asking', token: 'a'.repeat(16), said: 1, saidAt: START } as const;
    const ready = { kind: 'ready', token: 'a'.repeat(16), probes: 1_024 } as const;
    const hear = (hole: ReturnType<typeof at>) => decide(asking, { type: 'message', message: { ...ready, hole } });
    assert.equal(hear(at('198.51.100.66', 30_000)).memory.phase, 'idle');
    assert.match(hear(at('198.51.100.66', 30_000)).memory.failure ?? '', /another address/);
    // A newer port of the same NAT is believed.
    assert.deepEqual(hear(at('203.0.113.20', 31_000)).memory.aim, at('203.0.113.20', 31_000));
  });

  it('of another token, or in another phase, is not heard', () => {
    const memory = { ...NO_OPENING, phase: 'fanned', token: 'a'.repeat(16), saidAt: START, since: START } as const;
    for (const message of [
      { kind: 'no', token: 'b'.repeat(16), why: 'busy' },
      { kind: 'ready', token: 'a'.repeat(16), hole: at('203.0.113.20', 1), probes: 1 },
      { kind: 'ask', token: 'a'.repeat(16), sockets: 9 },
    ] as const)
      assert.deepEqual(decide(memory, { type: 'message', message }).acts, []);
    assert.deepEqual(decide(memory, { type: 'fan', id: 1, localPort: 4, outsidePort: 5 }).acts, []);
  });

  it('ends with the path that goes by it: closed, then forgotten once the peer is gone, then another is looked for', () => {
    const pair = new OpeningPair();
    pair.run(600);
    for (const end of [pair.fan, pair.spray]) end.input = { state: 'direct', peer: true, session: true };
    pair.run(60_000);
    assert.deepEqual(phases(pair), ['opened', 'opened']);
    for (const end of [pair.fan, pair.spray]) end.input = { state: 'relayed', peer: true, session: true };
    pair.run(3_000);
    assert.deepEqual(phases(pair), ['closing', 'closing']);
    assert.ok(pair.fan.memory.opened, 'the rule stays while the other end may be sending by it');
    for (const end of [pair.fan, pair.spray]) end.input = {};
    pair.run(5_000);
    assert.deepEqual(phases(pair), ['opened', 'opened']);
    assert.equal(pair.fan.acts.filter((act) => act === 'fan').length, 2);
    assert.equal(pair.fan.memory.failures, 0);
  });

  it('without a handshake counts as failed', () => {
    const pair = new OpeningPair();
    pair.run(600);
    for (const end of [pair.fan, pair.spray]) end.input = { state: 'punching', peer: true };
    pair.run(10_000);
    for (const end of [pair.fan, pair.spray]) end.input = { state: 'relayed', peer: true };
    pair.run(2_000);
    assert.equal(pair.fan.memory.failures, 1);
    assert.match(pair.fan.memory.failure ?? '', /no handshake/);
  });

  it('starts over at once where a hole or key is another', () => {
    const failed = { ...NO_OPENING, failures: 7, failure: 'x', nextTryAt: START + 3_000_000, fingerprint: 'old' };
    assert.equal(decide(failed).memory.phase, 'asking');
    assert.equal(decide({ ...failed, fingerprint: 'same' }).memory.phase, 'idle');
  });

  it('is stopped where the pair needs none any more', () => {
    const memory = { ...NO_OPENING, phase: 'spraying', token: 'a'.repeat(16), since: START } as const;
    const { memory: after, acts } = decideOpening(memory, { ...INPUT, memory, role: null });
    assert.deepEqual(
      acts.map(({ op }) => op),
      ['end-opening'],
    );
    assert.equal(after.phase, 'idle');
  });

  it('is refused to who asks where this end knows of none', () => {
    const ask = { type: 'message', message: { kind: 'ask', token: 'a'.repeat(16), sockets: 256 } } as const;
    const { acts } = decideOpening(NO_OPENING, { ...INPUT, memory: NO_OPENING, events: [ask], role: null });
    assert.deepEqual(acts, [{ op: 'say', message: { kind: 'no', token: 'a'.repeat(16), why: 'pair' } }]);
  });

  it('wakes nobody while traffic goes by it', () => {
    const opened = { target: at('203.0.113.20', 30_000), localPort: 40_001 };
    const memory = { ...NO_OPENING, phase: 'opened', opened, proven: true, fingerprint: 'same' } as const;
    assert.equal(decideOpening(memory, { ...INPUT, memory, state: 'direct' }).wakeAt, Number.POSITIVE_INFINITY);
  });
});

const INPUT = {
  events: [],
  allowance: { probes: 8_192, busy: false },
  token: 'c'.repeat(16),
  now: START,
  pair: 'a b',
  role: 'fan',
  fan: fanFor(null),
  against: null,
  ownHole: at('203.0.113.10', 20_000),
  hole: at('203.0.113.20', 30_000),
  fingerprint: 'same',
  state: 'relayed',
  peer: false,
  session: false,
  scale: 1,
} as const;

function decide(memory: OpeningMemory, ...events: Parameters<typeof decideOpening>[1]['events'][number][]) {
  return decideOpening(memory, { ...INPUT, memory, events });
}
