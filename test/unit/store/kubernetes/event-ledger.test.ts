import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GatewayEvent } from '#src/store/events.js';
import { EventLedger, type EventSeries } from '#src/store/kubernetes/event-ledger.js';

const event = (note: string, more: Partial<GatewayEvent> = {}): GatewayEvent => ({
  gateway: 'gw-a',
  type: 'Normal',
  reason: 'HoleChanged',
  action: 'Publish',
  note,
  ...more,
});

test('the same again counts in its series, another begins one; after six minutes it begins anew', () => {
  const ledger = new EventLedger(0);
  const first = ledger.note(event('at one'), 0);
  assert.equal(first.kind, 'new');
  const again = ledger.note(event('at one'), 1000);
  assert.ok(again.kind === 'again' && first.kind === 'new');
  assert.equal(again.series, first.series);
  assert.deepEqual([again.series.count, again.series.lastAt], [2, 1000]);
  assert.equal(ledger.note(event('at two'), 2000).kind, 'new');
  assert.equal(ledger.note(event('at one', { gateway: 'gw-b' }), 2000).kind, 'new');
  assert.equal(ledger.note(event('at one', { type: 'Warning' }), 2000).kind, 'new');
  assert.equal(ledger.note(event('at one'), 300_000).kind, 'again', 'it is kept for as long as it goes on');
  assert.equal(ledger.note(event('at one'), 660_000).kind, 'new');
});

test('what is too much for one gateway counts in the newest of its kind, and costs the others nothing', () => {
  const ledger = new EventLedger(0);
  const kinds = Array.from({ length: 20 }, (_, index) => ledger.note(event(`at ${index}`), index));
  assert.deepEqual(kinds.map(({ kind }) => kind).join(' '), `${'new '.repeat(5)}${'again '.repeat(15)}`.trim());
  const last = kinds[19];
  assert.ok(last?.kind === 'again');
  assert.equal(last.series.event.note, 'at 4');
  assert.equal(last.series.count, 16);
  assert.equal(ledger.note(event('other', { reason: 'Direct' }), 20).kind, 'dropped', 'none of its kind was told');
  assert.equal(ledger.note(event('at 1', { gateway: 'gw-b' }), 20).kind, 'new');
  assert.equal(ledger.note(event('later'), 121_000).kind, 'new', 'some time later one is told again');
});

test('what could not be told is told when it happens again', () => {
  const ledger = new EventLedger(0);
  const first = ledger.note(event('x'), 0);
  assert.ok(first.kind === 'new');
  ledger.drop(first.series);
  assert.equal(ledger.note(event('x'), 1).kind, 'new');
});

test('whatever happens, few are told, all that is counted adds up, and memory stays bounded', () => {
  const happening = fc.record({
    gateway: fc.integer({ min: 0, max: 500 }).map((index) => `gw-${index}`),
    reason: fc.constantFrom('HoleChanged', 'Direct', 'BackToRelay'),
    note: fc.integer({ min: 0, max: 30 }).map(String),
    after: fc.integer({ min: 0, max: 400 }),
  });
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 1500 }), (happenings) => {
      const ledger = new EventLedger(0);
      const series = new Set<EventSeries>();
      let [now, dropped] = [0, 0];
      for (const { gateway, reason, note, after } of happenings) {
        now += after;
        const verdict = ledger.note(event(note, { gateway, reason }), now);
        if (verdict.kind === 'dropped') dropped += 1;
        else series.add(verdict.series);
      }
      const counted = [...series].reduce((sum, { count }) => sum + count, 0);
      assert.equal(counted + dropped, happenings.length);
      assert.ok(series.size <= 50 + now / 2000, `${series.size} told in ${now} ms`);
      assert.ok(ledger.size <= 50 + 360_000 / 2000);
    }),
    { numRuns: 100 },
  );
});
