import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  centralRelay,
  comesLast,
  isCorax,
  pairVerdict,
  probeAddressOf,
  reAdds,
  relayOf,
  roleOf,
  siteOf,
  sortRelays,
} from '#src/decide/relations.js';
import type { Relay } from '#src/model/facts.js';
import type { NatType } from '#src/model/nat.js';
import { asSite, at, FULL, gateway, keyOf, PORT, RESTRICTED, relay, SYMMETRIC, UNDEFINED } from './fixtures.js';

/** The proposal's figure 2, by row and column; an unknown type is taken for port-restricted. */
const TYPES: readonly (NatType | null)[] = [FULL, RESTRICTED, PORT, SYMMETRIC, UNDEFINED, null];
const FIGURE_2 = [
  // full, restricted, port, symmetric, Undefined, null
  [true, true, true, true, true, true],
  [true, true, true, true, true, true],
  [true, true, true, false, true, true],
  [true, true, false, false, false, false],
  [true, true, true, false, true, true],
  [true, true, true, false, true, true],
];

describe('which pairs may try', () => {
  TYPES.forEach((local, row) => {
    TYPES.forEach((remote, column) => {
      const may = FIGURE_2[row]?.[column] as boolean;
      it(`${local} with ${remote}: ${may ? 'direct' : 'relay'}`, () => {
        const verdict = pairVerdict(local, remote);
        assert.equal(verdict.may, may);
        assert.notEqual(verdict.reason, '');
        assert.equal(pairVerdict(remote, local).may, may, 'both ends come to the same');
      });
    });
  });

  it('gives a reason that names what is known and what is not', () => {
    assert.match(pairVerdict(SYMMETRIC, SYMMETRIC).reason, /both ends are behind a Symmetric NAT/);
    assert.match(pairVerdict(SYMMETRIC, PORT).reason, /this end .*Symmetric NAT.*the other .*Port Restricted/);
    assert.match(pairVerdict(null, SYMMETRIC).reason, /this end .*unknown type.*the other .*Symmetric/);
  });
});

describe('who does what in a pair', () => {
  const types = fc.constantFrom(...TYPES);

  it('has exactly one of two ends re-add, whatever their types and keys', () => {
    fc.assert(
      fc.property(types, types, fc.nat(), fc.nat(), (mine, theirs, a, b) => {
        fc.pre(a !== b);
        const [left, right] = [
          { natType: mine, key: keyOf(a) },
          { natType: theirs, key: keyOf(b) },
        ];
        assert.notEqual(reAdds(left, right), reAdds(right, left));
      }),
    );
  });

  it('has the symmetric end re-add, else the lower key', () => {
    const [low, high] = [keyOf(1), keyOf(2)].sort() as unknown as [string, string];
    assert.equal(reAdds({ natType: SYMMETRIC, key: high }, { natType: FULL, key: low }), true);
    assert.equal(reAdds({ natType: FULL, key: low }, { natType: SYMMETRIC, key: high }), false);
    assert.equal(reAdds({ natType: PORT, key: low }, { natType: FULL, key: high }), true);
    assert.equal(reAdds({ natType: PORT, key: high }, { natType: FULL, key: low }), false);
  });

  it('lets a lone symmetric end come last, and never both', () => {
    for (const other of TYPES) {
      assert.equal(comesLast(SYMMETRIC, other), other !== SYMMETRIC);
      assert.equal(comesLast(other, SYMMETRIC), false);
    }
    assert.equal(comesLast(FULL, PORT), false);
  });
});

describe('relays', () => {
  const relays = (...nodes: string[]) =>
    nodes.map((node, index) => relayOf(relay(index + 1, { node, name: `gw-of-${node}` })) as Relay);

  it('are ordered by node name in byte order, and the last is central', () => {
    const sorted = sortRelays(relays('b-2', 'b-10', 'a.z', 'a-z', 'b', 'c-1'));
    const names = sorted.map(({ endpoint }) => endpoint.nodeName);
    assert.deepEqual(
      names,
      [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    assert.equal(centralRelay(sorted)?.endpoint.nodeName, 'c-1');
    assert.equal(centralRelay([]), null);
  });

  it('are in one order however they came, even where two claim one node', () => {
    const all = [relay(1, { node: 'same', name: 'x' }), relay(2, { node: 'same', name: 'y' }), relay(3)];
    const orders = [all, [...all].reverse()].map((order) =>
      sortRelays(order.map((of) => relayOf(of) as Relay)).map((of) => of.gateway.name),
    );
    assert.deepEqual(orders[0], orders[1]);
  });

  it('are active endpoints not under NAT that say where they are', () => {
    assert.deepEqual(relayOf(relay(1))?.address, at('203.0.113.1'));
    assert.deepEqual(relayOf(relay(1, { hole: null, publicIp: '203.0.113.7' }))?.address, at('203.0.113.7'));
    assert.equal(relayOf(relay(1, { hole: null, publicIp: null })), null);
    assert.equal(relayOf(relay(1, { underNat: true })), null);
    assert.equal(relayOf(relay(1, { key: null })), null);
    assert.equal(relayOf(relay(1, { active: false })), null);
  });
});

describe('roles and sites', () => {
  it('follows the active endpoint', () => {
    assert.equal(roleOf(null, 'node-1'), 'idle');
    assert.equal(roleOf(gateway(1), 'node-1'), 'edge');
    assert.equal(roleOf(gateway(1), 'node-2'), 'idle');
    assert.equal(roleOf(gateway(1, { active: false }), 'node-1'), 'idle');
    assert.equal(roleOf(relay(1), 'relay-node-1'), 'relay');
    assert.equal(siteOf(gateway(1, { key: null })), null);
  });

  it('probes only those who answer on the plane that they are asked on', () => {
    const { endpoint } = asSite(gateway(1));
    assert.equal(isCorax(endpoint), true);
    assert.equal(probeAddressOf(endpoint), '10.0.1.1');
    assert.equal(probeAddressOf({ ...endpoint, corax: null }), null);
  });
});
