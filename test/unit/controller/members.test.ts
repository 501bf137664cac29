import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Members } from '#src/controller/members.js';
import { parseNode, sameNode } from '#src/controller/node.js';
import { parseSelector, type Selector } from '#src/controller/selector.js';
import { GATEWAY_LABEL, parseSite } from '#src/controller/site.js';
import type { SelectorObject } from '#src/model/resource.js';
import { node, site } from './fixtures.js';

describe('selectors', () => {
  const table: [what: string, selector: SelectorObject, labels: Record<string, string>, selected: boolean][] = [
    ['matchLabels', { matchLabels: { a: '1' } }, { a: '1', b: '2' }, true],
    ['matchLabels, another value', { matchLabels: { a: '1' } }, { a: '2' }, false],
    ['matchLabels are ANDed', { matchLabels: { a: '1', b: '2' } }, { a: '1' }, false],
    ['In', { matchExpressions: [{ key: 'a', operator: 'In', values: ['1', '2'] }] }, { a: '2' }, true],
    ['In, without the label', { matchExpressions: [{ key: 'a', operator: 'In', values: ['1'] }] }, {}, false],
    ['NotIn', { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, { a: '1' }, false],
    ['NotIn, without the label', { matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['1'] }] }, {}, true],
    ['Exists', { matchExpressions: [{ key: 'a', operator: 'Exists' }] }, { a: '' }, true],
    ['Exists, inherited names are none', { matchExpressions: [{ key: 'toString', operator: 'Exists' }] }, {}, false],
    ['DoesNotExist', { matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, {}, true],
    ['both', { matchLabels: { a: '1' }, matchExpressions: [{ key: 'b', operator: 'Exists' }] }, { a: '1' }, false],
  ];
  for (const [what, object, labels, selected] of table) {
    test(what, () => assert.equal((parseSelector(object) as Selector).matches(labels), selected));
  }

  test('no requirement selects nothing', () => {
    for (const nothing of [null, undefined, {}, { matchLabels: {} }, { matchExpressions: [] }]) {
      assert.equal(parseSelector(nothing), null);
    }
  });

  test('what is no selector says why', () => {
    const wrong: [object, RegExp][] = [
      [{ key: 'a', operator: 'In' }, /"In" needs values/],
      [{ key: 'a', operator: 'Exists', values: ['1'] }, /"Exists" takes no values/],
      [{ key: 'a', operator: 'Gt' }, /"Gt" is none of/],
    ];
    for (const [expression, reason] of wrong) {
      const answer = parseSelector({ matchExpressions: [expression as never] });
      assert.ok(typeof answer === 'string' && reason.test(answer), String(answer));
    }
  });
});

const selector = (object: SelectorObject) => parseSelector(object) as Selector;
const labelled = (name: string, labels: Record<string, string>) => node(name, { labels });
const names = (members: Members, gateway: string) => members.of(gateway).map(({ name }) => name);

describe('which node belongs to which gateway', () => {
  test('by its label, by a selector, by none', () => {
    const members = new Members();
    members.putSite(site([], { name: 'north', selector: selector({ matchLabels: { region: 'north' } }) }));
    members.putSite(site([], { name: 'south' }));
    members.putNode(labelled('n3', { region: 'north' }));
    members.putNode(labelled('n1', { region: 'north' }));
    members.putNode(labelled('n2', { region: 'north', [GATEWAY_LABEL]: 'south' }));
    members.putNode(labelled('n4', {}));
    assert.deepEqual(names(members, 'north'), ['n1', 'n3']);
    assert.deepEqual(names(members, 'south'), ['n2']);
    assert.equal(members.ownerOf('n4'), null);
  });

  test('two selectors: the older gateway, then the first by name', () => {
    const both = selector({ matchExpressions: [{ key: 'a', operator: 'Exists' }] });
    const members = new Members();
    members.putNode(labelled('n1', { a: '1' }));
    members.putSite(site([], { name: 'b', created: 2, selector: both }));
    assert.equal(members.ownerOf('n1'), 'b');
    members.putSite(site([], { name: 'a', created: 2, selector: both }));
    assert.equal(members.ownerOf('n1'), 'a');
    members.putSite(site([], { name: 'z', created: 1, selector: both }));
    assert.equal(members.ownerOf('n1'), 'z');
    assert.deepEqual(members.removeSite('z'), new Set(['a']));
  });

  test('the label of a gateway that is not there: nobody else takes the node', () => {
    const members = new Members();
    members.putSite(site([], { name: 'north', selector: selector({ matchLabels: { a: '1' } }) }));
    members.putNode(labelled('n1', { a: '1', [GATEWAY_LABEL]: 'south' }));
    assert.equal(members.ownerOf('n1'), null);
    assert.deepEqual(members.putSite(site([], { name: 'south' })), new Set(['south']));
    assert.equal(members.ownerOf('n1'), 'south');
  });

  /** As the definition says, without any index. */
  test('indexes give what looking at everything gives, in whatever order things come', () => {
    const keys = ['a', 'b'];
    const labels = fc.dictionary(fc.constantFrom(...keys), fc.constantFrom('1', '2'));
    const step = fc.oneof(
      fc.record({
        put: fc.constant('node' as const),
        name: fc.constantFrom('n1', 'n2', 'n3'),
        labels,
        label: fc.option(fc.constantFrom('g1', 'g2', 'g3')),
      }),
      fc.record({
        put: fc.constant('site' as const),
        name: fc.constantFrom('g1', 'g2', 'g3'),
        created: fc.integer({ min: 0, max: 1 }),
        matchLabels: labels,
        exists: fc.option(fc.constantFrom(...keys)),
      }),
      fc.record({ put: fc.constant('gone' as const), name: fc.constantFrom('n1', 'n2', 'g1', 'g2', 'g3') }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const members = new Members();
        for (const [index, each] of steps.entries()) {
          const before = new Map([...members.nodes.keys()].map((name) => [name, members.ownerOf(name)]));
          let changed: Set<string>;
          if (each.put === 'node') {
            const more = each.label === null ? {} : { [GATEWAY_LABEL]: each.label };
            changed = members.putNode(labelled(each.name, { ...each.labels, ...more }));
          } else if (each.put === 'site') {
            const matchExpressions = each.exists === null ? [] : [{ key: each.exists, operator: 'Exists' }];
            const parsed = parseSelector({ matchLabels: each.matchLabels, matchExpressions }) as Selector | null;
            // Created is fixed with the uid
            const uid = `${each.name}-${each.created}`;
            changed = members.putSite(site([], { name: each.name, uid, created: each.created, selector: parsed }));
          } else changed = each.name.startsWith('n') ? members.removeNode(each.name) : members.removeSite(each.name);
          for (const seen of members.nodes.values()) {
            const named = seen.labels[GATEWAY_LABEL];
            const matching = [...members.sites.values()]
              .filter((candidate) => candidate.selector?.matches(seen.labels))
              .sort((a, b) => a.created - b.created || (a.name < b.name ? -1 : 1));
            const expected = named ? (members.sites.has(named) ? named : null) : (matching[0]?.name ?? null);
            assert.equal(members.ownerOf(seen.name), expected, `step ${index}`);
            const was = before.get(seen.name) ?? null;
            if (was !== expected && was !== null && members.sites.has(was)) assert.ok(changed.has(was));
            if (was !== expected && expected !== null) assert.ok(changed.has(expected));
          }
          for (const name of members.sites.keys()) {
            const owned = [...members.nodes.keys()].filter((each) => members.ownerOf(each) === name).sort();
            assert.deepEqual(names(members, name), owned);
          }
        }
      }),
    );
  });
});

describe('what is read of a Node', () => {
  const object = {
    metadata: { name: 'n1', labels: { a: '1' } },
    spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', 'fd00:1::/64'] },
    status: {
      addresses: [
        { type: 'Hostname', address: 'n1' },
        { type: 'InternalIP', address: 'nonsense' },
        { type: 'InternalIP', address: '192.168.0.1' },
        { type: 'InternalIP', address: 'fd00::1' },
      ],
      conditions: [
        { type: 'MemoryPressure', status: 'True' },
        { type: 'Ready', status: 'True' },
      ],
    },
  };

  test('all of it', () => {
    const expected = { ...node('n1'), labels: { a: '1' }, subnets: ['10.244.1.0/24', 'fd00:1::/64'] };
    assert.deepEqual(parseNode(object), expected);
  });

  test('podCIDR alone, nothing, and what cannot be read', () => {
    const read = (change: object) => {
      const parsed = parseNode({ ...object, ...change });
      assert.ok(typeof parsed !== 'string', String(parsed));
      return parsed;
    };
    assert.deepEqual(read({ spec: { podCIDR: '10.244.9.0/24' } }).subnets, ['10.244.9.0/24']);
    assert.deepEqual(read({ spec: { podCIDRs: ['nonsense'] } }).subnets, []);
    assert.deepEqual(read({ spec: null, status: null }), {
      name: 'n1',
      labels: { a: '1' },
      privateIp: null,
      subnets: [],
      ready: false,
    });
    assert.equal(read({ status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } }).ready, false);
    for (const wrong of [null, {}, { metadata: { name: 'NOT A NAME' } }, { ...object, status: [] }]) {
      assert.equal(typeof parseNode(wrong), 'string');
    }
  });

  test('heartbeats change nothing', () => {
    const first = parseNode(object);
    const second = parseNode({ ...object, metadata: { ...object.metadata, resourceVersion: '99' } });
    assert.ok(typeof first !== 'string' && typeof second !== 'string' && sameNode(first, second));
    assert.equal(sameNode(first, { ...first, labels: { a: '2' } }), false);
    assert.equal(sameNode(first, { ...first, ready: false }), false);
  });
});

describe('what is read of a Gateway', () => {
  const gateway = (spec: object) => ({
    metadata: { name: 'gw', uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec,
  });

  test('tunnel endpoints, the first of each node; one replica unless told otherwise', () => {
    const parsed = parseSite(
      gateway({
        endpoints: [
          { nodeName: 'n1', type: 'proxy' },
          { nodeName: 'n1', type: 'tunnel', port: 1 },
          { nodeName: 'n1', type: 'tunnel', port: 2 },
        ],
      }),
    );
    assert.ok(typeof parsed !== 'string');
    assert.deepEqual(parsed.endpoints, [{ nodeName: 'n1', type: 'tunnel', port: 1 }]);
    assert.equal(parsed.replicas, 1);
    assert.equal(parsed.created, Date.UTC(2026, 0, 1));
  });

  test('replicas', () => {
    for (const [given, taken] of [
      [0, 0],
      [2, 2],
      [-3, 0],
    ] as const) {
      const parsed = parseSite(gateway({ tunnelConfig: { Replicas: given } }));
      assert.ok(typeof parsed !== 'string');
      assert.equal(parsed.replicas, taken);
    }
  });

  test('what is left alone, and why', () => {
    const wrong: [object, RegExp][] = [
      [{}, /metadata/],
      [{ metadata: { name: 'UPPER' } }, /is not a DNS-1123 subdomain/],
      [gateway({ endpoints: [{ type: 'tunnel' }] }), /spec\.endpoints\[0\]\.nodeName: must be text/],
      [gateway({ nodeSelector: { matchExpressions: [{ key: 'a', operator: 'X' }] } }), /spec\.nodeSelector: a: /],
    ];
    for (const [object, reason] of wrong) {
      const answer = parseSite(object);
      assert.ok(typeof answer === 'string' && reason.test(answer), String(answer));
    }
  });
});
