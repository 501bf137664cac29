/** rtnetlink on the host's own kernel, in a network namespace of its own. Needs root; `ip` is the second opinion. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Engine, type NativeEvent, type NetworkOp, openEngine, ROUTE_PROTOCOL, type Route } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';
import { routesIn } from './routes.js';

const sysctl = (name: string): string => readFileSync(`/proc/sys/net/ipv4/conf/${name}`, 'utf8').trim();
const ipLinks = (): Array<{ ifname: string; ifindex: number }> => JSON.parse(command('ip', '-j', 'link'));

function suite(): void {
  let events: NativeEvent[] = [];
  const engine = openEngine((batch) => events.push(...batch));
  const routes = async (...args: Parameters<Engine['routes']>) => routesIn(await engine.routes(...args));
  const apply = (...ops: NetworkOp[]) => engine.network(ops);
  const succeed = async (...ops: NetworkOp[]): Promise<void> => {
    assert.deepEqual(
      await engine.network(ops),
      ops.map(() => null),
    );
  };
  const route = (destination: string, rest: object = {}): NetworkOp => ({
    op: 'route-replace',
    table: 9028,
    destination,
    device: 'v0',
    ...rest,
  });

  before(async () => {
    // Duplicate address detection ends a second later with a change that nobody made.
    for (const conf of ['all', 'default']) writeFileSync(`/proc/sys/net/ipv6/conf/${conf}/accept_dad`, '0');
    command('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    command('ip', 'link', 'add', 'br0', 'type', 'bridge');
    command('ip', 'link', 'set', 'v1', 'up');
    await succeed({ op: 'link-set', name: 'lo', up: true }, { op: 'link-set', name: 'v0', up: true });
  });
  after(() => engine.close());

  test('links: kind, MTU, up and carrier, as ip sees them', async () => {
    await succeed({ op: 'link-set', name: 'v0', mtu: 1380 });
    const links = await engine.links();
    const of = (name: string) => links.find((link) => link.name === name);
    assert.deepEqual([of('v0')?.kind, of('v0')?.mtu, of('v0')?.up, of('v0')?.running], ['veth', 1380, true, true]);
    assert.deepEqual([of('br0')?.kind, of('br0')?.up, of('br0')?.running], ['bridge', false, false]);
    assert.equal(of('lo')?.kind, null);
    for (const link of ipLinks()) assert.equal(of(link.ifname)?.index, link.ifindex);
    await succeed({ op: 'link-set', name: 'v0', up: false });
    assert.equal((await engine.links()).find(({ name }) => name === 'v0')?.up, false);
    await succeed({ op: 'link-set', name: 'v0', up: true });
  });

  test('rp_filter and forwarding are set over netlink, each alone', async () => {
    await succeed({ op: 'link-set', name: 'v0', rpFilter: 1, forwarding: false });
    assert.deepEqual([sysctl('v0/rp_filter'), sysctl('v0/forwarding')], ['1', '0']);
    await succeed({ op: 'link-set', name: 'v0', rpFilter: 2 });
    assert.deepEqual([sysctl('v0/rp_filter'), sysctl('v0/forwarding')], ['2', '0']);
    await succeed({ op: 'link-set', name: 'v0', forwarding: true });
    assert.deepEqual([sysctl('v0/rp_filter'), sysctl('v0/forwarding')], ['2', '1']);
    assert.equal(sysctl('v1/rp_filter'), sysctl('default/rp_filter'));
  });

  test('links: deleting what is not there is success, setting it is ENODEV', async () => {
    await succeed({ op: 'link-delete', name: 'nosuch0' });
    const [error] = await apply({ op: 'link-set', name: 'nosuch0', up: true });
    assert.deepEqual([error?.code, error?.errnoName], ['CORAX_NETLINK', 'ENODEV']);
    command('ip', 'link', 'add', 'br9', 'type', 'bridge');
    await succeed({ op: 'link-delete', name: 'br9' });
    assert.equal(
      (await engine.links()).some(({ name }) => name === 'br9'),
      false,
    );
  });

  test('addresses of both families: added twice, read back, deleted twice', async () => {
    const four = { device: 'v0', address: '10.9.0.1', prefixLength: 32 } as const;
    const six = { device: 'v0', address: '2001:db8::1', prefixLength: 64 } as const;
    for (let round = 0; round < 2; round += 1) {
      await succeed({ op: 'address-add', ...four }, { op: 'address-add', ...six });
    }
    const index = (await engine.links()).find(({ name }) => name === 'v0')?.index;
    const found = (await engine.addresses()).filter(({ ifindex }) => ifindex === index);
    assert.deepEqual(
      found.filter(({ scope }) => scope === 0).map(({ address, prefixLength }) => `${address}/${prefixLength}`),
      ['10.9.0.1/32', '2001:db8::1/64'],
    );
    assert.ok((await engine.addresses()).some(({ address, scope }) => address === '127.0.0.1' && scope === 254));
    for (let round = 0; round < 2; round += 1) {
      await succeed({ op: 'address-delete', ...four }, { op: 'address-delete', ...six });
    }
    await succeed({ op: 'address-delete', ...four, device: 'nosuch0' });
    assert.equal(
      (await engine.addresses()).some(({ address }) => address === '10.9.0.1'),
      false,
    );
  });

  test('a point-to-point address is the own one', async () => {
    command('ip', 'address', 'add', '192.0.2.1', 'peer', '192.0.2.2/32', 'dev', 'v0');
    assert.ok((await engine.addresses()).some(({ address }) => address === '192.0.2.1'));
    command('ip', 'address', 'flush', 'dev', 'v0', 'scope', 'global');
  });

  describe('routes', () => {
    const read = async (): Promise<Array<Partial<Route>>> =>
      (await routes(9028)).map(({ destination, type, metric, source }) => ({
        destination,
        type,
        metric,
        source,
      }));

    before(() => succeed({ op: 'address-add', device: 'v0', address: '10.9.0.1', prefixLength: 24 }));

    test('a table that nobody made is empty', async () => {
      assert.deepEqual(await routes(4242), []);
    });

    test('replace makes, changes and keeps one route; below it an unreachable one', async () => {
      await succeed(route('10.8.0.0/16'), route('10.8.0.0/16', { source: '10.9.0.1' }));
      await succeed({ op: 'route-replace', table: 9028, destination: '10.8.0.0/16', type: 'unreachable', metric: 100 });
      assert.deepEqual(await read(), [
        { destination: '10.8.0.0/16', type: 1, metric: 0, source: '10.9.0.1' },
        { destination: '10.8.0.0/16', type: 7, metric: 100, source: null },
      ]);
      const [first] = await routes(9028);
      assert.equal(first?.protocol, ROUTE_PROTOCOL);
      assert.equal(first?.oif, (await engine.links()).find(({ name }) => name === 'v0')?.index);
      await succeed(route('10.8.0.0/16', { device: 'lo' }));
      assert.equal((await routes(9028))[0]?.oif, 1);
      assert.equal((await read()).length, 2);
    });

    test('delete takes the one of its metric; again is success; so is a device that is gone', async () => {
      const gone = { op: 'route-delete', table: 9028, destination: '10.8.0.0/16' } as const;
      await succeed({ ...gone, metric: 100 }, { ...gone, metric: 100 });
      assert.deepEqual((await read()).length, 1);
      await succeed({ ...gone, device: 'nosuch0' });
      assert.deepEqual((await read()).length, 1);
      await succeed(gone, gone);
      assert.deepEqual(await read(), []);
      await succeed({ ...gone, table: 4242 });
    });

    test('IPv6: unicast replaced, unreachable, deleted', async () => {
      await succeed(route('2001:db8:8::/48'), route('2001:db8:8::/48'));
      await succeed({
        op: 'route-replace',
        table: 9028,
        destination: '2001:db8:8::/48',
        type: 'unreachable',
        metric: 4000,
      });
      assert.deepEqual(
        (await read()).map(({ destination, type, metric }) => [destination, type, metric]),
        [
          ['2001:db8:8::/48', 1, 1024],
          ['2001:db8:8::/48', 7, 4000],
        ],
      );
      await succeed({ op: 'route-delete', table: 9028, destination: '2001:db8:8::/48', device: 'v0' });
      await succeed({ op: 'route-delete', table: 9028, destination: '2001:db8:8::/48', metric: 4000 });
      assert.deepEqual(await read(), []);
    });

    test('default routes of both families have a destination too', async () => {
      await succeed(route('0.0.0.0/0'), route('::/0'));
      assert.deepEqual(
        (await read()).map(({ destination }) => destination),
        ['0.0.0.0/0', '::/0'],
      );
      await succeed(
        { op: 'route-delete', table: 9028, destination: '0.0.0.0/0' },
        { op: 'route-delete', table: 9028, destination: '::/0' },
      );
    });

    test('the default routes alone, of a table with more', async () => {
      await succeed(route('0.0.0.0/0'), route('10.8.0.0/16'), route('::/0'), route('2001:db8:8::/48'));
      assert.deepEqual(
        (await routes(9028, true)).map(({ destination }) => destination),
        ['0.0.0.0/0', '::/0'],
      );
      assert.equal((await routes(9028, false)).length, 4);
      assert.throws(() => engine.routes(9028, 1 as unknown as boolean), TypeError);
      for (const { destination } of await routes(9028)) {
        await succeed({ op: 'route-delete', table: 9028, destination });
      }
    });

    test('a multipath route and a gateway of the other family are read', async () => {
      command('ip', 'address', 'add', '2001:db8:5::1/64', 'dev', 'v0', 'nodad');
      command(
        'ip',
        'route',
        'add',
        '10.71.0.0/16',
        'table',
        '9028',
        'nexthop',
        'via',
        '10.9.0.2',
        'nexthop',
        'via',
        '10.9.0.3',
      );
      command('ip', 'route', 'add', '10.72.0.0/16', 'table', '9028', 'via', 'inet6', '2001:db8:5::2', 'dev', 'v0');
      const found = await routes(9028);
      assert.deepEqual(
        found.map(({ gateway }) => gateway),
        ['10.9.0.2', '2001:db8:5::2'],
      );
      // What somebody else put into the table can be deleted: raven's routes are taken over.
      for (const { destination } of found) await succeed({ op: 'route-delete', table: 9028, destination });
      assert.deepEqual(await read(), []);
    });

    test('errors are the kernel’s, with its words, and stop nothing else', async () => {
      const results = await apply(
        route('10.1.0.0/16'),
        route('10.2.0.0/16', { source: '203.0.113.77' }),
        route('10.3.0.0/16', { device: 'nosuch0' }),
        route('10.4.0.0/16'),
      );
      assert.deepEqual(
        results.map(
          (error) => error && [error.name, error.code, error.errno, error.errnoName, error.extAck, error.message],
        ),
        [
          null,
          [
            'Error',
            'CORAX_NETLINK',
            22,
            'EINVAL',
            'Invalid prefsrc address',
            'RTM_NEWROUTE 10.2.0.0/16 dev v0 table 9028: Invalid argument (EINVAL): Invalid prefsrc address',
          ],
          [
            'Error',
            'CORAX_NETLINK',
            19,
            'ENODEV',
            null,
            'RTM_NEWROUTE 10.3.0.0/16 dev nosuch0 table 9028: No such device (ENODEV)',
          ],
          null,
        ],
      );
      assert.deepEqual(
        (await read()).map(({ destination }) => destination),
        ['10.1.0.0/16', '10.4.0.0/16'],
      );
      command('ip', 'route', 'flush', 'table', '9028');
    });

    test('10,000 routes, some of them wrong, in a bounded number of sends; read back whole', async () => {
      const ops = Array.from({ length: 10_000 }, (_, index) =>
        route(`10.${100 + (index >> 8)}.${index & 255}.0/24`, index % 1000 === 7 ? { source: '203.0.113.77' } : {}),
      );
      const before = engine.stats().routeMessages;
      const start = performance.now();
      const results = await engine.network(ops);
      console.log(`10,000 routes: ${(performance.now() - start).toFixed(0)} ms`);
      assert.equal(engine.stats().routeMessages - before, 10_000 + 1);
      results.forEach((error, index) => {
        assert.equal(error?.errnoName ?? null, index % 1000 === 7 ? 'EINVAL' : null);
      });
      const found = await routes(9028);
      assert.equal(found.length, 9990);
      assert.equal(new Set(found.map(({ destination }) => destination)).size, 9990);
      const removed = await engine.network(
        found.map(({ destination }) => ({ op: 'route-delete', table: 9028, destination })),
      );
      assert.ok(removed.every((error) => error === null));
      assert.deepEqual(await routes(9028), []);
    });
  });

  test('rules: selectors of both families, added twice, deleted alone', async () => {
    const rules: NetworkOp[] = [
      { op: 'rule-add', family: 4, priority: 99, table: 9029, source: '10.9.0.1/32', tos: 0x10, ipProtocol: 1 },
      { op: 'rule-add', family: 4, priority: 99, table: 9030, source: '10.9.0.1', tos: 0x08 },
      { op: 'rule-add', family: 4, priority: 100, table: 254, fwmark: 0x1194 },
      { op: 'rule-add', family: 4, priority: 101, table: 9028 },
      { op: 'rule-add', family: 6, priority: 101, table: 9028, source: '2001:db8::/32' },
    ];
    await succeed(...rules, ...rules);
    const ours = async () => (await engine.rules()).filter(({ protocol }) => protocol === ROUTE_PROTOCOL);
    const none = { source: null, tos: 0, fwmark: 0, fwmask: 0, ipProtocol: 0, protocol: ROUTE_PROTOCOL, other: false };
    const expected = [
      { ...none, family: 4, priority: 99, table: 9029, source: '10.9.0.1/32', tos: 0x10, ipProtocol: 1 },
      { ...none, family: 4, priority: 99, table: 9030, source: '10.9.0.1/32', tos: 0x08 },
      { ...none, family: 4, priority: 100, table: 254, fwmark: 0x1194, fwmask: 0xffffffff },
      { ...none, family: 4, priority: 101, table: 9028 },
      { ...none, family: 6, priority: 101, table: 9028, source: '2001:db8::/32' },
    ];
    assert.deepEqual(await ours(), expected);
    const [first] = rules as [NetworkOp & { op: 'rule-add' }];
    await succeed({ ...first, op: 'rule-delete' }, { ...first, op: 'rule-delete' });
    assert.deepEqual(await ours(), expected.slice(1));
    for (const rule of rules.slice(1))
      await succeed({ ...(rule as NetworkOp & { op: 'rule-add' }), op: 'rule-delete' });
    assert.deepEqual(await ours(), []);
    assert.ok((await engine.rules()).some(({ priority, table }) => priority === 32766 && table === 254));
  });

  test('rules: one that raven made can be deleted', async () => {
    command('ip', 'rule', 'add', 'from', 'all', 'lookup', '9028', 'priority', '101');
    assert.equal((await engine.rules()).filter(({ priority }) => priority === 101).length, 1);
    await succeed({ op: 'rule-delete', family: 4, priority: 101, table: 9028 });
    assert.equal((await engine.rules()).filter(({ priority }) => priority === 101).length, 0);
  });

  test('rules: what has other selectors or another action is told apart', async () => {
    const others = [
      ['iif', 'lo', 'lookup', '9028'],
      ['oif', 'lo', 'lookup', '9028'],
      ['to', '10.0.0.0/8', 'lookup', '9028'],
      ['not', 'from', '10.0.0.0/8', 'lookup', '9028'],
      ['dport', '53', 'ipproto', 'udp', 'lookup', '9028'],
      ['uidrange', '0-5', 'lookup', '9028'],
      ['lookup', '9028', 'suppress_prefixlength', '0'],
      ['prohibit'],
    ];
    for (const rule of [['lookup', '9028'], ...others]) {
      command('ip', 'rule', 'add', 'priority', '77', ...rule);
      const [read] = (await engine.rules()).filter(({ priority }) => priority === 77);
      assert.equal(read?.other, others.includes(rule), rule.join(' '));
      command('ip', 'rule', 'delete', 'priority', '77');
    }
  });

  test('routeTo: local, by mark, unreachable', async () => {
    assert.equal((await engine.routeTo('127.0.0.1')).type, 2);
    assert.equal((await engine.routeTo('10.9.0.1')).type, 2);
    const on = await engine.routeTo('10.9.0.77');
    assert.deepEqual([on.type, on.source, on.table], [1, '10.9.0.1', 254]);
    assert.equal((await engine.routeTo('::1')).type, 2);
    await succeed(route('203.0.113.0/24', { source: '10.9.0.1' }));
    await succeed({ op: 'rule-add', family: 4, priority: 90, table: 9028, fwmark: 5 });
    await assert.rejects(engine.routeTo('203.0.113.5'), {
      code: 'CORAX_NETLINK',
      errnoName: 'ENETUNREACH',
      message: 'RTM_GETROUTE 203.0.113.5: Network is unreachable (ENETUNREACH)',
    });
    assert.equal((await engine.routeTo('203.0.113.5', 5)).table, 9028);
    await succeed({ op: 'route-replace', table: 9028, destination: '203.0.113.0/24', type: 'unreachable' });
    await assert.rejects(engine.routeTo('203.0.113.5', 5), { errnoName: 'EHOSTUNREACH' });
    await succeed({ op: 'rule-delete', family: 4, priority: 90, table: 9028, fwmark: 5 });
  });

  test('watchNetwork: others’ changes are reported, a burst as one; our routes and rules are not', async () => {
    await engine.watchNetwork();
    await engine.watchNetwork();
    const eventually = async (): Promise<void> => {
      for (let tries = 0; events.length === 0; tries += 1) {
        assert.ok(tries < 500, 'no event came');
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    const quiet = async (): Promise<void> => {
      for (let seen = -1; seen !== events.length; await new Promise((resolve) => setTimeout(resolve, 500))) {
        seen = events.length;
      }
    };
    // What came before, and the last of it.
    await quiet();
    for (const change of [
      ['route', 'add', '10.44.0.0/16', 'dev', 'v0'],
      ['address', 'add', '10.45.0.1/24', 'dev', 'v0'],
      ['-6', 'rule', 'add', 'priority', '77', 'lookup', 'main'],
      ['link', 'set', 'br0', 'mtu', '1400'],
    ]) {
      events = [];
      command('ip', ...change);
      await eventually();
      await quiet();
      assert.deepEqual(new Set(events.map(({ type }) => type)), new Set(['network']));
    }
    // Others' hands on what is ours.
    await succeed(route('10.46.0.0/16'), { op: 'rule-add', family: 4, priority: 61, table: 9028 });
    for (const change of [
      ['route', 'delete', '10.46.0.0/16', 'table', '9028'],
      ['rule', 'delete', 'priority', '61'],
    ]) {
      events = [];
      command('ip', ...change);
      await eventually();
      await quiet();
    }
    events = [];
    const many = Array.from({ length: 200 }, (_, index) => route(`10.200.${index}.0/24`));
    await succeed(...many, { op: 'rule-add', family: 4, priority: 60, table: 9028 });
    await succeed({ op: 'rule-delete', family: 4, priority: 60, table: 9028 });
    // Somebody else's route, by our hand.
    await succeed({ op: 'route-delete', table: 254, destination: '10.44.0.0/16' });
    await new Promise((resolve) => setTimeout(resolve, 150));
    assert.deepEqual(events, []);
  });
}

if (inOwnNamespace(import.meta.url)) describe('rtnetlink', suite);
