import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sameForRemotes } from '#src/agent/site.js';
import { SITE, World } from '#src/agent/world.js';
import { overlayMtu, siteItems } from '#src/decide/desired.js';
import { overlayOf } from '#src/decide/members.js';
import { roleOf } from '#src/decide/relations.js';
import { decideRemote } from '#src/decide/remote.js';
import type { SiteFacts } from '#src/model/facts.js';
import type { Gateway, SiteNode } from '#src/model/gateway.js';
import { type Item, keyOf } from '#src/model/item.js';
import { overlayAddress, overlayMac } from '#src/model/overlay.js';
import { mergePrefixes } from '#src/model/subnets.js';
import { gateway, ip, prefix, relay, siteFacts, UNSEEN } from './fixtures.js';

function nodeOf(number: number, subnets = [`10.1.${number}.0/24`], privateIp = `192.168.7.${number}`): SiteNode {
  return { nodeName: `node-${number}`, privateIp: ip(privateIp), subnets: subnets.map(prefix) };
}

/** The gateway of node-1, which holds the tunnel, and others. */
function site(nodes: readonly SiteNode[]): Gateway {
  return { ...gateway(1), nodes, subnets: mergePrefixes(nodes.flatMap(({ subnets }) => subnets)) };
}

function factsOf(own: Gateway, node: string, more: Partial<SiteFacts> = {}): SiteFacts {
  const role = roleOf(own, node);
  const probeAddress = ip('10.1.2.1');
  return siteFacts(own, [relay(1)], { node, role, overlay: overlayOf(own, node, role), probeAddress, ...more });
}

const keys = (items: readonly Item[], ...kinds: Item['kind'][]) =>
  items.filter(({ kind }) => kinds.includes(kind)).map(keyOf);

describe('addresses of the overlay', () => {
  for (const [privateIp, address, mac] of [
    ['192.168.7.2', '240.168.7.2', 'aa:0f:f0:a8:07:02'],
    ['10.0.0.255', '240.0.0.255', 'aa:0f:f0:00:00:ff'],
  ] as const) {
    it(`${privateIp} is ${address}, ${mac}`, () => {
      assert.deepEqual([overlayAddress(ip(privateIp)), overlayMac(ip(privateIp))], [address, mac]);
    });
  }
});

describe("a node's part in its gateway", () => {
  const two = site([nodeOf(1), nodeOf(2)]);
  const cases: [string, Gateway, string, string][] = [
    ['the active node', two, 'node-1', 'edge'],
    ['another node', two, 'node-2', 'member'],
    ['a node of nobody', two, 'node-3', 'idle'],
    ['nobody is active', { ...two, active: null, activeNodes: [] }, 'node-2', 'idle'],
    ['the active node is not in status', site([nodeOf(2)]), 'node-2', 'idle'],
    ['an IPv6 node', site([nodeOf(1), nodeOf(2, ['10.1.2.0/24'], 'fd00::2')]), 'node-2', 'idle'],
    ['no place to send to', site([nodeOf(1), nodeOf(2, ['10.1.2.0/24'], '224.0.0.1')]), 'node-2', 'idle'],
  ];
  for (const [what, own, node, role] of cases) it(`${what}: ${role}`, () => assert.equal(roleOf(own, node), role));
});

describe('the gateway node', () => {
  it('has no overlay while it is alone', () => {
    const facts = factsOf(site([nodeOf(1)]), 'node-1');
    assert.equal(facts.overlay, null);
    assert.deepEqual(keys(siteItems(facts), 'overlay', 'fdb', 'neighbour'), []);
  });

  it("has each member's entries, and a route for each of its subnets", () => {
    const own = site([nodeOf(1), nodeOf(2, ['10.1.2.0/24', '10.1.9.0/24', 'fd00:2::/64']), nodeOf(3)]);
    const items = siteItems(factsOf(own, 'node-1'));
    assert.deepEqual(keys(items, 'overlay', 'fdb', 'neighbour'), [
      'overlay raven0',
      'fdb raven0 aa:0f:f0:a8:07:02',
      'neighbour raven0 240.168.7.2',
      'fdb raven0 aa:0f:f0:a8:07:03',
      'neighbour raven0 240.168.7.3',
    ]);
    const back = items.flatMap((item) => (item.kind === 'route' && item.table === 9027 ? [item] : []));
    assert.deepEqual(
      back.map(({ prefix: to, via }) => `${to} ${via}`),
      ['10.1.2.0/24 240.168.7.2', '10.1.9.0/24 240.168.7.2', '10.1.3.0/24 240.168.7.3'],
    );
    const firewall = items.find((item) => item.kind === 'firewall');
    assert.deepEqual(firewall?.overlay, {
      device: 'raven0',
      marks: ['raven-wg0', 'raven-wg1'],
      handover: null,
      source: null,
    });
  });

  it('gives an address that two nodes would have to the first', () => {
    const own = site([nodeOf(1), nodeOf(2, ['10.1.2.0/24'], '10.168.7.2'), nodeOf(3, ['10.1.3.0/24'], '11.168.7.2')]);
    assert.deepEqual(
      overlayOf(own, 'node-1', 'edge')?.members.map(({ nodeName }) => nodeName),
      ['node-2'],
    );
  });
});

describe('a member', () => {
  const own = site([nodeOf(1), nodeOf(2), nodeOf(3)]);
  const facts = factsOf(own, 'node-2');

  it('has the gateway node and nobody else, and no tunnel', () => {
    const items = siteItems(facts);
    assert.deepEqual(keys(items, 'overlay', 'fdb', 'neighbour', 'device', 'route'), [
      'overlay raven0',
      'fdb raven0 aa:0f:f0:a8:07:01',
      'neighbour raven0 240.168.7.1',
      'route 9027 0.0.0.0/0 0',
    ]);
    assert.deepEqual(keys(items, 'rule'), ['rule 4 100 9027 - 0 64', 'rule 4 101 9028 - 0 0', 'rule 6 101 9028 - 0 0']);
  });

  it("reaches a remote's subnets by the gateway node, and never in the clear", () => {
    const remote = { ...gateway(2), subnets: [prefix('10.0.2.0/24'), prefix('fd00:9::/64')] };
    const { items, deeds } = decideRemote(facts, remote, null, UNSEEN, 0);
    assert.deepEqual(deeds, []);
    assert.deepEqual(
      items.map((item) => item.kind === 'route' && `${item.prefix} ${item.via ?? 'unreachable'} ${item.source}`),
      ['10.0.2.0/24 240.168.7.1 10.1.2.1', '10.0.2.0/24 unreachable null', 'fd00:9::/64 unreachable null'],
    );
  });

  for (const [mtu, expected] of [
    [1500, 1420],
    [1492, 1412],
    [1400, 1320],
    [1320, 1270],
    [9000, 8920],
  ] as const) {
    it(`has an MTU of ${expected} over ${mtu}`, () => {
      assert.equal(overlayMtu({ ...facts, underlay: { device: 'eth0', mtu, addresses: [], ipv6: null } }), expected);
    });
  }

  it('moves to another gateway node: the new entries first, the old ones last, the remote by one replaced route', () => {
    const world = new World();
    const remote = gateway(2);
    const turn = (at: SiteFacts) => {
      const steps = [
        ...world.want(SITE, siteItems(at)),
        ...world.want('gw-2', decideRemote(at, remote, null, UNSEEN, 0).items),
      ];
      for (const step of steps) world.confirm(step);
      return steps.map(({ op, item }) => `${op} ${keyOf(item)}`);
    };
    turn(facts);
    const other = { ...gateway(1).endpoints[0], nodeName: 'node-3' } as Gateway['endpoints'][0];
    const moved = { ...own, endpoints: [...own.endpoints, other], active: other, activeNodes: ['node-3'] };
    assert.deepEqual(turn(factsOf(moved, 'node-2')), [
      'put fdb raven0 aa:0f:f0:a8:07:03',
      'put neighbour raven0 240.168.7.3',
      'put route 9027 0.0.0.0/0 0',
      'delete fdb raven0 aa:0f:f0:a8:07:01',
      'delete neighbour raven0 240.168.7.1',
      'put route 9028 10.0.2.0/24 0',
    ]);
  });
});

describe('200 members join and leave', () => {
  it('one is work for one, remotes are not looked at again, and nothing is left behind', () => {
    const world = new World();
    const members = Array.from({ length: 200 }, (_, index) =>
      nodeOf(
        index + 2,
        [`10.${2 + (index >> 7)}.${(index * 2) % 256}.0/24`],
        `192.168.${7 + (index >> 7)}.${index + 2}`,
      ),
    );
    const alone = nodeOf(1, ['10.1.1.0/24']);
    let before = factsOf(site([alone, members[0] as SiteNode]), 'node-1');
    const turn = (nodes: readonly SiteNode[]) => {
      const facts = factsOf(site([alone, ...nodes]), 'node-1');
      const remotes = !sameForRemotes(before, facts);
      before = facts;
      const steps = world.want(SITE, siteItems(facts));
      for (const step of steps) world.confirm(step);
      return { steps, remotes };
    };
    turn(members.slice(0, 1));
    const small = [...world.observed.keys()].sort();
    for (let count = 2; count <= members.length; count += 1) {
      const { steps, remotes } = turn(members.slice(0, count));
      assert.deepEqual(
        steps.map(({ op, item }) => `${op} ${item.kind}`),
        ['put fdb', 'put neighbour', 'put firewall', 'put route'],
      );
      assert.equal(remotes, false);
    }
    for (let count = members.length - 1; count >= 1; count -= 1) {
      const { steps } = turn(members.slice(0, count));
      assert.deepEqual(new Set(steps.map(({ op, item }) => `${op} ${item.kind}`)).size, 4);
      assert.equal(steps.length, 4);
    }
    assert.deepEqual([...world.observed.keys()].sort(), small);
  });
});
