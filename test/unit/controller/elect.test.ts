import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compareStatus, elect, whyLost } from '#src/controller/elect.js';
import type { SeenNode } from '#src/controller/node.js';
import type { SiteSpec } from '#src/controller/site.js';
import type { StatusObject } from '#src/model/resource.js';
import { held, node, site, tunnel } from './fixtures.js';

const NOW = 1_000_000;
const GRACE = 10_000;
const away = (name: string) => node(name, { ready: false });

interface Case {
  readonly what: string;
  readonly endpoints: readonly string[];
  readonly nodes: readonly SeenNode[];
  readonly holders?: readonly string[];
  readonly replicas?: number;
  /** Milliseconds since which a node is not Ready. */
  readonly unready?: Record<string, number>;
  readonly active: readonly string[];
  readonly askAgain?: number;
}

const cases: readonly Case[] = [
  { what: 'the first by name', endpoints: ['n2', 'n1'], nodes: [node('n1'), node('n2')], active: ['n1'] },
  { what: 'the first that is Ready', endpoints: ['n1', 'n2'], nodes: [away('n1'), node('n2')], active: ['n2'] },
  { what: 'nobody is Ready', endpoints: ['n1'], nodes: [away('n1')], active: [] },
  { what: 'no nodes', endpoints: ['n1'], nodes: [], active: [] },
  { what: 'no endpoints', endpoints: [], nodes: [node('n1')], active: [] },
  {
    what: 'an endpoint whose node is not of the gateway',
    endpoints: ['n1', 'n2'],
    nodes: [node('n2')],
    active: ['n2'],
  },
  {
    what: 'the holder stays, though another comes first by name',
    endpoints: ['n1', 'n2'],
    nodes: [node('n1'), node('n2')],
    holders: ['n2'],
    active: ['n2'],
  },
  {
    what: 'the holder is not Ready, within grace',
    endpoints: ['n1', 'n2'],
    nodes: [away('n1'), node('n2')],
    holders: ['n1'],
    unready: { n1: 4000 },
    active: ['n1'],
    askAgain: NOW + 6000,
  },
  {
    what: 'the holder is not Ready since just now',
    endpoints: ['n1', 'n2'],
    nodes: [away('n1'), node('n2')],
    holders: ['n1'],
    active: ['n1'],
    askAgain: NOW + GRACE,
  },
  {
    what: 'the holder is not Ready, and grace is over',
    endpoints: ['n1', 'n2'],
    nodes: [away('n1'), node('n2')],
    holders: ['n1'],
    unready: { n1: GRACE },
    active: ['n2'],
  },
  {
    what: 'grace is over, and nobody can take over',
    endpoints: ['n1', 'n2'],
    nodes: [away('n1'), away('n2')],
    holders: ['n1'],
    unready: { n1: 2 * GRACE, n2: 2 * GRACE },
    active: ['n1'],
  },
  {
    what: 'the node that lost it is back',
    endpoints: ['n1', 'n2'],
    nodes: [node('n1'), node('n2')],
    holders: ['n2'],
    active: ['n2'],
  },
  {
    what: "the holder's node is gone: no grace",
    endpoints: ['n1', 'n2'],
    nodes: [node('n2')],
    holders: ['n1'],
    active: ['n2'],
  },
  {
    what: "the holder's endpoint is gone",
    endpoints: ['n2'],
    nodes: [node('n1'), node('n2')],
    holders: ['n1'],
    active: ['n2'],
  },
  { what: 'no replicas', endpoints: ['n1'], nodes: [node('n1')], holders: ['n1'], replicas: 0, active: [] },
  {
    what: 'two replicas',
    endpoints: ['n3', 'n2', 'n1'],
    nodes: [node('n1'), node('n2'), node('n3')],
    replicas: 2,
    active: ['n1', 'n2'],
  },
  {
    what: 'more replicas than endpoints',
    endpoints: ['n1'],
    nodes: [node('n1')],
    replicas: 5,
    active: ['n1'],
  },
  {
    what: 'fewer replicas than before: the first holder stays',
    endpoints: ['n1', 'n2'],
    nodes: [node('n1'), node('n2')],
    holders: ['n2', 'n1'],
    active: ['n2'],
  },
  {
    what: 'the first of two holders is lost: the other carries, and a third comes behind it',
    endpoints: ['n1', 'n2', 'n3'],
    nodes: [node('n1'), node('n2'), away('n3')],
    holders: ['n3', 'n2'],
    unready: { n3: GRACE },
    replicas: 2,
    active: ['n2', 'n1'],
  },
  {
    what: 'the first of two holders is lost and nobody is left: it comes last',
    endpoints: ['n2', 'n3'],
    nodes: [node('n2'), away('n3')],
    holders: ['n3', 'n2'],
    unready: { n3: GRACE },
    replicas: 2,
    active: ['n2', 'n3'],
  },
];

const ask = (spec: SiteSpec, nodes: readonly SeenNode[], unready: Record<string, number> = {}, now = NOW) =>
  elect(spec, nodes, new Map(Object.entries(unready).map(([name, ago]) => [name, NOW - ago])), now, GRACE);

describe('who holds the tunnel', () => {
  for (const { what, endpoints, nodes, holders = [], replicas = 1, unready = {}, active, askAgain = null } of cases) {
    test(what, () => {
      const spec = site(
        endpoints.map((name) => tunnel(name)),
        { replicas, status: held(...holders) },
      );
      const election = ask(spec, nodes, unready);
      assert.deepEqual(
        election.status.activeEndpoints.map(({ nodeName }) => nodeName),
        active,
      );
      assert.equal(election.askAgain, askAgain);
    });
  }

  test('active endpoints are as spec has them, whatever status said of them', () => {
    const endpoint = tunnel('n1', { publicIP: '203.0.113.1', publicPort: 4500, config: { publicKey: 'k' } });
    const { status } = ask(site([endpoint], { status: held('n1') }), [node('n1')]);
    assert.deepEqual(status.activeEndpoints, [endpoint]);
  });
});

describe('why a node lost it', () => {
  const spec = site([tunnel('n1')], { replicas: 0 });
  for (const [what, nodes, name, why] of [
    ['not Ready', [away('n1')], 'n1', 'n1 is not Ready'],
    ['its node went', [], 'n1', 'n1 is no node of the gateway any more'],
    ['its endpoint went', [node('n2')], 'n2', 'n2 is no tunnel endpoint any more'],
    ['nobody is asked for', [node('n1')], 'n1', 'spec.tunnelConfig.Replicas is 0'],
  ] as const) {
    test(what, () => assert.equal(whyLost(spec, nodes, name), why));
  }
});

describe('nodes in status', () => {
  test('by name, with privateIP and subnets; one without an address is left out', () => {
    const nodes = [node('n1'), node('n2', { privateIp: null }), node('n3', { subnets: [] })];
    const { status, leftOut } = ask(site([]), nodes);
    assert.deepEqual(status.nodes, [
      { nodeName: 'n1', privateIP: '192.168.0.1', subnets: ['10.244.1.0/24'] },
      { nodeName: 'n3', privateIP: '192.168.0.3', subnets: [] },
    ]);
    assert.deepEqual(leftOut, ['n2 has no InternalIP']);
  });
});

describe('what differs', () => {
  const wanted = {
    nodes: [{ nodeName: 'n1', privateIP: '192.168.0.1', subnets: ['10.244.1.0/24'] }],
    activeEndpoints: [tunnel('n1', { publicPort: 4500, config: { b: '2', a: '1' } })],
  };
  const table: [what: string, present: StatusObject | null, difference: string][] = [
    ['no status', null, 'real'],
    ['no list of active endpoints', { nodes: wanted.nodes }, 'real'],
    ['the same', wanted, 'none'],
    [
      'the same, keys in another order and nulls',
      {
        ...wanted,
        activeEndpoints: [
          { config: { a: '1', b: '2' }, publicPort: 4500, publicIP: null, type: 'tunnel', nodeName: 'n1' },
        ],
      },
      'none',
    ],
    [
      'another hole',
      { ...wanted, activeEndpoints: [tunnel('n1', { publicPort: 4501, config: { a: '1', b: '2' } })] },
      'copies',
    ],
    ['another holder', { ...wanted, activeEndpoints: [tunnel('n2')] }, 'real'],
    ['nobody', { ...wanted, activeEndpoints: [] }, 'real'],
    [
      'another address',
      { ...wanted, nodes: [{ nodeName: 'n1', privateIP: '192.168.0.2', subnets: ['10.244.1.0/24'] }] },
      'real',
    ],
    ['another subnet', { ...wanted, nodes: [{ nodeName: 'n1', privateIP: '192.168.0.1', subnets: [] }] }, 'real'],
    ['no nodes', { ...wanted, nodes: null }, 'real'],
  ];
  for (const [what, present, difference] of table) {
    test(what, () => assert.equal(compareStatus(present, wanted), difference));
  }
});

describe('whatever happens', () => {
  const names = ['n1', 'n2', 'n3', 'n4'];
  const scene = fc.record({
    endpoints: fc.shuffledSubarray(names),
    present: fc.subarray(names),
    ready: fc.subarray(names),
    holders: fc.shuffledSubarray(names),
    replicas: fc.integer({ min: 0, max: 3 }),
    unready: fc.dictionary(fc.constantFrom(...names), fc.integer({ min: 0, max: 2 * GRACE })),
  });
  const play = ({
    endpoints,
    present,
    ready,
    holders,
    replicas,
    unready,
  }: typeof scene extends fc.Arbitrary<infer T> ? T : never) => {
    const spec = site(
      endpoints.map((name) => tunnel(name)),
      { replicas, status: held(...holders) },
    );
    const nodes = present.map((name) => node(name, { ready: ready.includes(name) }));
    return { spec, nodes, election: ask(spec, nodes, unready) };
  };
  const active = (status: { activeEndpoints: readonly { nodeName: string }[] }) =>
    status.activeEndpoints.map(({ nodeName }) => nodeName);

  test('as many as asked for and no more, each able to', () => {
    fc.assert(
      fc.property(scene, (input) => {
        const chosen = active(play(input).election.status);
        assert.ok(chosen.length <= input.replicas);
        assert.equal(new Set(chosen).size, chosen.length);
        for (const name of chosen) {
          assert.ok(input.endpoints.includes(name) && input.present.includes(name));
          assert.ok(input.ready.includes(name) || input.holders.includes(name));
        }
        const able = input.endpoints.filter((name) => input.present.includes(name) && input.ready.includes(name));
        assert.ok(chosen.length >= Math.min(able.length, input.replicas));
      }),
    );
  });

  test('asked again with its own answer, it stays with it', () => {
    fc.assert(
      fc.property(scene, (input) => {
        const { spec, nodes, election } = play(input);
        const again = ask(
          { ...spec, status: { ...election.status, nodes: [], activeEndpoints: [...election.status.activeEndpoints] } },
          nodes,
          input.unready,
        );
        assert.deepEqual(again.status, election.status);
      }),
    );
  });

  test('a holder that is Ready is never displaced, and keeps its place', () => {
    fc.assert(
      fc.property(scene, (input) => {
        const chosen = active(play(input).election.status);
        const secure = input.holders.filter(
          (name) => input.endpoints.includes(name) && input.present.includes(name) && input.ready.includes(name),
        );
        const kept = chosen.filter((name) => secure.includes(name));
        assert.deepEqual(kept, secure.slice(0, kept.length));
        const inGrace = input.holders.filter((name) => !secure.includes(name) && chosen.includes(name));
        assert.ok(kept.length + inGrace.length >= Math.min(secure.length, input.replicas));
      }),
    );
  });

  test('who comes back takes nothing from anybody', () => {
    fc.assert(
      fc.property(scene, fc.constantFrom(...names), (input, name) => {
        const { spec, election } = play(input);
        const status = { nodes: [], activeEndpoints: [...election.status.activeEndpoints] };
        const nodes = input.present.map((each) => node(each, { ready: each === name || input.ready.includes(each) }));
        const after = active(ask({ ...spec, status }, nodes, input.unready).status);
        const before = active(election.status);
        const ready = (each: string) => input.ready.includes(each);
        for (const each of before.filter(ready)) assert.ok(after.includes(each));
      }),
    );
  });
});
