/** Runs in a network namespace of its own: items to the real kernel and back. Prints what it found as JSON. */
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import type { FirewallItem, Item } from '#src/model/item.js';
import { TABLES } from '#src/model/names.js';
import { openEngine } from '#src/native.js';
import { firewallRemoval } from '#src/network/firewall.js';
import { Network, type NetworkItem } from '#src/network/network.js';
import { at, ip, prefix } from '../decide/fixtures.js';

const engine = openEngine(() => undefined);
const network = new Network(engine);

const firewall = (more: Partial<FirewallItem>): FirewallItem => ({
  kind: 'firewall',
  relays: null,
  relaying: false,
  localSubnets: [],
  devices: ['raven-wg0'],
  byPolicy: false,
  watchesTraffic: false,
  overlay: null,
  ...more,
});
const both = ['raven-wg0', 'raven-wg1'];
const firewalls: Record<string, FirewallItem> = {
  bare: firewall({}),
  edge: firewall({
    relays: [at('203.0.113.1'), at('203.0.113.2', 4510), at('2001:db8::1')],
    localSubnets: [prefix('10.1.0.0/24'), prefix('10.2.0.0/16'), prefix('fd00::/64')],
    devices: both,
  }),
  'edge without relays': firewall({ relays: [], localSubnets: [prefix('10.1.0.0/24')], devices: both }),
  watching: firewall({ relays: [], localSubnets: [prefix('10.1.0.0/24')], devices: ['lo'], watchesTraffic: true }),
  relay: firewall({ relaying: true, localSubnets: [prefix('10.200.1.0/24')] }),
  gateway: firewall({
    localSubnets: [prefix('10.1.0.0/24')],
    devices: both,
    overlay: { device: 'raven0', marks: both, handover: 'former', source: null },
  }),
  'relay that is the next to have the tunnel': firewall({
    relaying: true,
    localSubnets: [prefix('10.200.1.0/24')],
    overlay: { device: 'raven0', marks: ['raven-wg0'], handover: 'next', source: null },
  }),
  'relay by policy': firewall({ relaying: true, localSubnets: [prefix('10.200.1.0/24')], byPolicy: true }),
  'gateway by policy': firewall({
    localSubnets: [prefix('10.1.0.0/24')],
    byPolicy: true,
    overlay: { device: 'raven0', marks: ['raven-wg0'], handover: null, source: null },
  }),
  member: firewall({
    localSubnets: [prefix('10.1.0.0/24')],
    devices: ['raven0'],
    overlay: { device: 'raven0', marks: [], handover: null, source: ip('10.1.0.1') },
  }),
};

async function firewallResults(): Promise<Record<string, unknown>> {
  const results: Record<string, unknown> = { 'before any': await network.firewallStands(firewall({})) };
  for (const [name, item] of Object.entries(firewalls)) {
    const [error] = await network.apply([{ op: 'put', item, present: null }]);
    const stands = await network.firewallStands(item);
    const another = await network.firewallStands(firewalls[name === 'relay' ? 'edge' : 'relay'] as FirewallItem);
    results[name] = { error: error?.message ?? null, stands, another };
  }
  results.changed = await changedResults();
  await engine.nft(JSON.stringify({ nftables: [{ flush: { ruleset: null } }] }));
  results.flushed = await network.firewallStands(firewalls.relay as FirewallItem);
  const removals = await network.apply([{ op: 'delete', item: firewall({}) }]);
  results.removal = removals.map((error) => error?.message ?? null);
  await engine.nft(firewallRemoval());
  return results;
}

/** Of own subnets that come and go, with the table there and without: the set's elements, and rules' handles. */
async function changedResults(): Promise<unknown> {
  const { member } = firewalls;
  const other = { ...member, localSubnets: [prefix('10.1.0.0/23'), prefix('10.9.0.0/24')] } as FirewallItem;
  const read = async () => {
    const { nftables } = JSON.parse(
      await engine.nft('{"nftables":[{"list":{"table":{"family":"ip","name":"corax"}}}]}'),
    );
    const rules = nftables.flatMap((object: { rule?: { handle: number } }) => object.rule?.handle ?? []);
    const [set] = nftables.flatMap((object: { set?: { elem: unknown[] } }) => object.set ?? []);
    return { rules, elements: JSON.stringify(set.elem) };
  };
  await network.apply([{ op: 'put', item: member as FirewallItem, present: null }]);
  const before = await read();
  await network.apply([{ op: 'put', item: other, present: member as FirewallItem }]);
  const after = await read();
  await engine.nft(firewallRemoval());
  const [again] = await network.apply([{ op: 'put', item: other, present: member as FirewallItem }]);
  const same = JSON.stringify(before.rules) === JSON.stringify(after.rules);
  return { same, elements: after.elements, again: again?.message ?? null, stands: await network.firewallStands(other) };
}

/** Outside ports: added, changed, found by another agent, kept by a table that is made anew, gone with it, deleted. */
async function outsideResults(): Promise<Record<string, unknown>> {
  const edge = firewalls.edge as FirewallItem;
  const port = (remote: string, localPort: number): NetworkItem => ({
    kind: 'outside-port',
    remote: at(remote, 20_000),
    localPort,
  });
  const [b, c] = [port('203.0.113.20', 40_001), port('203.0.113.30', 40_002)];
  const stand = async (by = network) =>
    (await by.observe())
      .flatMap((item) => (item.kind === 'outside-port' ? [`${item.remote.ip} ${item.localPort}`] : []))
      .sort();
  const put = async (item: NetworkItem, present: NetworkItem | null = null) => {
    const [error] = await network.apply([{ op: 'put', item, present }]);
    return error?.message ?? null;
  };
  await network.apply([{ op: 'delete', item: firewall({}) }]);
  const withoutTable = [await stand(), (await put(b)) !== null];
  const errors = [await put(edge), await put(b), await put(c)];
  const added = await stand();
  errors.push(await put(port('203.0.113.20', 40_003), b));
  const changed = await stand();
  const next = new Network(engine);
  const found = await stand(next);
  await next.apply([{ op: 'put', item: { ...edge, relays: [at('203.0.113.7')] }, present: null }]);
  const kept = await stand(next);
  const [gone, again] = await network.apply([
    { op: 'delete', item: c },
    { op: 'delete', item: c },
  ]);
  errors.push(gone?.message ?? null, again?.message ?? null);
  const left = await stand();
  await engine.nft(firewallRemoval());
  return { withoutTable, errors, added, changed, found, kept, left, flushed: await stand() };
}

/** A datagram and two pings to addresses on a watched device: whom the kernel remembers. */
async function trafficResults(): Promise<unknown> {
  const unwatched = await network.busy();
  await network.apply([{ op: 'put', item: firewalls.watching as FirewallItem, present: null }]);
  const before = await network.busy();
  await engine.network([{ op: 'link-set', name: 'lo', up: true }]);
  const socket = createSocket('udp4');
  await new Promise((sent) => socket.send('x', 4500, '127.0.0.9', sent));
  socket.close();
  // By their TOS these are probes, and that one is not.
  for (const [to, tos] of [
    ['127.0.0.10', '0x10'],
    ['127.0.0.11', '0x08'],
    ['127.0.0.12', '0x20'],
  ] as const) {
    execFileSync('ping', ['-q', '-c', '1', '-Q', tos, to]);
  }
  const found = await network.busy();
  await engine.nft(firewallRemoval());
  return { unwatched, before, found: found.sort() };
}

async function itemResults(): Promise<Record<string, unknown>> {
  await engine.network([
    { op: 'link-set', name: 'lo', up: true },
    // Not ours: from a whole prefix into raven's table.
    { op: 'rule-add', family: 4, priority: 90, table: TABLES.path, source: '10.0.0.0/8' },
  ]);
  const mac = 'aa:0f:f0:00:00:03';
  const items: NetworkItem[] = [
    { kind: 'overlay', name: 'raven0', address: ip('240.0.0.2'), mac: 'aa:0f:f0:00:00:02', mtu: 1420 },
    { kind: 'address', device: 'raven0', address: ip('10.0.1.1') },
    { kind: 'fdb', device: 'raven0', mac, destination: ip('192.0.2.3') },
    { kind: 'neighbour', device: 'raven0', mac, address: ip('240.0.0.3') },
    { kind: 'rule', priority: 100, family: 4, table: TABLES.overlay, source: null, tos: 0, fwmark: 0x40, icmp: false },
    {
      kind: 'route',
      table: TABLES.overlay,
      prefix: prefix('0.0.0.0/0'),
      metric: 0,
      device: 'raven0',
      via: ip('240.0.0.3'),
      source: null,
    },
    { kind: 'rule', priority: 97, family: 4, table: 254, source: null, tos: 0, fwmark: 0x1194, icmp: false },
    { kind: 'rule', priority: 97, family: 6, table: 254, source: null, tos: 0, fwmark: 0x1194, icmp: false },
    {
      kind: 'rule',
      priority: 98,
      family: 4,
      table: TABLES.direct,
      source: ip('10.0.1.1'),
      tos: 0x10,
      fwmark: 0,
      icmp: true,
    },
    { kind: 'rule', priority: 101, family: 4, table: TABLES.path, source: null, tos: 0, fwmark: 0, icmp: false },
    { kind: 'rule', priority: 101, family: 6, table: TABLES.path, source: null, tos: 0, fwmark: 0, icmp: false },
    {
      kind: 'route',
      table: TABLES.path,
      prefix: prefix('10.0.2.0/24'),
      metric: 9000,
      device: null,
      via: null,
      source: null,
    },
    {
      kind: 'route',
      table: TABLES.path,
      prefix: prefix('10.0.2.0/24'),
      metric: 0,
      device: 'lo',
      via: null,
      source: ip('127.0.0.1'),
    },
    {
      kind: 'route',
      table: TABLES.path,
      prefix: prefix('fd00:2::/64'),
      metric: 9000,
      device: null,
      via: null,
      source: null,
    },
    {
      kind: 'route',
      table: TABLES.path,
      prefix: prefix('fd00:2::/64'),
      metric: 0,
      device: 'lo',
      via: null,
      source: null,
    },
    {
      kind: 'route',
      table: TABLES.relay,
      prefix: prefix('0.0.0.0/0'),
      metric: 9000,
      device: null,
      via: null,
      source: null,
    },
  ];
  const puts = await network.apply(items.map((item) => ({ op: 'put', item, present: null })));
  const again = await network.apply(items.map((item) => ({ op: 'put', item, present: null })));
  const observed: Item[] = await network.observe();
  const deletes = await network.apply(items.map((item) => ({ op: 'delete', item })));
  const deletedAgain = await network.apply(items.map((item) => ({ op: 'delete', item })));
  const messages = (errors: readonly (Error | null)[]) => errors.map((error) => error?.message ?? null);
  return {
    items,
    observed,
    errors: [puts, again, deletes, deletedAgain].map(messages),
    left: await network.observe(),
    rules: (await engine.rules()).filter((rule) => rule.priority === 90).length,
  };
}

const firewallFound = await firewallResults();
const outside = await outsideResults();
const traffic = await trafficResults();
process.stdout.write(JSON.stringify({ firewall: firewallFound, outside, traffic, items: await itemResults() }));
engine.close();
