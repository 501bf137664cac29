/** raven's overlay on the host's own kernel, in a network namespace of its own. Needs root; `ip` and `bridge` look too. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { type NativeEvent, type NetworkOp, openEngine } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';
import { routesIn } from './routes.js';

const MAC = 'aa:0f:f0:00:00:02';
const VXLAN = { op: 'link-create', name: 'raven0', kind: 'vxlan', vni: 200, port: 4472, mac: MAC } as const;
const FDB = { device: 'raven0', mac: 'aa:0f:f0:00:00:03', address: '192.0.2.3' } as const;
const ARP = { device: 'raven0', mac: 'aa:0f:f0:00:00:03', address: '240.0.0.3' } as const;

function suite(): void {
  let events: NativeEvent[] = [];
  const engine = openEngine((batch) => events.push(...batch));
  const succeed = async (...ops: NetworkOp[]): Promise<void> => {
    assert.deepEqual(
      await engine.network(ops),
      ops.map(() => null),
    );
  };

  before(() => {
    command('ip', 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
    for (const device of ['v0', 'v1']) command('ip', 'link', 'set', device, 'up');
    command('ip', 'address', 'add', '192.0.2.2/24', 'dev', 'v0');
  });
  beforeEach(async () => {
    await succeed({ op: 'link-delete', name: 'raven0' }, VXLAN, {
      op: 'link-set',
      name: 'raven0',
      mtu: 1420,
      up: true,
    });
  });
  after(() => engine.close());

  test('a VXLAN device is as it was asked for, here and to ip', async () => {
    const link = (await engine.links()).find(({ name }) => name === 'raven0');
    assert.deepEqual(
      { kind: link?.kind, vxlan: link?.vxlan, mac: link?.mac, mtu: link?.mtu, up: link?.up },
      { kind: 'vxlan', vxlan: { vni: 200, port: 4472, learning: false }, mac: MAC, mtu: 1420, up: true },
    );
    const [seen] = JSON.parse(command('ip', '-j', '-d', 'link', 'show', 'raven0'));
    const { id, port, learning } = seen.linkinfo.info_data;
    assert.deepEqual([seen.address, id, port, learning ?? false], [MAC, 200, 4472, false]);
    assert.equal((await engine.links()).find(({ name }) => name === 'v0')?.vxlan, null);
  });

  test('made again as it is it stays; with another number or MAC it is EEXIST', async () => {
    await succeed(VXLAN);
    for (const other of [{ vni: 201 }, { port: 4789 }, { mac: 'aa:0f:f0:00:00:09' }]) {
      const [error] = await engine.network([{ ...VXLAN, ...other }]);
      assert.equal(error?.errnoName, 'EEXIST', JSON.stringify(other));
    }
  });

  test('entries are made, moved and taken away, each twice', async () => {
    for (let round = 0; round < 2; round += 1) {
      await succeed({ op: 'fdb-replace', ...FDB }, { op: 'neighbour-replace', ...ARP });
    }
    const read = async () =>
      (await engine.neighbours('raven0')).map(({ kind, mac, address }) => `${kind} ${mac} ${address}`);
    assert.deepEqual(await read(), [`fdb ${FDB.mac} 192.0.2.3`, `arp ${ARP.mac} 240.0.0.3`]);
    assert.match(command('bridge', 'fdb', 'show', 'dev', 'raven0'), /aa:0f:f0:00:00:03 dst 192.0.2.3 self permanent/);
    assert.match(command('ip', 'neigh', 'show', 'dev', 'raven0'), /240.0.0.3 lladdr aa:0f:f0:00:00:03 PERMANENT/);
    await succeed({ op: 'fdb-replace', ...FDB, address: '192.0.2.4' });
    assert.deepEqual(await read(), [`fdb ${FDB.mac} 192.0.2.4`, `arp ${ARP.mac} 240.0.0.3`]);
    for (let round = 0; round < 2; round += 1) {
      await succeed({ op: 'fdb-delete', ...FDB, address: '192.0.2.4' }, { op: 'neighbour-delete', ...ARP });
    }
    assert.deepEqual(await read(), []);
    assert.deepEqual(await engine.neighbours('nosuch0'), []);
  });

  test("raven's default destination is an entry like any other, and can be taken away", async () => {
    command('ip', 'link', 'del', 'raven0');
    const device = ['id', '200', 'dstport', '4472', 'remote', '192.0.2.7', 'nolearning'];
    command('ip', 'link', 'add', 'raven0', 'address', MAC, 'type', 'vxlan', ...device);
    await succeed(VXLAN, { op: 'link-set', name: 'raven0', up: true });
    const [entry] = await engine.neighbours('raven0');
    assert.deepEqual([entry?.kind, entry?.mac, entry?.address], ['fdb', '00:00:00:00:00:00', '192.0.2.7']);
    await succeed({ op: 'fdb-delete', device: 'raven0', mac: '00:00:00:00:00:00', address: '192.0.2.7' });
    assert.deepEqual(await engine.neighbours('raven0'), []);
  });

  test('a route by an address of the overlay, and its own address that nobody takes for a source', async () => {
    await succeed(
      { op: 'address-add', device: 'raven0', address: '240.0.0.2', prefixLength: 8, scope: 'link' },
      { op: 'route-replace', table: 9027, destination: '0.0.0.0/0', device: 'raven0', gateway: '240.0.0.3' },
    );
    assert.match(command('ip', 'route', 'show', 'table', '9027'), /default via 240.0.0.3 dev raven0 .*onlink/);
    const [route] = routesIn(await engine.routes(9027));
    assert.deepEqual([route?.destination, route?.gateway], ['0.0.0.0/0', '240.0.0.3']);
    assert.match(command('ip', '-o', 'address', 'show', 'dev', 'raven0'), /240.0.0.2\/8 .*scope link/);
    await succeed({ op: 'route-delete', table: 9027, destination: '0.0.0.0/0', device: 'raven0' });
    assert.deepEqual(routesIn(await engine.routes(9027)), []);
  });

  test("somebody else's hand on an entry is told; the neighbours of other devices are not", async () => {
    await succeed({ op: 'fdb-replace', ...FDB }, { op: 'neighbour-replace', ...ARP });
    await engine.watchNetwork();
    const told = async (...words: string[]): Promise<number> => {
      events = [];
      command(...(words as [string, ...string[]]));
      await new Promise((resolve) => setTimeout(resolve, 200));
      return events.filter(({ type }) => type === 'network').length;
    };
    assert.equal(await told('ip', 'neigh', 'add', '192.0.2.9', 'lladdr', '02:00:00:00:00:09', 'dev', 'v0'), 0);
    assert.equal(await told('bridge', 'fdb', 'del', FDB.mac, 'dev', 'raven0'), 1);
    assert.equal(await told('ip', 'neigh', 'del', '240.0.0.3', 'dev', 'raven0'), 1);
    events = [];
    await succeed({ op: 'fdb-replace', ...FDB }, { op: 'neighbour-replace', ...ARP });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(events, []);
  });

  test('what makes no sense is refused before the kernel sees it', () => {
    const wrong = [
      { ...VXLAN, vni: 2 ** 24 },
      { ...VXLAN, port: 0 },
      { ...VXLAN, mac: 'aa:0f' },
      { ...VXLAN, mac: 'aa:0f:f0:00:00:0g' },
      { op: 'fdb-replace', ...FDB, address: 'fe80::1' },
      { op: 'address-add', device: 'v0', address: '240.0.0.2', prefixLength: 8, scope: 'host' },
      { op: 'route-replace', table: 9027, destination: '0.0.0.0/0', device: 'v0', gateway: 'fe80::1' },
    ];
    for (const op of wrong) assert.throws(() => engine.network([op as NetworkOp]), TypeError, JSON.stringify(op));
  });
}

if (inOwnNamespace(import.meta.url)) describe('overlay', suite);
