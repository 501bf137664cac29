import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChangeFlag } from '#src/native.js';
import { SaLedger } from '#src/tunnel/libreswan/sa-ledger.js';
import { at } from '../../decide/fixtures.js';
import { delta, isOwn, THEIRS } from './xfrm-delta.js';

test('a session is an SA in each direction; the hole is where the newest comes from', () => {
  const ledger = new SaLedger();
  assert.deepEqual([...ledger.take(delta({ spi: 1 }), isOwn, 100.4)], [5]);
  assert.equal(ledger.facts(5).session, false, 'one direction is none');
  ledger.take(delta({ spi: 2, out: true }), isOwn, 100.4);
  assert.deepEqual(ledger.facts(5), {
    session: true,
    endpoint: at(THEIRS),
    since: 100.4,
    rxBytes: 0,
    txBytes: 0,
  });
  ledger.take(
    delta({ spi: 3, addedAt: 200, port: 31_000 }, { spi: 4, out: true, addedAt: 200, port: 31_000 }),
    isOwn,
    900,
  );
  assert.deepEqual(ledger.facts(5).endpoint, at(THEIRS, 31_000));
  assert.equal(ledger.facts(5).since, 201, 'one that was found later came up in the second that the kernel says');
});

test('counters go on over a rekeying, and are never less than they were', () => {
  const ledger = new SaLedger();
  ledger.take(delta({ spi: 1, bytes: 100 }, { spi: 2, out: true, bytes: 50 }), isOwn, 100);
  ledger.take(delta({ spi: 3, bytes: 10, addedAt: 200 }, { spi: 4, out: true, bytes: 5, addedAt: 200 }), isOwn, 200);
  ledger.take(delta({ spi: 1, bytes: 120, changes: ChangeFlag.Counters }), isOwn, 200);
  assert.deepEqual([ledger.facts(5).rxBytes, ledger.facts(5).txBytes], [130, 55]);
  ledger.take(
    delta({ spi: 1, changes: ChangeFlag.Removed }, { spi: 2, out: true, changes: ChangeFlag.Removed }),
    isOwn,
    201,
  );
  assert.deepEqual([ledger.facts(5).rxBytes, ledger.facts(5).txBytes, ledger.facts(5).session], [130, 55, true]);
  // Under the SPI of one that is gone, and that nobody has told of.
  ledger.take(delta({ spi: 3, bytes: 1, addedAt: 300 }), isOwn, 300);
  assert.equal(ledger.facts(5).rxBytes, 131);
});

test('all SAs gone: no session, and it is still known when the last came up', () => {
  const ledger = new SaLedger();
  ledger.take(delta({ spi: 1 }, { spi: 2, out: true }), isOwn, 100);
  ledger.take(
    delta({ spi: 1, changes: ChangeFlag.Removed }, { spi: 2, out: true, changes: ChangeFlag.Removed }),
    isOwn,
    101,
  );
  assert.deepEqual([ledger.facts(5).session, ledger.facts(5).endpoint, ledger.facts(5).since], [false, null, 100]);
  ledger.forget(5);
  assert.equal(ledger.facts(5).since, 0);
});

test('what is no ESP is passed over', () => {
  const ledger = new SaLedger();
  assert.deepEqual([...ledger.take(delta({ spi: 1, protocol: 51 }), isOwn, 100)], []);
});
