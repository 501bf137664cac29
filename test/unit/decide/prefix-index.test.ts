import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { PrefixIndex } from '#src/decide/prefix-index.js';
import { ipFromBytes, overlaps, type Prefix, parsePrefix } from '#src/model/address.js';

/** Few addresses, so that they meet. */
const prefixes = fc
  .record({
    v6: fc.boolean(),
    bytes: fc.uint8Array({ minLength: 16, maxLength: 16, max: 3 }),
    cut: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ v6, bytes, cut }) => {
    const size = v6 ? 16 : 4;
    // The last bytes of an IPv6 address vary; the first must not look like an IPv4-mapped one.
    const address = v6 ? Uint8Array.from([0x20, ...bytes.subarray(1)]) : bytes.subarray(0, 4);
    return parsePrefix(`${ipFromBytes(address)}/${Math.round(cut * size * 8)}`) as Prefix;
  });

describe('PrefixIndex', () => {
  it('finds a holder exactly where a naive comparison finds an overlap', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ prefix: prefixes, remove: fc.boolean() }), { maxLength: 40 }),
        fc.array(prefixes, { minLength: 1, maxLength: 20 }),
        (changes, questions) => {
          const index = new PrefixIndex();
          const held = new Map<Prefix, string>();
          for (const { prefix, remove } of changes) {
            if (remove) {
              index.delete(prefix);
              held.delete(prefix);
            } else if (![...held.keys()].some((other) => overlaps(other, prefix))) {
              index.add(prefix, `holder of ${prefix}`);
              held.set(prefix, `holder of ${prefix}`);
            }
          }
          for (const question of [...questions, ...held.keys()]) {
            const holders = [...held].filter(([prefix]) => overlaps(prefix, question)).map(([, holder]) => holder);
            const found = index.holderOf(question);
            if (holders.length === 0) assert.equal(found, null, `${question} is free`);
            else assert.ok(found !== null && holders.includes(found), `${question}: ${found} is none of ${holders}`);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('keeps the families apart, and the whole of one', () => {
    const index = new PrefixIndex();
    index.add('0.0.0.0/0' as Prefix, 'four');
    assert.equal(index.holderOf('10.0.0.0/8' as Prefix), 'four');
    assert.equal(index.holderOf('::/0' as Prefix), null);
    index.delete('0.0.0.0/0' as Prefix);
    assert.equal(index.holderOf('10.0.0.0/8' as Prefix), null);
  });

  it('deletes no neighbour', () => {
    const index = new PrefixIndex();
    index.add('10.0.0.0/24' as Prefix, 'left');
    index.add('10.0.1.0/24' as Prefix, 'right');
    index.delete('10.0.0.0/23' as Prefix);
    index.delete('10.0.0.0/24' as Prefix);
    assert.equal(index.holderOf('10.0.0.0/16' as Prefix), 'right');
  });
});
