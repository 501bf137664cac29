import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Admission } from '#src/decide/admission.js';
import { relayOf } from '#src/decide/relations.js';
import { contains, type Ip, overlaps, type Prefix } from '#src/model/address.js';
import type { Gateway } from '#src/model/gateway.js';
import { at, type GatewayOptions, gateway, ip, keyOf, prefix, relay } from './fixtures.js';

const OWN = 'node-1';

function admission(node = OWN): Admission {
  const has = ({ nodeName }: { readonly nodeName: string }) => nodeName === node;
  return new Admission((of) => of.endpoints.some(has) || of.nodes.some(has));
}

function admitted(judge: Admission): string[] {
  return [...judge.admitted.keys()].sort();
}

function reason(judge: Admission, name: string): string {
  return judge.refused.get(name) ?? 'not refused';
}

const claiming = (number: number, subnet: string, more: GatewayOptions = {}) =>
  gateway(number, { subnets: [subnet], probeAddress: null, ...more });

describe('admission: who holds a contested subnet', () => {
  it('is the own gateway, even against one that was there first', () => {
    const judge = admission();
    judge.update([claiming(9, '10.0.0.0/16')], []);
    const { changed } = judge.update([gateway(1)], []);
    assert.deepEqual(admitted(judge), ['gw-1']);
    assert.match(reason(judge, 'gw-9'), /claims 10\.0\.0\.0\/16, which is gateway gw-1's/);
    assert.deepEqual([...changed].sort(), ['gw-1', 'gw-9']);
    assert.equal(judge.own?.name, 'gw-1');
  });

  it('is whoever was admitted first, whatever its age and name', () => {
    const judge = admission();
    judge.update([claiming(5, '10.5.0.0/24', { created: 2000 })], []);
    judge.update([claiming(4, '10.5.0.0/25', { name: 'aaa', created: 1000 })], []);
    assert.deepEqual(admitted(judge), ['gw-5']);
    assert.match(reason(judge, 'aaa'), /claims 10\.5\.0\.0\/25, which is gateway gw-5's/);
  });

  it('is the older of one batch, then the first by name', () => {
    const cases: [Gateway, Gateway, string][] = [
      [claiming(5, '10.5.0.0/24', { created: 2000 }), claiming(6, '10.5.0.0/24', { created: 1000 }), 'gw-6'],
      [claiming(5, '10.5.0.0/24'), claiming(6, '10.5.0.0/24', { created: 1000 }), 'gw-6'],
      [claiming(5, '10.5.0.0/24'), claiming(6, '10.5.0.0/24'), 'gw-5'],
    ];
    for (const [a, b, winner] of cases) {
      for (const order of [
        [a, b],
        [b, a],
      ]) {
        const judge = admission();
        judge.update(order, []);
        assert.deepEqual(admitted(judge), [winner]);
      }
    }
  });

  it('stays with one that changes and keeps it: who waits for it does not slip in', () => {
    const judge = admission();
    judge.update([claiming(5, '10.5.0.0/24')], []);
    judge.update([claiming(4, '10.5.0.0/24', { name: 'aaa', created: 1 })], []);
    judge.update([gateway(5, { subnets: ['10.5.0.0/24', '10.6.0.0/24'], probeAddress: null })], []);
    assert.deepEqual(admitted(judge), ['gw-5']);
    judge.update([gateway(5, { subnets: ['10.5.0.0/24'], probeAddress: null, key: keyOf(55) })], []);
    assert.deepEqual(admitted(judge), ['gw-5']);
  });

  it('passes to who waits for it when it becomes free', () => {
    const judge = admission();
    judge.update([claiming(5, '10.5.0.0/24')], []);
    judge.update([claiming(6, '10.5.0.0/24'), claiming(7, '10.5.0.0/24')], []);
    const { changed } = judge.update([], ['gw-5']);
    assert.deepEqual(admitted(judge), ['gw-6']);
    assert.ok(changed.has('gw-5') && changed.has('gw-6'));
    judge.update([claiming(6, '10.66.0.0/24')], []);
    assert.deepEqual(admitted(judge), ['gw-6', 'gw-7']);
  });

  it('passes on in one batch in which two exchange theirs', () => {
    const judge = admission();
    judge.update([claiming(5, '10.5.0.0/24'), claiming(6, '10.6.0.0/24')], []);
    judge.update([claiming(5, '10.6.0.0/24'), claiming(6, '10.5.0.0/24')], []);
    assert.deepEqual(admitted(judge), ['gw-5', 'gw-6']);
    assert.equal(judge.refused.size, 0);
  });

  it('lets in whom the evicted one kept out', () => {
    const judge = admission();
    judge.update([gateway(9, { subnets: ['10.0.1.0/24', '10.9.0.0/24'], probeAddress: null })], []);
    judge.update([claiming(8, '10.9.0.0/24')], []);
    judge.update([gateway(1)], []);
    assert.deepEqual(admitted(judge), ['gw-1', 'gw-8']);
  });
});

describe('admission: what stands in the kernel after a restart', () => {
  const carried = (...held: [string, number][]) =>
    new Map(held.map(([subnet, key]) => [prefix(subnet), new Set([keyOf(key)])]));
  const newcomer = claiming(3, '10.5.0.0/24', { name: 'aaa', created: 1 });
  const cases: [string, ReturnType<typeof carried>, Gateway[], string[]][] = [
    ['says who had it', carried(['10.5.0.0/24', 5]), [newcomer, claiming(5, '10.5.0.0/24')], ['gw-5']],
    ['says nothing for another key', carried(['10.5.0.0/24', 99]), [newcomer, claiming(5, '10.5.0.0/24')], ['aaa']],
    [
      'does not speak for who had something else and wants more',
      carried(['10.3.0.0/24', 3], ['10.5.0.0/24', 5]),
      [gateway(3, { name: 'aaa', subnets: ['10.3.0.0/24', '10.5.0.0/24'] }), claiming(5, '10.5.0.0/24')],
      ['gw-5'],
    ],
    [
      'does for who has grown, against who had nothing',
      carried(['10.5.0.0/24', 5]),
      [newcomer, gateway(5, { subnets: ['10.5.0.0/24', '10.6.0.0/24'] })],
      ['gw-5'],
    ],
    [
      'does not help against the own gateway',
      carried(['10.0.1.0/24', 5]),
      [gateway(1), claiming(5, '10.0.1.0/24')],
      ['gw-1'],
    ],
  ];
  for (const [name, stands, batch, expected] of cases) {
    it(name, () => {
      for (const order of [batch, [...batch].reverse()]) {
        const judge = admission();
        judge.adopt(stands);
        judge.protect(new Map());
        judge.update([], []);
        judge.update(order, []);
        assert.deepEqual(admitted(judge), expected);
      }
    });
  }

  it('counts once: later it is who was admitted', () => {
    const judge = admission();
    judge.adopt(carried(['10.5.0.0/24', 5]));
    judge.update([newcomer], []);
    judge.update([claiming(5, '10.5.0.0/24')], []);
    assert.deepEqual(admitted(judge), ['aaa']);
  });
});

describe('admission: keys', () => {
  it('refuses the second gateway with a public key', () => {
    const judge = admission();
    judge.update([gateway(5)], []);
    judge.update([gateway(6, { key: keyOf(5) })], []);
    assert.match(reason(judge, 'gw-6'), /has the public key of gateway gw-5/);
    judge.update([gateway(5, { key: keyOf(50) })], []);
    assert.deepEqual(admitted(judge), ['gw-5', 'gw-6']);
  });

  it('gives nobody the own key', () => {
    const judge = admission();
    judge.update([gateway(5, { key: keyOf(1) })], []);
    judge.update([gateway(1)], []);
    assert.deepEqual(admitted(judge), ['gw-1']);
    assert.match(reason(judge, 'gw-5'), /has the public key of gateway gw-1/);
  });
});

describe('admission: who is this node', () => {
  it('is one gateway only, and stays so', () => {
    const judge = admission();
    judge.update([gateway(1)], []);
    judge.update(
      [gateway(6, { name: 'aaa', node: OWN, subnets: ['10.0.0.0/16'], probeAddress: null, created: 1 })],
      [],
    );
    assert.equal(judge.own?.name, 'gw-1');
    assert.match(reason(judge, 'aaa'), /claims this node, which is gateway gw-1's/);
    judge.update([gateway(1, { subnets: ['10.0.1.0/24', '10.77.0.0/24'] })], []);
    assert.equal(judge.own?.name, 'gw-1');
    judge.update([], ['gw-1']);
    assert.equal(judge.own?.name, 'aaa');
    judge.update([gateway(6, { name: 'aaa', node: 'elsewhere' })], []);
    assert.equal(judge.own, null);
    assert.deepEqual(admitted(judge), ['aaa']);
  });
});

describe('admission: protected addresses', () => {
  const cases: [string, string, string][] = [
    ['own address', '192.168.7.2', "this node's own address"],
    ['STUN server', '198.18.0.5', 'a STUN server'],
    ['IPv6 DNS server', '2001:db8::53', 'a DNS server'],
  ];
  for (const [name, address, what] of cases) {
    it(`refuses who covers the ${name}, and lets it in when that is no more`, () => {
      const judge = admission();
      const subnet = address.includes(':') ? '2001:db8::/48' : `${address.replace(/\.\d+$/, '.0')}/24`;
      judge.update([gateway(1), claiming(5, subnet), gateway(6)], []);
      const { changed } = judge.protect(new Map([[ip(address), what]]));
      assert.deepEqual([...changed], ['gw-5']);
      assert.match(reason(judge, 'gw-5'), new RegExp(`which holds ${address}, ${what}`));
      judge.update([claiming(7, subnet)], []);
      assert.match(reason(judge, 'gw-7'), /which holds/);
      judge.protect(new Map());
      assert.ok(judge.admitted.has('gw-5'));
    });
  }

  it('does not ask it of the own gateway: its subnets are here', () => {
    const judge = admission();
    judge.update([gateway(1)], []);
    judge.protect(new Map([[ip('10.0.1.1'), "this node's own address"]]));
    assert.deepEqual(admitted(judge), ['gw-1']);
  });
});

describe('admission: relays', () => {
  it('refuses who covers a relay, also in one batch and with the better name', () => {
    for (const batches of [[[0, 1]], [[1, 0]], [[1], [0]]]) {
      const both = [claiming(5, '203.0.113.0/24', { name: 'aaa', created: 1 }), relay(1)];
      const judge = admission();
      for (const batch of batches) {
        judge.update(
          batch.map((index) => both[index] as Gateway),
          [],
        );
      }
      assert.deepEqual(admitted(judge), ['relay-1']);
      assert.match(reason(judge, 'aaa'), /holds 203\.0\.113\.1, the address of relay relay-1/);
    }
  });

  it('refuses a newcomer that says it is a relay inside the subnet of another', () => {
    const judge = admission();
    judge.update([gateway(5), gateway(1)], []);
    judge.update([relay(1, { hole: { ip: ip('10.0.5.5'), port: 4500 } })], []);
    assert.deepEqual(admitted(judge), ['gw-1', 'gw-5']);
    assert.match(reason(judge, 'relay-1'), /is a relay at 10\.0\.5\.5, which is in gateway gw-5's subnets/);
  });

  it('refuses a relay inside its own subnets', () => {
    const judge = admission();
    judge.update([relay(1, { subnets: ['203.0.113.0/24'], probeAddress: null })], []);
    assert.match(reason(judge, 'relay-1'), /in its own subnets/);
  });

  it('lets two share one address, and protects it until both are gone', () => {
    const judge = admission();
    const shared = { hole: { ip: ip('203.0.113.1'), port: 4501 } };
    judge.update([relay(1), relay(2, shared)], []);
    judge.update([claiming(5, '203.0.113.0/24')], ['relay-1']);
    assert.deepEqual(admitted(judge), ['relay-2']);
    judge.update([], ['relay-2']);
    assert.deepEqual(admitted(judge), ['gw-5']);
  });
});

describe('admission: a relay where an edge is reached', () => {
  const hole = at('198.51.100.5', 40_000);
  const edge = gateway(5, { hole });
  const posing = relay(1, { hole });

  it('is refused, and let in when the edge has moved or is gone; at another port it is welcome', () => {
    const judge = admission();
    judge.update([edge], []);
    judge.update([posing, relay(2, { hole: { ...hole, port: 4501 } })], []);
    assert.deepEqual(admitted(judge), ['gw-5', 'relay-2']);
    assert.match(reason(judge, 'relay-1'), /is a relay at 198\.51\.100\.5:40000, where gateway gw-5 is reached/);
    judge.update([gateway(5, { hole: at('198.51.100.5', 40_001) })], []);
    assert.ok(judge.admitted.has('relay-1'), 'moved');
    judge.update([], ['relay-1', 'gw-5']);
    judge.update([edge], []);
    judge.update([posing], []);
    assert.ok(!judge.admitted.has('relay-1'), 'again');
    judge.update([], ['gw-5']);
    assert.ok(judge.admitted.has('relay-1'), 'gone');
  });

  it('stays, when it was there first: an edge that says so does it no harm', () => {
    const judge = admission();
    judge.update([posing], []);
    judge.update([edge], []);
    judge.update([relay(1, { hole, subnets: ['10.222.0.0/24'], probeAddress: null })], []);
    assert.deepEqual(admitted(judge), ['gw-5', 'relay-1']);
    judge.update([gateway(5, { hole: at('198.51.100.9') })], []);
    judge.update([edge], []);
    judge.update([posing], []);
    assert.deepEqual(admitted(judge), ['gw-5', 'relay-1']);
  });

  it('comes with the edge in a first reading, in which nobody was first; one that had its claims was', () => {
    for (const order of [
      [edge, posing],
      [posing, edge],
    ]) {
      const judge = admission();
      judge.update(order, []);
      assert.deepEqual(admitted(judge), ['gw-5', 'relay-1']);
      const again = admission();
      again.adopt(new Map([[prefix('10.0.5.0/24'), new Set([keyOf(5)])]]));
      again.update(order, []);
      assert.deepEqual(admitted(again), ['gw-5']);
      const both = admission();
      both.adopt(
        new Map([
          [prefix('10.0.5.0/24'), new Set([keyOf(5)])],
          [prefix('10.200.1.0/24'), new Set([keyOf(1001)])],
        ]),
      );
      both.update(order, []);
      assert.deepEqual(admitted(both), ['gw-5', 'relay-1']);
    }
  });

  it('is refused at the own hole too', () => {
    const judge = admission();
    judge.update([gateway(1, { hole })], []);
    judge.update([posing], []);
    assert.deepEqual(admitted(judge), ['gw-1']);
  });
});

/** Claims in so small a space that they meet, keys that are shared, relays inside subnets, a node that two claim. */
const gateways: fc.Arbitrary<Gateway> = fc
  .record({
    name: fc.integer({ min: 0, max: 12 }),
    key: fc.integer({ min: 0, max: 12 }),
    node: fc.integer({ min: 0, max: 12 }),
    created: fc.option(fc.integer({ min: 0, max: 3 })),
    subnets: fc.array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 3,
    }),
    relayAt: fc.option(fc.integer({ min: 0, max: 20 }), { freq: 2 }),
  })
  .map(({ name, key, node, created, subnets, relayAt }) => {
    // Disjoint within a gateway, as the parser hands them over.
    const chosen: string[] = [];
    for (const [block, cut] of subnets) {
      const subnet = `10.0.${block}.0/${[22, 23, 24, 25][cut]}`;
      const at = fixed(subnet);
      if (!chosen.some((other) => overlaps(fixed(other), at))) chosen.push(at);
    }
    const common = {
      name: `gw-${name}`,
      node: `node-${node}`,
      key: keyOf(key),
      created,
      subnets: chosen,
      probeAddress: null,
    };
    if (relayAt === null) return gateway(name, common);
    return relay(1, {
      ...common,
      hole: { ip: ip(relayAt > 8 ? `203.0.113.${relayAt}` : `10.0.${relayAt}.9`), port: 4500 },
    });
  });

function fixed(text: string): Prefix {
  const [address, length] = text.split('/') as [string, string];
  const third = Number(address.split('.')[2]);
  const mask = 256 - 2 ** Math.max(0, 24 - Number(length));
  return `10.0.${third & mask}.0/${length}` as Prefix;
}

const PROTECTED = new Map<Ip, string>([[ip('10.0.7.77'), 'a STUN server']]);

function consistent(judge: Admission): void {
  const all = [...judge.admitted.values()];
  const own = judge.own;
  all.forEach((a, index) => {
    for (const b of all.slice(index + 1)) {
      for (const left of a.subnets) {
        for (const right of b.subnets)
          assert.ok(!overlaps(left, right), `${a.name} and ${b.name} share ${left} ${right}`);
      }
      assert.notEqual(a.active?.publicKey, b.active?.publicKey);
    }
    if (a === own) return;
    for (const subnet of a.subnets) {
      for (const address of PROTECTED.keys()) assert.ok(!contains(subnet, address), `${a.name} covers ${address}`);
      for (const other of all) {
        const at = relayOf(other)?.address.ip;
        if (at !== undefined) assert.ok(!contains(subnet, at), `${a.name} covers relay ${other.name}`);
      }
    }
    assert.ok(!judge.refused.has(a.name));
  });
}

describe('admission, whatever comes', () => {
  it('never has two hold one address, key or relay, and nobody hold what is protected', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            up: fc.array(gateways, { maxLength: 8 }),
            down: fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 2 }),
          }),
          { maxLength: 8 },
        ),
        (batches) => {
          const judge = admission();
          const known = new Set<string>();
          judge.protect(PROTECTED);
          for (const { up, down } of batches) {
            const upserted = [...new Map(up.map((of) => [of.name, of])).values()];
            const removed = down.map((name) => `gw-${name}`).filter((name) => !upserted.some((of) => of.name === name));
            const before = new Map(judge.admitted);
            const ownBefore = judge.own?.name;
            const { changed } = judge.update(upserted, removed);
            for (const of of upserted) known.add(of.name);
            for (const name of removed) known.delete(name);
            consistent(judge);
            assert.deepEqual(
              new Set([...judge.admitted.keys(), ...judge.refused.keys()]),
              known,
              'each is one or the other',
            );
            for (const [name, of] of judge.admitted)
              if (before.get(name) !== of) assert.ok(changed.has(name), `${name} came in`);
            for (const name of before.keys()) {
              if (judge.admitted.has(name)) continue;
              assert.ok(changed.has(name), `${name} went`);
              // Who did not change anything goes only for the own gateway.
              const touched = upserted.some((of) => of.name === name) || removed.includes(name);
              assert.ok(
                touched || (judge.own !== null && (judge.own.name !== ownBefore || changed.has(judge.own.name))),
                `${name} was thrown out`,
              );
            }
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it('comes to the same from a first batch in any order', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(gateways, { maxLength: 10, selector: (of) => of.name }),
        fc.infiniteStream(fc.nat()),
        (batch, random) => {
          const shuffled = batch
            .map((of) => [random.next().value as number, of] as const)
            .sort(([a], [b]) => a - b)
            .map(([, of]) => of);
          const results = [batch, shuffled].map((order) => {
            const judge = admission();
            judge.update(order, []);
            return { admitted: admitted(judge), refused: [...judge.refused].sort() };
          });
          assert.deepEqual(results[0], results[1]);
        },
      ),
      { numRuns: 300 },
    );
  });
});
