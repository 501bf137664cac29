/** Wrong arguments throw a TypeError at once: nothing is queued, nothing is sent. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { type Engine, loadAddon, openEngine, type PeerColumns } from '#src/native.js';

const engine = openEngine(() => {});
/** The engine as somebody sees it who does not heed its types. */
const loose = engine as unknown as Record<keyof Engine, (...args: unknown[]) => unknown>;

const peers = (changes: object = {}): PeerColumns => ({
  count: 1,
  publicKeys: new Uint8Array(32),
  flags: new Uint8Array(1),
  presharedKeys: new Uint8Array(32),
  endpointAddresses: new Uint8Array(16),
  endpointPorts: new Uint16Array(1),
  keepalives: new Uint16Array(1),
  allowedIpOffsets: new Uint32Array(2),
  allowedIps: new Uint8Array(0),
  ...changes,
});
const allowedIp = (family: number, length: number, mapped: boolean): object => ({
  allowedIpOffsets: Uint32Array.of(0, 1),
  allowedIps: Uint8Array.from([
    family,
    length,
    ...new Array(10).fill(0),
    ...(mapped ? [255, 255] : [0, 0]),
    1,
    2,
    3,
    4,
  ]),
});
const target = (changes: object = {}): object => ({
  id: 1,
  source: '10.0.0.1',
  destination: '10.0.0.2',
  tos: 0x10,
  intervalMs: 1000,
  fastIntervalMs: 200,
  size: 100,
  state: 0,
  ...changes,
});
const fan = (changes: object = {}): object => ({
  id: 1,
  address: '192.0.2.1',
  port: 4500,
  sockets: 256,
  ttl: 2,
  fwmark: 0,
  token: new Uint8Array(8),
  lifeMs: 5_000,
  ...changes,
});
const spray = (changes: object = {}): object => ({
  id: 1,
  sourcePort: 4500,
  address: '192.0.2.1',
  first: 1_024,
  last: 65_535,
  count: 1_024,
  token: new Uint8Array(8),
  ...changes,
});
const packet = (changes: object = {}): object => ({
  sourcePort: 4500,
  address: '192.0.2.1',
  port: 3478,
  ttl: 3,
  payload: new Uint8Array(20),
  ...changes,
});
const network = (op: object): [keyof Engine, ...unknown[]] => ['network', [op]];
const route = { op: 'route-replace', table: 9028, destination: '10.0.0.0/8', device: 'v0' };
const rule = { op: 'rule-add', family: 4, priority: 99, table: 9028 };
const address = { op: 'address-add', device: 'v0', address: '10.0.0.1', prefixLength: 24 };
const link = { op: 'link-set', name: 'v0' };
const state = { destination: '192.0.2.1', spi: 1, protocol: 50 };
const policy = { direction: 0, index: 8, ifId: 0 };

/** Each call and a part of what its error must say. */
const refused: Array<[RegExp, keyof Engine, ...unknown[]]> = [
  [/ops must be an array/, 'network'],
  [/ops must be an array/, 'network', { length: 1 }],
  [/ops must be an array of at most 100000/, 'network', new Array(100_001)],
  [/ops\[0\] must be an object/, 'network', [null]],
  [/ops\[1\]\.op must be/, 'network', [link, { op: 'link-eat', name: 'v0' }]],
  [/ops\[0\]\.op must be a string/, ...network({})],
  [/name must be a device name/, ...network({ ...link, name: 'sixteen-byte-nam' })],
  [/name must be a device name/, ...network({ ...link, name: '' })],
  [/name must be a device name/, ...network({ ...link, name: '..' })],
  [/name must be a device name/, ...network({ ...link, name: 'a b' })],
  [/name must be a device name/, ...network({ ...link, name: 'a/b' })],
  [/name must be a device name/, ...network({ ...link, name: 'a\0b' })],
  [/name must be a device name/, ...network({ ...link, name: 'éééééééé' })],
  [/name must be a device name/, ...network({ ...link, name: 7 })],
  [
    /kind must be 'wireguard', 'dummy', 'xfrm' or 'vxlan'/,
    ...network({ op: 'link-create', name: 'v0', kind: 'bridge' }),
  ],
  [/ifId must be a whole number from 1/, ...network({ op: 'link-create', name: 'v0', kind: 'xfrm' })],
  [/ifId must be a whole number from 1/, ...network({ op: 'link-create', name: 'v0', kind: 'xfrm', ifId: 0 })],
  [/link must be a device name/, ...network({ op: 'link-create', name: 'v0', kind: 'xfrm', ifId: 1, link: '' })],
  [/ifId must be absent/, ...network({ op: 'link-create', name: 'v0', kind: 'wireguard', ifId: 1 })],
  [/link must be absent/, ...network({ op: 'link-create', name: 'v0', kind: 'dummy', link: 'lo' })],
  [/mtu must be a whole number/, ...network({ ...link, mtu: 67 })],
  [/mtu must be a whole number/, ...network({ ...link, mtu: 65_536 })],
  [/mtu must be a whole number/, ...network({ ...link, mtu: 1400.5 })],
  [/mtu must be a whole number/, ...network({ ...link, mtu: '1400' })],
  [/mtu must be a whole number/, ...network({ ...link, mtu: Number.NaN })],
  [/mtu must be a whole number/, ...network({ ...link, mtu: null })],
  [/up must be a boolean/, ...network({ ...link, up: 1 })],
  [/rpFilter must be a whole number from 0 to 2/, ...network({ ...link, rpFilter: 3 })],
  [/address must be an IPv4 or IPv6 address/, ...network({ ...address, address: '10.0.0.256' })],
  [/address must be an IPv4 or IPv6 address/, ...network({ ...address, address: '10.0.0.1\0' })],
  [/address must be an IPv4 or IPv6 address/, ...network({ ...address, address: 'fe80::1%eth0' })],
  [/prefixLength must be .* to 32/, ...network({ ...address, prefixLength: 33 })],
  [/prefixLength must be .* to 128/, ...network({ ...address, address: '::1', prefixLength: 129 })],
  [/destination must be a CIDR/, ...network({ ...route, destination: '10.0.0.1/8' })],
  [/destination must be a CIDR/, ...network({ ...route, destination: '10.0.0.0' })],
  [/destination must be a CIDR/, ...network({ ...route, destination: '10.0.0.0/33' })],
  [/destination must be a CIDR/, ...network({ ...route, destination: '10.0.0.0/-1' })],
  [/destination must be a CIDR/, ...network({ ...route, destination: '2001:db8::1/32' })],
  [/table must be a whole number/, ...network({ ...route, table: 0 })],
  [/table must be a whole number/, ...network({ ...route, table: 2 ** 32 })],
  [/metric must be a whole number/, ...network({ ...route, metric: -1 })],
  [/type must be 'unicast' or 'unreachable'/, ...network({ ...route, type: 'local' })],
  [/device must be given/, ...network({ ...route, device: undefined })],
  [/device must be absent/, ...network({ ...route, type: 'unreachable' })],
  [/source must be of the destination's family/, ...network({ ...route, source: '::1' })],
  [/family must be/, ...network({ ...rule, family: 5 })],
  [/priority must be/, ...network({ ...rule, priority: 0 })],
  [/tos must be/, ...network({ ...rule, tos: 256 })],
  [/source must be of the rule's family/, ...network({ ...rule, source: '::1' })],
  [/source must be a CIDR/, ...network({ ...rule, source: '10.0.0.1/24' })],
  [/ipProtocol must be/, ...network({ ...rule, ipProtocol: 256 })],
  [/table must be/, 'routes'],
  [/address must be/, 'routeTo', 'localhost'],
  [/fwmark must be/, 'routeTo', '10.0.0.1', -5],
  [/device must be/, 'wgSnapshot', 'much-too-long-a-name'],
  [/device must be/, 'wgDelta', undefined],
  [/device must be/, 'wgDestroy', ''],
  [/settings must be an object/, 'wgConfigure', 'wg0'],
  [/privateKey must be a Uint8Array of 32/, 'wgConfigure', 'wg0', { privateKey: new Uint8Array(31) }],
  [/privateKey must be a Uint8Array of 32/, 'wgConfigure', 'wg0', { privateKey: new Uint16Array(32) }],
  [/listenPort must be/, 'wgConfigure', 'wg0', { listenPort: 65_536 }],
  [/fwmark must be/, 'wgConfigure', 'wg0', { fwmark: 2 ** 32 }],
  [/peers must be an object/, 'wgApply', 'wg0'],
  [/count must be/, 'wgApply', 'wg0', peers({ count: -1 })],
  [/count must be/, 'wgApply', 'wg0', peers({ count: 2 ** 21 })],
  [/publicKeys must be a Uint8Array of 32/, 'wgApply', 'wg0', peers({ publicKeys: new Uint8Array(64) })],
  [/flags must be a Uint8Array of 1/, 'wgApply', 'wg0', peers({ flags: [0] })],
  [/flags\[0\] must be bits/, 'wgApply', 'wg0', peers({ flags: Uint8Array.of(64) })],
  [/endpointPorts must be a Uint16Array/, 'wgApply', 'wg0', peers({ endpointPorts: new Int16Array(1) })],
  [/endpointPorts\[0\] must be a port/, 'wgApply', 'wg0', peers({ flags: Uint8Array.of(8) })],
  [/allowedIpOffsets must be a Uint32Array of 2/, 'wgApply', 'wg0', peers({ allowedIpOffsets: new Uint32Array(1) })],
  [/allowedIpOffsets must be/, 'wgApply', 'wg0', peers({ allowedIpOffsets: Uint32Array.of(0, 1) })],
  [
    /allowedIpOffsets must be/,
    'wgApply',
    'wg0',
    peers({ ...allowedIp(4, 32, true), allowedIpOffsets: Uint32Array.of(1, 1) }),
  ],
  [
    /allowedIpOffsets must be/,
    'wgApply',
    'wg0',
    peers({ ...allowedIp(4, 32, true), allowedIpOffsets: Uint32Array.of(9, 1) }),
  ],
  [/allowedIpOffsets must be/, 'wgApply', 'wg0', peers({ allowedIps: new Uint8Array(17) })],
  [/entry 0, must be family 4/, 'wgApply', 'wg0', peers(allowedIp(4, 33, true))],
  [/entry 0, must be family 4/, 'wgApply', 'wg0', peers(allowedIp(4, 8, false))],
  [/entry 0, must be family 4/, 'wgApply', 'wg0', peers(allowedIp(6, 129, false))],
  [/entry 0, must be family 4/, 'wgApply', 'wg0', peers(allowedIp(5, 8, true))],
  [/what must be an object/, 'xfrmDelete'],
  [/what\.states must be an array/, 'xfrmDelete', { states: {} }],
  [/what\.states\[0\] must be an object/, 'xfrmDelete', { states: [7] }],
  [/states\[0\]\.destination must be an IPv4/, 'xfrmDelete', { states: [{ ...state, destination: 'all' }] }],
  [/states\[1\]\.spi must be a whole number from 1/, 'xfrmDelete', { states: [state, { ...state, spi: 0 }] }],
  [/states\[0\]\.protocol must be a whole/, 'xfrmDelete', { states: [{ ...state, protocol: undefined }] }],
  [/states\[0\]\.markMask must be a whole/, 'xfrmDelete', { states: [{ ...state, markMask: -1 }] }],
  [/policies\[0\]\.direction must be .* to 2/, 'xfrmDelete', { policies: [{ ...policy, direction: 3 }] }],
  [/policies\[0\]\.index must be a whole number from 1/, 'xfrmDelete', { policies: [{ ...policy, index: 0 }] }],
  [/policies\[0\]\.ifId must be a whole/, 'xfrmDelete', { states: [state], policies: [{ direction: 0, index: 1 }] }],
  [/json must be a string/, 'nft', {}],
  [/json must be a string of at most/, 'nft', 'x'.repeat((4 << 20) + 1)],
  [/options must be an object/, 'rawOpen'],
  [/ports must be at least one/, 'rawOpen', { ports: [], fwmark: 0 }],
  [/ports\[1\] must be/, 'rawOpen', { ports: [1, 0], fwmark: 0 }],
  [/ports must be an array of at most 64/, 'rawOpen', { ports: new Array(65).fill(1), fwmark: 0 }],
  [/fwmark must be/, 'rawOpen', { ports: [1] }],
  [/options must be an object/, 'handshakeTap'],
  [/options\.device must be/, 'handshakeTap', { ports: [4500] }],
  [/ports must be at least one/, 'handshakeTap', { device: 'eth0', ports: [] }],
  [/ports\[0\] must be/, 'handshakeTap', { device: 'eth0', ports: ['4500'] }],
  [/options must be an object/, 'rendezvousOpen'],
  [/options\.device must be/, 'rendezvousOpen', { address: '10.0.0.1', port: 4502 }],
  [/options\.address must be an IPv4/, 'rendezvousOpen', { device: 'eth0', address: '::1', port: 4502 }],
  [/options\.port must be/, 'rendezvousOpen', { device: 'eth0', address: '10.0.0.1', port: 0 }],
  [/messages must be an array of at most 256/, 'rendezvousSend', new Array(257).fill({})],
  [/messages\[0\]\.payload must be/, 'rendezvousSend', [{ address: '10.0.0.1', payload: new Uint8Array(65) }]],
  [/messages\[0\]\.payload must be/, 'rendezvousSend', [{ address: '10.0.0.1', payload: new Uint8Array(0) }]],
  [/options\.sockets must be a whole number from 1 to 512/, 'fanOpen', fan({ sockets: 513 })],
  [/options\.ttl must be/, 'fanOpen', fan({ ttl: 0 })],
  [/options\.lifeMs must be/, 'fanOpen', fan({ lifeMs: 60_001 })],
  [/options\.token must be a Uint8Array of 8/, 'fanOpen', fan({ token: new Uint8Array(7) })],
  [/options\.last must be no less/, 'sprayStart', spray({ first: 9, last: 8 })],
  [/options\.first must be/, 'sprayStart', spray({ first: 0 })],
  [/options\.count must be a whole number from 1 to 2048/, 'sprayStart', spray({ count: 2_049 })],
  [/id must be/, 'openingEnd', -1],
  [/packets\[0\]\.ttl must be/, 'rawSend', [packet({ ttl: 0 })]],
  [/packets\[0\]\.address must be an IPv4/, 'rawSend', [packet({ address: '::1' })]],
  [/packets\[0\]\.sourcePort must be/, 'rawSend', [packet({ sourcePort: 0 })]],
  [/packets\[0\]\.payload must be/, 'rawSend', [packet({ payload: new Uint8Array(1473) })]],
  [/targets\[0\]\.id must be/, 'probeSet', [target({ id: 2 ** 32 })]],
  [/targets\[1\]\.destination must be an IPv4/, 'probeSet', [target(), target({ destination: '::1' })]],
  [/targets\[0\]: /, 'probeSet', [target({ size: 10 })]],
  [/targets\[0\]: /, 'probeSet', [target({ intervalMs: 1 })]],
  [/targets\[0\]\.state must be/, 'probeSet', [target({ state: 256 })]],
  [/ids\[0\] must be/, 'probeRemove', ['1']],
];

describe('arguments', () => {
  after(() => engine.close());

  for (const [words, method, ...args] of refused) {
    const shown =
      JSON.stringify(args, (_, value) => (ArrayBuffer.isView(value) ? value.constructor.name : value)) ?? '';
    test(`${method}(${shown.slice(1, 90)}): ${words.source}`, () => {
      assert.throws(() => loose[method](...args), { name: 'TypeError', message: words });
    });
  }

  test('nothing of all that reached the kernel', () => {
    const { wireguardMessages, wireguardPeers, routeMessages, probesSent, queueLength } = engine.stats();
    assert.deepEqual([wireguardMessages, wireguardPeers, routeMessages, probesSent, queueLength], [0, 0, 0, 0, 0]);
  });

  test('the constructor wants a function, methods want an engine', () => {
    const { Engine } = loadAddon();
    assert.throws(() => new (Engine as unknown as new (x: unknown) => Engine)(null), { name: 'TypeError' });
    assert.throws(() => engine.links.call({} as Engine), TypeError);
    assert.throws(() => engine.links.call(null as unknown as Engine), TypeError);
  });

  test('a getter that throws is its own error, one that closes the engine leaves it closed', async () => {
    assert.throws(
      () =>
        loose.network([
          {
            get op() {
              throw new RangeError('mine');
            },
          },
        ]),
      { name: 'RangeError', message: 'mine' },
    );
    const other = openEngine(() => {});
    const closing = other.network([
      {
        op: 'link-set',
        get name() {
          other.close();
          return 'lo';
        },
      },
    ]);
    await assert.rejects(closing, { code: 'CORAX_CLOSED' });
  });

  test('a column that a getter changes or detaches afterwards is the copy that was checked', async () => {
    const flags = Uint8Array.of(0);
    const keys = new Uint8Array(32);
    const columns = Object.defineProperty(peers({ publicKeys: keys, flags }), 'allowedIps', {
      get() {
        flags[0] = 255;
        structuredClone(keys, { transfer: [keys.buffer] });
        return new Uint8Array(0);
      },
    });
    await assert.rejects(engine.wgApply('nosuch0', columns), { code: 'CORAX_NETLINK' });
    assert.throws(() => engine.wgApply('nosuch0', peers({ publicKeys: keys })), { name: 'TypeError' });
  });
});
