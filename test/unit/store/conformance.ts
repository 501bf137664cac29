/** What every store keeps to, whatever it is made of. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { parseIp } from '#src/model/address.js';
import type { GatewayStore } from '#src/store/store.js';
import { type GatewayFile, gatewayFile, Recorder, until } from './recorder.js';

/** A fresh, empty place for Gateways, and the way in that is not ours: a person's or yurt-manager's. */
export interface StorePlace {
  /** A store on the place, not started. */
  store(): GatewayStore;
  /** Creates the object or replaces it, spec and status. */
  put(gateway: GatewayFile): Promise<void>;
  remove(name: string): Promise<void>;
  read(name: string): Promise<GatewayFile>;
  close(): Promise<void>;
}

const ip = (text: string) => parseIp(text) ?? assert.fail();
const badPort = (name: string, site: number): GatewayFile => {
  const gateway = gatewayFile(name, site);
  (gateway.spec.endpoints[1] as Record<string, unknown>).publicPort = 70000;
  return gateway;
};

export function storeConformance(title: string, openPlace: () => Promise<StorePlace>): void {
  async function setUp(t: TestContext, ...gateways: GatewayFile[]) {
    const place = await openPlace();
    const stores: GatewayStore[] = [];
    t.after(async () => {
      for (const store of stores) await store.stop();
      await place.close();
    });
    for (const gateway of gateways) await place.put(gateway);
    const begin = async () => {
      const store = place.store();
      const seen = new Recorder();
      stores.push(store);
      await store.start(seen.onChange);
      await until('the store is synced', () => store.health().synced && seen.batches.length > 0);
      return { store, seen };
    };
    return { place, begin, ...(await begin()) };
  }

  describe(`${title}: reading`, () => {
    test('an empty place is synced and empty', async (t) => {
      const { store, seen } = await setUp(t);
      assert.deepEqual(seen.batches, [{ synced: true, upserted: [], refused: [], removed: [], unread: false }]);
      assert.equal(store.health().lastError, null);
      assert.ok((store.health().lastSync ?? 0) > 0);
    });

    test('what is there at the start comes whole', async (t) => {
      const { seen } = await setUp(t, gatewayFile('gw-a', 1), gatewayFile('gw-b', 2));
      await until('both are there', () => seen.gateways.size === 2);
      assert.ok(seen.batches.every(({ synced }) => synced));
      assert.deepEqual(seen.gateways.get('gw-b')?.subnets, ['10.64.2.0/24']);
      assert.equal(seen.gateways.get('gw-a')?.active?.nodeName, 'gw-a-node');
    });

    test('added, changed, removed: that one, and no other', async (t) => {
      const { place, seen } = await setUp(t, gatewayFile('gw-a', 1), gatewayFile('gw-b', 2));
      let before = seen.batches.length;
      await place.put(gatewayFile('gw-c', 3));
      await until('gw-c is there', () => seen.gateways.has('gw-c'));
      assert.deepEqual(seen.since(before), ['+gw-c']);

      before = seen.batches.length;
      await place.put(gatewayFile('gw-b', 9));
      await until('gw-b has moved', () => seen.gateways.get('gw-b')?.subnets[0] === '10.64.9.0/24');
      assert.deepEqual(seen.since(before), ['+gw-b']);

      before = seen.batches.length;
      await place.remove('gw-a');
      await until('gw-a is gone', () => !seen.gateways.has('gw-a'));
      assert.deepEqual(seen.since(before), ['-gw-a']);
    });

    test('a refused one is named with its reason; the others work; repaired, it comes', async (t) => {
      const { place, store, seen } = await setUp(t, badPort('gw-a', 1), gatewayFile('gw-b', 2));
      assert.deepEqual(seen.names, ['gw-b']);
      assert.match(seen.refusal('gw-a')?.reason ?? '', /^spec\.endpoints\[1\]\.publicPort 70000: is not a port/);
      assert.doesNotMatch(seen.refusal('gw-a')?.reason ?? '', /stays in force/);
      assert.deepEqual(store.health().refused, [seen.refusal('gw-a')]);

      await place.put(gatewayFile('gw-a', 1));
      await until('gw-a is there', () => seen.gateways.has('gw-a'));
      assert.deepEqual(store.health().refused, []);
    });

    test('one that becomes bad keeps its last good version', async (t) => {
      const { place, store, seen } = await setUp(t, gatewayFile('gw-a', 1));
      const before = seen.batches.length;
      await place.put(badPort('gw-a', 7));
      await until('it is refused', () => seen.refusal('gw-a') !== undefined);
      assert.match(seen.refusal('gw-a')?.reason ?? '', /70000.*the last good version stays in force$/);
      assert.deepEqual(seen.since(before), []);
      assert.deepEqual(seen.gateways.get('gw-a')?.subnets, ['10.64.1.0/24']);

      await place.remove('gw-a');
      await until('it is gone', () => !seen.gateways.has('gw-a'));
      assert.deepEqual(store.health().refused, []);
    });

    test('after stop there is silence', async (t) => {
      const { place, store, begin, seen } = await setUp(t, gatewayFile('gw-a', 1));
      await store.stop();
      const before = seen.batches.length;
      await place.put(gatewayFile('gw-b', 2));
      const other = await begin();
      await until('another store has seen it', () => other.seen.gateways.has('gw-b'));
      assert.equal(seen.batches.length, before);
      const patch = { gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4500 } };
      await assert.rejects(store.publish(patch), { code: 'CORAX_STORE' });
    });
  });

  describe(`${title}: publishing`, () => {
    test('changes the fields of that endpoint and nothing else', async (t) => {
      const { place, store, seen } = await setUp(t, gatewayFile('gw-a', 1), gatewayFile('gw-b', 2));
      const set = {
        natType: 'Symmetric NAT',
        publicIP: ip('203.0.113.10'),
        publicPort: 4500,
        config: { corax: '0.1.0', probeAddress: '10.64.1.1' },
      } as const;
      const before = await place.read('gw-a');
      const batches = seen.batches.length;
      assert.equal(await store.publish({ gateway: 'gw-a', nodeName: 'gw-a-node', set }), 'written');

      const endpoint = before.spec.endpoints[1] as { config: object };
      Object.assign(endpoint, set, { config: { ...endpoint.config, ...set.config } });
      const after = await place.read('gw-a');
      assert.deepEqual({ ...after, metadata: null }, { ...before, metadata: null });
      assert.equal(after.metadata.name, 'gw-a');
      assert.deepEqual(after.metadata.annotations, before.metadata.annotations);

      await until('it is seen', () => seen.gateways.get('gw-a')?.active?.hole?.port === 4500);
      assert.deepEqual(seen.since(batches), ['+gw-a']);
      assert.equal(seen.gateways.get('gw-a')?.active?.natType, 'Symmetric NAT');
      assert.equal(store.health().writes, 1);
    });

    test('writes nothing where nothing changes', async (t) => {
      const { place, store } = await setUp(t, gatewayFile('gw-a', 1));
      const patch = { gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4500, config: { other: 'kept' } } };
      assert.equal(await store.publish(patch), 'written');
      const written = await place.read('gw-a');
      assert.equal(await store.publish(patch), 'unchanged');
      assert.equal(await store.publish({ ...patch, set: {} }), 'unchanged');
      assert.deepEqual(await place.read('gw-a'), written);
      assert.equal(store.health().writes, 1);
    });

    test('to what is not there is a conflict', async (t) => {
      const { place, store, seen } = await setUp(t, gatewayFile('gw-a', 1));
      const set = { publicPort: 4500 };
      const conflict = { code: 'CORAX_CONFLICT' };
      await assert.rejects(store.publish({ gateway: 'gw-x', nodeName: 'gw-a-node', set }), conflict);
      await assert.rejects(store.publish({ gateway: 'gw-a', nodeName: 'other', set }), conflict);
      await place.remove('gw-a');
      await until('it is gone', () => !seen.gateways.has('gw-a'));
      await assert.rejects(store.publish({ gateway: 'gw-a', nodeName: 'gw-a-node', set }), conflict);
    });

    test('into a refused gateway goes too: it may be what repairs it', async (t) => {
      const { place, store, seen } = await setUp(t, gatewayFile('gw-a', 1));
      await place.put(badPort('gw-a', 1));
      await until('it is refused', () => store.health().refused.length > 0);
      await store.publish({ gateway: 'gw-a', nodeName: 'gw-a-node', set: { publicPort: 4501 } });
      await until('it is good', () => store.health().refused.length === 0);
      assert.deepEqual((await place.read('gw-a')).spec.endpoints[1]?.publicPort, 4501);
      assert.deepEqual(seen.names, ['gw-a']);
    });

    test('by several stores at once loses nothing', async (t) => {
      const shared = gatewayFile('gw-a', 1);
      const nodes = ['n0', 'n1', 'n2'];
      shared.spec.endpoints = nodes.map((nodeName) => ({ nodeName, type: 'tunnel' }));
      const { place, store, begin } = await setUp(t, shared);
      const stores = [store, (await begin()).store, (await begin()).store];
      const work = stores.flatMap((each, index) =>
        Array.from({ length: 10 }, (_, key) =>
          each.publish({ gateway: 'gw-a', nodeName: `n${index}`, set: { config: { [`k${key}`]: `v${key}` } } }),
        ),
      );
      assert.deepEqual(new Set(await Promise.all(work)), new Set(['written']));
      for (const endpoint of (await place.read('gw-a')).spec.endpoints) {
        assert.deepEqual(
          endpoint.config,
          Object.fromEntries(Array.from({ length: 10 }, (_, key) => [`k${key}`, `v${key}`])),
        );
      }
    });
  });
}
