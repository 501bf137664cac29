import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Openings } from '#src/agent/openings.js';
import { Remotes } from '#src/agent/remotes.js';
import { PER_REMOTE } from '#src/decide/budget.js';
import { NO_OPENING } from '#src/decide/opening-input.js';
import { SAMPLE_MAPPINGS } from '#src/decide/opening-size.js';
import type { OpeningDeed } from '#src/model/opening.js';
import { at, gateway } from '../decide/fixtures.js';

const T0 = 1_800_000_000_000;
const TOKEN = '0123456789abcdef';
const message = { kind: 'hit', token: TOKEN, port: 9 } as const;

function two() {
  const remotes = new Remotes();
  return [remotes.put(gateway(1)), remotes.put(gateway(2))] as const;
}

const spray = (name: string, count: number, token = TOKEN): OpeningDeed => ({
  op: 'spray',
  gateway: name,
  token,
  to: at('203.0.113.9').ip,
  ports: { first: 1, last: 9 },
  count,
});

describe('openings', () => {
  it('tell a decision once what was heard before it, and keep what it remembers', () => {
    const [a] = two();
    const openings = new Openings();
    assert.equal(openings.hear(a, message), true);
    assert.equal(openings.inform(a, T0), NO_OPENING);
    assert.deepEqual(a.facts.opening?.events, [{ type: 'message', message }]);
    const memory = { ...NO_OPENING, failures: 3 };
    assert.deepEqual(openings.took(a, memory, [], T0), []);
    assert.equal(openings.inform(a, T0), memory);
    assert.deepEqual(a.facts.opening?.events, []);
  });

  it('hear a remote that talks too much no more', () => {
    const [a, b] = two();
    const openings = new Openings();
    const heard = Array.from({ length: 1_000 }, () => openings.hear(a, message)).filter(Boolean).length;
    assert.ok(heard <= 60, `${heard} of 1,000 at once`);
    assert.equal(openings.hear(b, message), true);
  });

  it('know whose a spray is, until it is ended', () => {
    const [a] = two();
    const openings = new Openings();
    openings.inform(a, T0);
    openings.took(a, NO_OPENING, [spray('gw-1', 5)], T0);
    const event = { type: 'spray', id: 0x01234567, sent: 5, failed: 0 } as const;
    assert.equal(openings.ended(event), 'gw-1');
    openings.took(a, NO_OPENING, [{ op: 'end-opening', gateway: 'gw-1', token: TOKEN }], T0);
    assert.equal(openings.ended(event), undefined);
  });

  it('know whose a sample is, once, and count its mappings', () => {
    const [a] = two();
    const openings = new Openings();
    openings.inform(a, T0);
    openings.took(a, { ...NO_OPENING, token: TOKEN }, [{ op: 'sample', gateway: 'gw-1', token: TOKEN }], T0);
    const event = { type: 'sample', token: TOKEN, latest: at('203.0.113.9', 5) } as const;
    assert.equal(openings.sampled(event), 'gw-1');
    assert.equal(openings.sampled(event), undefined);
    openings.inform(a, T0);
    assert.deepEqual(a.facts.opening?.events, [event]);
    assert.equal(a.facts.opening?.allowance.probes, PER_REMOTE - SAMPLE_MAPPINGS);
  });

  it('take what was spent from what is left, and let one try go on', () => {
    const [a, b] = two();
    const openings = new Openings();
    openings.inform(a, T0);
    openings.took(a, { ...NO_OPENING, phase: 'spraying', token: TOKEN }, [spray('gw-1', 1_000)], T0);
    openings.inform(a, T0);
    openings.inform(b, T0);
    assert.deepEqual(a.facts.opening?.allowance, { probes: PER_REMOTE - 1_000, busy: false });
    assert.deepEqual(b.facts.opening?.allowance, { probes: PER_REMOTE, busy: true });
    openings.took(a, NO_OPENING, [], T0);
    openings.inform(b, T0);
    assert.equal(b.facts.opening?.allowance.busy, false);
  });

  it('end what goes on with a remote that is no edge any more', () => {
    const [a] = two();
    const openings = new Openings();
    openings.inform(a, T0);
    openings.took(a, { ...NO_OPENING, phase: 'fanned', token: TOKEN }, [], T0);
    openings.inform(a, T0);
    assert.deepEqual(openings.took(a, null, [], T0), [{ op: 'end-opening', gateway: 'gw-1', token: TOKEN }]);
    openings.inform(a, T0);
    assert.equal(a.facts.opening?.memory, NO_OPENING);
  });
});
