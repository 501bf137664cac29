import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { keyed } from '#src/decide/diff.js';
import { type Item, sameItem } from '#src/model/item.js';
import type { Address, Engine, Link, NetworkOp, Route, Rule } from '#src/native.js';
import { Network } from '#src/network/network.js';
import { ROUTES_PER_SLICE, routeItems } from '#src/network/routes.js';
import { gateway, prefix, siteFacts } from '../decide/fixtures.js';
import { columnsOf } from './route-columns.js';

interface Found {
  readonly firewall: Record<string, unknown>;
  readonly outside: Record<string, unknown>;
  readonly traffic: unknown;
  readonly items: {
    readonly items: Item[];
    readonly observed: Item[];
    readonly errors: (string | null)[][];
    readonly left: Item[];
    readonly rules: number;
  };
}

describe('the kernel, in a network namespace of its own', () => {
  const main = fileURLToPath(new URL('./network-main.ts', import.meta.url));
  const child = spawnSync('unshare', ['-n', process.execPath, '-C', 'corax-source', '--import', 'tsx', main], {
    encoding: 'utf8',
  });
  const found = () => {
    assert.equal(child.status, 0, `it ends well: ${child.stderr}`);
    return JSON.parse(child.stdout) as Found;
  };

  it('takes the firewall of every role: payload set, concatenated set, fib, notrack, identity snat', () => {
    const ok = { error: null, stands: true, another: false };
    assert.deepEqual(found().firewall, {
      'before any': false,
      bare: ok,
      edge: ok,
      'edge without relays': ok,
      watching: ok,
      relay: ok,
      gateway: ok,
      'relay by policy': ok,
      'gateway by policy': ok,
      'relay that is the next to have the tunnel': ok,
      member: ok,
      changed: {
        same: true,
        elements: '[{"prefix":{"addr":"10.1.0.0","len":23}},{"prefix":{"addr":"10.9.0.0","len":24}}]',
        again: null,
        stands: true,
      },
      flushed: false,
      removal: [null],
    });
  });

  it('keeps outside ports through all that happens to the table, and shows them to the next agent', () => {
    const two = ['203.0.113.20 40003', '203.0.113.30 40002'];
    assert.deepEqual(found().outside, {
      withoutTable: [[], true],
      errors: [null, null, null, null, null, null],
      added: ['203.0.113.20 40001', '203.0.113.30 40002'],
      changed: two,
      found: two,
      kept: two,
      left: ['203.0.113.20 40003'],
      flushed: [],
    });
  });

  it('remembers whom there is traffic with, both ways, and takes no probe for it', () => {
    const busy = ['127.0.0.1', '127.0.0.12', '127.0.0.9'];
    assert.deepEqual(found().traffic, { unwatched: [], before: [], found: busy });
  });

  it('takes every item twice, shows them as they were given, and gives them up twice', () => {
    const { items, observed, errors, left, rules } = found().items;
    assert.deepEqual(new Set(errors.flat()), new Set([null]));
    assert.equal(observed.length, items.length);
    const seen = keyed(observed);
    for (const [key, item] of keyed(items))
      assert.ok(sameItem(item, seen.get(key) as Item), `${key}: ${JSON.stringify(seen.get(key))}`);
    assert.deepEqual(left, []);
    assert.equal(rules, 1, "others' rules stay");
  });
});

describe('the network, as an engine tells of it', () => {
  const link = (index: number, name: string, mtu = 1500): Link => ({
    index,
    name,
    kind: null,
    ifId: null,
    vxlan: null,
    mac: null,
    mtu,
    up: true,
    running: true,
  });
  const address = (ifindex: number, text: string, scope = 0, prefixLength = 24): Address => ({
    ifindex,
    address: text,
    scope,
    prefixLength,
  });
  const route = (more: Partial<Route>): Route => ({
    table: 254,
    destination: '0.0.0.0/0',
    type: 1,
    metric: 0,
    oif: 2,
    gateway: null,
    source: null,
    protocol: 0,
    ...more,
  });
  const engine = (more: object) =>
    ({
      links: async () => [link(1, 'lo', 65536), link(2, 'eth0', 1450), link(3, 'raven-wg0'), link(4, 'wwan0', 1400)],
      addresses: async () => [
        address(1, '127.0.0.1', 254),
        address(2, '192.168.7.2'),
        address(2, 'fe80::1', 253),
        address(2, '2001:db8::2'),
        address(3, '10.0.1.1', 0, 32),
        address(3, '10.0.9.9', 0, 24),
      ],
      rules: async () => [],
      nft: async () => '{"nftables":[]}',
      routeTo: async () => Promise.reject(new Error('ENETUNREACH')),
      routes: async (table: number) => columnsOf(table, []),
      ...more,
    }) as unknown as Engine;

  it('goes out by the default route of the least metric', async () => {
    const asked: unknown[] = [];
    const routes = async (table: number, defaultsOnly?: boolean) => {
      asked.push([table, defaultsOnly]);
      return columnsOf(table, [
        route({ metric: 600, oif: 4 }),
        route({ metric: 100 }),
        route({ destination: '::/0', oif: 4 }),
        route({ type: 7, oif: null }),
      ]);
    };
    assert.deepEqual(await new Network(engine({ routes })).underlay(), {
      device: 'eth0',
      mtu: 1450,
      addresses: ['192.168.7.2', '2001:db8::2'],
      ipv6: null,
    });
    assert.deepEqual(asked, [[254, true]]);
    assert.equal(await new Network(engine({})).underlay(), null);
  });

  it("the IPv6 address is what the tunnel's packets would leave from, if it is a global one", async () => {
    const routes = async (table: number) => columnsOf(table, [route({ metric: 100 })]);
    const asked: unknown[] = [];
    const underlay = (source: string | null, type = 1) => {
      const routeTo = async (...question: unknown[]) => {
        asked.push(question);
        return { ...route({ destination: '::/0', type }), source };
      };
      return new Network(engine({ routes, routeTo })).underlay();
    };
    assert.equal((await underlay('2001:db8::2'))?.ipv6, '2001:db8::2');
    assert.deepEqual(asked, [['2000::', 0x1194]]);
    for (const none of ['fd00::2', 'fe80::2', null]) assert.equal((await underlay(none))?.ipv6, null);
    assert.equal((await underlay('2001:db8::2', 7))?.ipv6, null, 'unreachable');
    assert.equal((await new Network(engine({ routes })).underlay())?.ipv6, null, 'no route');
  });

  it('reads routes out of their columns: of both families, by device, unreachable, and no other kind', async () => {
    const routes = async (table: number) =>
      columnsOf(
        table,
        table !== 9028
          ? []
          : [
              route({ destination: '10.0.2.0/24', oif: 3, source: '10.0.1.1', gateway: '192.168.7.1', metric: 1024 }),
              route({ destination: '10.0.2.0/24', type: 7, oif: null, metric: 9000 }),
              route({ destination: '0.0.0.0/0', oif: 99 }),
              route({ destination: '10.0.3.0/24', type: 2 }),
              route({ destination: 'fd00:2::/64', oif: 3, metric: 1024 }),
              route({ destination: '::/0', type: 7, oif: 1, metric: 9000 }),
            ],
      );
    const common = { kind: 'route', table: 9028, via: null, source: null };
    assert.deepEqual(await new Network(engine({ addresses: async () => [], routes })).observe(), [
      { ...common, prefix: '10.0.2.0/24', metric: 1024, device: 'raven-wg0', via: '192.168.7.1', source: '10.0.1.1' },
      { ...common, prefix: '10.0.2.0/24', metric: 9000, device: null },
      { ...common, prefix: '0.0.0.0/0', metric: 0, device: null },
      { ...common, prefix: 'fd00:2::/64', metric: 0, device: 'raven-wg0' },
      { ...common, prefix: '::/0', metric: 9000, device: null },
    ]);
  });

  it('lets the event loop turn while it reads many', async () => {
    const many = Array.from({ length: 10 * ROUTES_PER_SLICE }, (_, index) =>
      route({ destination: `10.${index >> 8}.${index & 255}.0/24`, oif: 3 }),
    );
    const columns = columnsOf(9028, many);
    let turns = 0;
    const turn = () => {
      turns += 1;
      pending = setImmediate(turn);
    };
    let pending = setImmediate(turn);
    const items = await routeItems(columns, new Map([[3, 'raven-wg0']]));
    clearImmediate(pending);
    assert.equal(items.length, many.length);
    assert.ok(turns >= 9, `${turns} turns`);
  });

  it('has as its own addresses only those that it sets: /32 on its devices', async () => {
    assert.deepEqual(await new Network(engine({})).observe(), [
      { kind: 'address', device: 'raven-wg0', address: '10.0.1.1' },
    ]);
  });

  it('takes for its own the rules that it would make, and none that says more', async () => {
    const rule = (more: Partial<Rule>): Rule => ({
      priority: 101,
      family: 4,
      table: 9028,
      source: null,
      tos: 0,
      fwmark: 0,
      fwmask: 0,
      protocol: 3,
      ipProtocol: 0,
      other: false,
      ...more,
    });
    const rules = async () => [
      rule({}),
      rule({ table: 254, fwmark: 0x1194, fwmask: 0xffffffff }),
      rule({ other: true }),
      rule({ other: true, protocol: 0xcc }),
      rule({ table: 254, fwmark: 0x1194, fwmask: 0xffff }),
      rule({ fwmask: 0xff }),
      rule({ ipProtocol: 17 }),
      rule({ table: 254 }),
    ];
    const items = await new Network(engine({ addresses: async () => [], rules })).observe();
    assert.deepEqual(
      items.map((item) => item.kind === 'rule' && [item.table, item.fwmark]),
      [
        [9028, 0],
        [254, 0x1194],
      ],
    );
  });

  it('runs netlink and firewall steps in their order, each with its own result', async () => {
    const calls: string[] = [];
    const network = new Network(
      engine({
        network: async (ops: readonly NetworkOp[]) => {
          calls.push(ops.map((op) => op.op).join());
          return ops.map((op) => (op.op === 'route-delete' ? new Error('busy') : null));
        },
        nft: async () => {
          calls.push('nft');
          throw new Error('refused');
        },
      }),
    );
    const one: Item = {
      kind: 'route',
      table: 9028,
      prefix: prefix('10.0.2.0/24'),
      metric: 0,
      device: null,
      via: null,
      source: null,
    };
    const site = siteFacts(gateway(1), []);
    const firewall = {
      kind: 'firewall',
      relays: null,
      relaying: false,
      localSubnets: site.subnets,
      devices: ['raven-wg0'],
      byPolicy: false,
      watchesTraffic: false,
      overlay: null,
    } as const;
    const results = await network.apply([
      { op: 'put', item: one, present: null },
      { op: 'delete', item: one },
      { op: 'put', item: firewall, present: null },
      { op: 'put', item: one, present: null },
    ]);
    assert.deepEqual(calls, ['route-replace,route-delete', 'nft', 'route-replace']);
    assert.deepEqual(
      results.map((error) => error?.message ?? null),
      [null, 'busy', 'refused', null],
    );
  });
});
