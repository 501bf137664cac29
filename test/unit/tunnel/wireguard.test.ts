import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { HostPort, Prefix } from '#src/model/address.js';
import type { CarryItem, DeviceItem, PeerItem } from '#src/model/item.js';
import { type PublicKey, publicKeyToBytes } from '#src/model/key.js';
import { type Plane, TUNNEL_FWMARK } from '#src/model/names.js';
import { ChangeFlag, type Engine, type NetworkOp, type PeerColumns, PeerFlag } from '#src/native.js';
import { endpointAt, keyAt, packPeers, prefixesAt } from '#src/tunnel/columns.js';
import type { TunnelStep } from '#src/tunnel/driver.js';
import { publicKeyOf } from '#src/tunnel/keys.js';
import { WireguardDriver } from '#src/tunnel/wireguard.js';
import { at, ip, keyOf, prefix } from '../decide/fixtures.js';

const PSK = new Uint8Array(32).fill(9);

interface Decoded {
  readonly key: string;
  readonly flags: readonly string[];
  readonly endpoint: HostPort | null;
  readonly prefixes: readonly string[];
}

function decode(columns: PeerColumns): Decoded[] {
  return Array.from({ length: columns.count }, (_, index) => {
    const bits = columns.flags[index] as number;
    const flags = Object.entries(PeerFlag).flatMap(([name, bit]) => (bits & bit ? [name] : []));
    if (flags.includes('PresharedKey'))
      assert.deepEqual(columns.presharedKeys.subarray(index * 32, index * 32 + 32), PSK);
    if (flags.includes('Keepalive')) assert.equal(columns.keepalives[index], 5);
    return {
      key: keyAt(columns, index),
      flags,
      endpoint: endpointAt(columns, index),
      prefixes: prefixesAt(columns, index),
    };
  });
}

/** What a kernel makes of the columns: peers and who carries what. */
class Kernel {
  readonly peers = new Map<string, { endpoint: HostPort | null; psk: boolean }>();
  readonly carried = new Map<string, string>();

  apply(changes: readonly Decoded[]): void {
    for (const { key, flags, endpoint, prefixes } of changes) {
      if (flags.includes('Remove')) {
        this.peers.delete(key);
        for (const [each, holder] of this.carried) if (holder === key) this.carried.delete(each);
        continue;
      }
      if (flags.includes('UpdateOnly') && !this.peers.has(key)) continue;
      const before = this.peers.get(key) ?? { endpoint: null, psk: false };
      this.peers.set(key, { endpoint: endpoint ?? before.endpoint, psk: before.psk || flags.includes('PresharedKey') });
      for (const each of prefixes) this.carried.set(each, key);
    }
  }
}

function rig() {
  const applied: { device: string; changes: Decoded[] }[] = [];
  const calls: unknown[] = [];
  const kernels: Record<string, Kernel> = { 'raven-wg0': new Kernel(), 'raven-wg1': new Kernel() };
  const state = { failing: false, received: new Map<PublicKey, number>() };
  const engine = {
    network: async (ops: readonly NetworkOp[]) => {
      calls.push(...ops);
      return ops.map(() => null);
    },
    wgConfigure: async (device: string, settings: object) => calls.push({ device, ...settings }),
    wgDestroy: async (device: string) => calls.push({ destroy: device }),
    wgSnapshot: async () => ({
      count: state.received.size,
      publicKeys: Buffer.concat([...state.received.keys()].map((key) => Buffer.from(key, 'base64'))),
      rxBytes: Float64Array.from(state.received.values()),
    }),
    wgApply: async (device: string, columns: PeerColumns) => {
      if (state.failing) throw new Error('ENODEV');
      const changes = decode(columns);
      applied.push({ device, changes });
      kernels[device]?.apply(changes);
      return { messages: 1 };
    },
  };
  const driver = new WireguardDriver(engine as unknown as Engine, new Uint8Array(32).fill(1), PSK);
  return { driver, applied, calls, kernels, state };
}

const peer = (number: number, plane: Plane = 'relay', endpoint: HostPort | null = at('203.0.113.1')): PeerItem => ({
  kind: 'peer',
  plane,
  gateway: `gw-${number}`,
  key: keyOf(number),
  endpoint,
});
const carry = (number: number, text: string, plane: Plane = 'relay'): CarryItem => ({
  kind: 'carry',
  plane,
  prefix: prefix(text),
  peer: keyOf(number),
});
const put = <I extends PeerItem | CarryItem>(item: I, present: I | null = null) =>
  ({ op: 'put', item, present }) as TunnelStep;

describe('WireGuard: steps to what the kernel is told', () => {
  it('adds a peer with its key, endpoint, keepalive and all that it carries in one', async () => {
    const { driver, applied } = rig();
    await driver.apply([put(peer(1)), put(carry(1, '10.0.1.0/24')), put(carry(1, 'fd00::/64'))]);
    assert.deepEqual(applied, [
      {
        device: 'raven-wg0',
        changes: [
          {
            key: keyOf(1),
            flags: ['Endpoint', 'PresharedKey', 'Keepalive'],
            endpoint: at('203.0.113.1'),
            prefixes: ['10.0.1.0/24', 'fd00::/64'],
          },
        ],
      },
    ]);
  });

  it('gives a standing peer everything but an endpoint: it may have roamed', async () => {
    const { driver, applied } = rig();
    await driver.apply([put(peer(1), peer(1, 'relay', at('198.51.100.7', 999)))]);
    assert.deepEqual(applied[0]?.changes, [
      { key: keyOf(1), flags: ['UpdateOnly', 'PresharedKey', 'Keepalive'], endpoint: null, prefixes: [] },
    ]);
  });

  it('removes a peer, and with it what it carried: no word on that', async () => {
    const { driver, applied } = rig();
    await driver.apply([
      { op: 'delete', item: carry(1, '10.0.1.0/24') },
      { op: 'delete', item: peer(1) },
    ]);
    assert.deepEqual(applied[0]?.changes, [{ key: keyOf(1), flags: ['Remove'], endpoint: null, prefixes: [] }]);
  });

  it('moves a prefix to another peer without creating one', async () => {
    const { driver, applied } = rig();
    await driver.apply([put(carry(2, '10.0.1.0/24'), carry(1, '10.0.1.0/24'))]);
    assert.deepEqual(applied[0]?.changes, [
      { key: keyOf(2), flags: ['UpdateOnly'], endpoint: null, prefixes: ['10.0.1.0/24'] },
    ]);
  });

  it('takes a prefix away by a peer that lives for one message', async () => {
    const { driver, applied, kernels } = rig();
    await driver.apply([put(peer(1)), put(carry(1, '10.0.1.0/24')), put(carry(1, '10.0.2.0/24'))]);
    await driver.apply([{ op: 'delete', item: carry(1, '10.0.2.0/24') }]);
    const [scratch, removal] = applied[1]?.changes ?? [];
    assert.deepEqual([scratch?.flags, scratch?.prefixes, removal?.flags], [[], ['10.0.2.0/24'], ['Remove']]);
    assert.equal(scratch?.key, removal?.key);
    assert.notEqual(scratch?.key, keyOf(1));
    assert.deepEqual([...(kernels['raven-wg0'] as Kernel).carried], [['10.0.1.0/24', keyOf(1)]]);
    assert.deepEqual([...(kernels['raven-wg0'] as Kernel).peers.keys()], [keyOf(1)]);
  });

  it('re-adds an idle peer with all that it had, on its own plane', async () => {
    const { driver, applied } = rig();
    await driver.apply([{ op: 're-add', peer: peer(1, 'direct'), carries: [prefix('10.0.1.0/24')], seenRxBytes: 0 }]);
    assert.equal(applied[0]?.device, 'raven-wg1');
    assert.deepEqual(
      applied[0]?.changes.map(({ flags, prefixes }) => [flags, prefixes]),
      [
        [['Remove'], []],
        [['Endpoint', 'PresharedKey', 'Keepalive'], ['10.0.1.0/24']],
      ],
    );
  });

  it('leaves a peer alone that has received more than was known when it was decided', async () => {
    const { driver, applied, state } = rig();
    const deed = (seenRxBytes: number) =>
      ({ op: 're-add', peer: peer(1, 'direct'), carries: [], seenRxBytes }) as const;
    state.received.set(keyOf(1), 148);
    await driver.apply([deed(0)]);
    assert.deepEqual(
      applied.flatMap(({ changes }) => changes),
      [],
    );
    await driver.apply([deed(148)]);
    assert.equal(applied.flatMap(({ changes }) => changes).length, 2);
  });

  it('aims a standing peer, and makes none', async () => {
    const { driver, applied } = rig();
    await driver.apply([{ op: 'aim', peer: peer(1), carries: [], seenRxBytes: 0 }]);
    assert.deepEqual(applied[0]?.changes, [
      { key: keyOf(1), flags: ['UpdateOnly', 'Endpoint'], endpoint: at('203.0.113.1'), prefixes: [] },
    ]);
  });

  it('sets up a device before its peers, and keeps planes apart', async () => {
    const { driver, applied, calls } = rig();
    const device = { kind: 'device', plane: 'relay', name: 'raven-wg0', listenPort: 4500, mtu: 1420 } as const;
    const results = await driver.apply([
      { op: 'put', item: device, present: null },
      put(peer(1)),
      put(peer(2, 'direct')),
      put(peer(3)),
    ]);
    assert.deepEqual(results, [null, null, null, null]);
    assert.deepEqual(
      calls.map((call) => (call as { op?: string }).op ?? 'configure'),
      ['link-create', 'configure', 'link-set'],
    );
    assert.deepEqual(
      applied.map(({ device: name, changes }) => [name, changes.length]),
      [
        ['raven-wg0', 2],
        ['raven-wg1', 1],
      ],
    );
  });

  it('fails the steps of one message, and says so for each', async () => {
    const { driver, state } = rig();
    state.failing = true;
    const results = await driver.apply([put(peer(1)), put(carry(1, '10.0.1.0/24'))]);
    assert.deepEqual(
      results.map((error) => error?.message),
      ['ENODEV', 'ENODEV'],
    );
  });

  it('gives the kernel batches that it answers between', async () => {
    const { driver, applied } = rig();
    await driver.apply(Array.from({ length: 1000 }, (_, number) => put(peer(number))));
    assert.deepEqual(
      applied.map(({ changes }) => changes.length),
      [256, 256, 256, 232],
    );
  });

  it('comes out with who carries what, whatever the steps', async () => {
    const prefixes = ['10.0.1.0/24', '10.0.2.0/24', '10.0.3.0/24', 'fd00:4::/64'];
    const wishes = fc.array(fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 4, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(wishes, async (rounds) => {
        const { driver, kernels } = rig();
        let [peers, carried] = [new Set<number>(), new Map<string, number>()];
        for (const round of rounds) {
          const wanted = new Map(
            prefixes.flatMap((text, index) => (round[index] ? [[text, round[index] as number] as const] : [])),
          );
          const wantedPeers = new Set(wanted.values());
          await driver.apply([
            ...[...wantedPeers].filter((number) => !peers.has(number)).map((number) => put(peer(number))),
            ...[...wanted]
              .filter(([text, number]) => carried.get(text) !== number)
              .map(([text, number]) => put(carry(number, text))),
            ...[...carried]
              .filter(([text]) => !wanted.has(text))
              .map(([text, number]) => ({ op: 'delete', item: carry(number, text) }) as const),
            ...[...peers]
              .filter((number) => !wantedPeers.has(number))
              .map((number) => ({ op: 'delete', item: peer(number) }) as const),
          ]);
          [peers, carried] = [wantedPeers, wanted];
          const kernel = kernels['raven-wg0'] as Kernel;
          assert.deepEqual(
            new Map(kernel.carried),
            new Map([...wanted].map(([text, number]) => [text, keyOf(number)])),
          );
          assert.deepEqual(new Set(kernel.peers.keys()), new Set([...wantedPeers].map(keyOf)));
          for (const { psk } of kernel.peers.values()) assert.ok(psk, 'no peer without the pre-shared key');
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('columns', () => {
  it('come back as they were packed', () => {
    const addresses = fc.constantFrom('198.51.100.1', '2001:db8::7', '10.1.2.3', 'fe80::1');
    const nets = fc.constantFrom<Prefix>(
      prefix('10.0.0.0/8'),
      prefix('10.1.2.0/25'),
      prefix('10.9.9.9/32'),
      prefix('fd00::/16'),
      prefix('2001:db8::1/128'),
    );
    const changes = fc.array(
      fc.record({
        number: fc.nat(),
        address: fc.option(addresses),
        port: fc.integer({ min: 1, max: 65_535 }),
        nets: fc.array(nets, { maxLength: 5 }),
      }),
    );
    fc.assert(
      fc.property(changes, (all) => {
        const columns = packPeers(
          all.map(({ number, address, port, nets: allowedIps }) => ({
            key: keyOf(number),
            endpoint: address === null ? null : { ip: ip(address), port },
            allowedIps,
          })),
        );
        all.forEach(({ number, address, port, nets: allowedIps }, index) => {
          assert.equal(keyAt(columns, index), keyOf(number));
          assert.deepEqual(endpointAt(columns, index), address === null ? null : { ip: address, port });
          assert.deepEqual(prefixesAt(columns, index), allowedIps);
        });
      }),
    );
  });
});

describe('WireGuard: what the kernel says', () => {
  const columns = packPeers([
    { key: keyOf(1), endpoint: at('198.51.100.1', 61_000), allowedIps: [prefix('10.0.1.0/24')] },
    { key: keyOf(2), allowedIps: [] },
  ]);
  const more = {
    lastHandshakes: Float64Array.of(1.5, 0),
    rxBytes: Float64Array.of(7, 0),
    txBytes: Float64Array.of(8, 0),
    listenPort: 4500,
  };

  it('is observed as items of nobody yet, the device to be set up again', async () => {
    const engine = { links: async () => [{ name: 'raven-wg0' }], wgSnapshot: async () => ({ ...columns, ...more }) };
    const items = await new WireguardDriver(engine as unknown as Engine, PSK, PSK).observe();
    assert.deepEqual(items, [
      { kind: 'device', plane: 'relay', name: 'raven-wg0', listenPort: 4500, mtu: 0 },
      { kind: 'peer', plane: 'relay', gateway: '', key: keyOf(1), endpoint: at('198.51.100.1', 61_000) },
      { kind: 'carry', plane: 'relay', prefix: '10.0.1.0/24', peer: keyOf(1) },
      { kind: 'peer', plane: 'relay', gateway: '', key: keyOf(2), endpoint: null },
    ]);
  });

  const DEVICE: DeviceItem = { kind: 'device', plane: 'relay', name: 'raven-wg0', listenPort: 4500, mtu: 1420 };
  const header = {
    listenPort: 4500,
    fwmark: TUNNEL_FWMARK,
    publicKey: publicKeyToBytes(publicKeyOf(PSK)) as Uint8Array | null,
  };
  const polled = (changes: Uint8Array, other: Partial<typeof header> = {}) => {
    const engine = { wgDelta: async () => ({ ...columns, ...more, ...header, ...other, changes }) };
    return new WireguardDriver(engine as unknown as Engine, PSK, PSK).poll(DEVICE);
  };

  it('is polled as updates: what moved, what only counted, what is gone', async () => {
    const { peers } = await polled(Uint8Array.of(ChangeFlag.Endpoint | ChangeFlag.Counters, ChangeFlag.Removed));
    assert.deepEqual(
      [...peers].map(({ key, gone, moved, endpoint, lastHandshake, rxBytes }) => [
        key,
        gone,
        moved,
        endpoint,
        lastHandshake,
        rxBytes,
      ]),
      [
        [keyOf(1), false, true, at('198.51.100.1', 61_000), 1.5, 7],
        [keyOf(2), true, false, null, 0, 0],
      ],
    );
  });

  it('tells what a peer carries where that may have changed', async () => {
    const { peers } = await polled(Uint8Array.of(ChangeFlag.AllowedIps, ChangeFlag.Added));
    assert.deepEqual(
      [...peers].map(({ carries, moved }) => [carries, moved]),
      [
        [['10.0.1.0/24'], false],
        [[], true],
      ],
    );
    const others = await polled(Uint8Array.of(ChangeFlag.Counters, ChangeFlag.Handshake));
    assert.deepEqual(
      [...others.peers].map(({ carries }) => carries),
      [null, null],
    );
  });

  it('tells a device that somebody else has configured', async () => {
    const altered = async (other: Partial<typeof header>) => (await polled(Uint8Array.of(0, 0), other)).altered;
    assert.equal(await altered({}), false);
    assert.equal(await altered({ listenPort: 51_820 }), true);
    assert.equal(await altered({ fwmark: 0 }), true);
    assert.equal(await altered({ publicKey: null }), true);
    assert.equal(await altered({ publicKey: publicKeyToBytes(keyOf(1)) }), true);
  });

  it('knows a device that is down, or has another MTU; one that is gone is for the poll to tell', async () => {
    const links = [{ name: 'raven-wg0', up: true, mtu: 1420 }];
    const driver = new WireguardDriver({ links: async () => links } as unknown as Engine, PSK, PSK);
    const cases: [object, boolean][] = [
      [{}, true],
      [{ up: false }, false],
      [{ mtu: 1280 }, false],
      [{ name: 'other', up: false }, true],
    ];
    for (const [other, up] of cases) {
      links[0] = { name: 'raven-wg0', up: true, mtu: 1420, ...other };
      assert.equal(await driver.isUp(DEVICE), up, JSON.stringify(other));
    }
  });
});
