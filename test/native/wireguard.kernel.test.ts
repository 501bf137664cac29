/**
 * The addon against a real kernel with WireGuard, in the network namespace it is started in (root; the lab's
 * micro-VM, or a namespace of a machine that has the module). Imports nothing but the addon and Node, so that
 * it runs compiled as well.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { ChangeFlag, openEngine, type PeerColumns, PeerFlag, type WgSnapshot } from '#src/native.js';

interface Peer {
  readonly key: Uint8Array;
  readonly flags?: number;
  /** 16 bytes and a port. */
  readonly endpoint?: readonly [Uint8Array, number];
  readonly presharedKey?: Uint8Array;
  readonly keepalive?: number;
  /** 18 bytes each. */
  readonly allowedIps?: readonly Uint8Array[];
}

const mapped = (a: number, b: number, c: number, d: number): Uint8Array =>
  Uint8Array.from([...new Array(10).fill(0), 255, 255, a, b, c, d]);
const v6 = (low: number): Uint8Array =>
  Uint8Array.from([0x20, 1, 0x0d, 0xb8, ...new Array(10).fill(0), low >> 8, low & 255]);
const prefix4 = (a: number, b: number, c: number, d: number, length: number): Uint8Array =>
  Uint8Array.from([4, length, ...mapped(a, b, c, d)]);
const prefix6 = (low: number, length: number): Uint8Array => Uint8Array.from([6, length, ...v6(low)]);

function columns(peers: readonly Peer[]): PeerColumns {
  const offsets = new Uint32Array(peers.length + 1);
  peers.forEach((peer, index) => {
    offsets[index + 1] = (offsets[index] as number) + (peer.allowedIps?.length ?? 0);
  });
  const all = (size: number, of: (peer: Peer) => Uint8Array | undefined): Uint8Array => {
    const bytes = new Uint8Array(size * peers.length);
    peers.forEach((peer, index) => {
      bytes.set(of(peer) ?? [], index * size);
    });
    return bytes;
  };
  const flags = (peer: Peer): number =>
    (peer.flags ?? 0) |
    (peer.endpoint ? PeerFlag.Endpoint : 0) |
    (peer.presharedKey ? PeerFlag.PresharedKey : 0) |
    (peer.keepalive === undefined ? 0 : PeerFlag.Keepalive);
  return {
    count: peers.length,
    publicKeys: all(32, (peer) => peer.key),
    flags: all(1, (peer) => Uint8Array.of(flags(peer))),
    presharedKeys: all(32, (peer) => peer.presharedKey),
    endpointAddresses: all(16, (peer) => peer.endpoint?.[0]),
    endpointPorts: Uint16Array.from(peers, (peer) => peer.endpoint?.[1] ?? 0),
    keepalives: Uint16Array.from(peers, (peer) => peer.keepalive ?? 0),
    allowedIpOffsets: offsets,
    allowedIps: Buffer.concat(peers.flatMap((peer) => peer.allowedIps ?? [])),
  };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** A snapshot's peers by key, as plain values that deepEqual can tell apart. */
function byKey(snapshot: WgSnapshot): Map<string, object> {
  const peers = new Map<string, object>();
  for (let index = 0; index < snapshot.count; index += 1) {
    const allowedIps: string[] = [];
    for (let at = snapshot.allowedIpOffsets[index] ?? 0; at < (snapshot.allowedIpOffsets[index + 1] ?? 0); at += 1) {
      allowedIps.push(hex(snapshot.allowedIps.subarray(at * 18, at * 18 + 18)));
    }
    peers.set(hex(snapshot.publicKeys.subarray(index * 32, index * 32 + 32)), {
      endpoint: hex(snapshot.endpointAddresses.subarray(index * 16, index * 16 + 16)),
      port: snapshot.endpointPorts[index],
      keepalive: snapshot.keepalives[index],
      allowedIps: allowedIps.sort(),
    });
  }
  return peers;
}

const expected = (peers: readonly Peer[]): Map<string, object> =>
  new Map(
    peers.map((peer) => [
      hex(peer.key),
      {
        endpoint: hex(peer.endpoint?.[0] ?? new Uint8Array(16)),
        port: peer.endpoint?.[1] ?? 0,
        keepalive: peer.keepalive ?? 0,
        allowedIps: (peer.allowedIps ?? []).map(hex).sort(),
      },
    ]),
  );

const somePeers = (count: number, from = 0): Peer[] =>
  Array.from({ length: count }, (_, offset) => {
    const index = from + offset;
    return {
      key: randomBytes(32),
      presharedKey: randomBytes(32),
      endpoint:
        index % 2 === 0 ? [mapped(198, 18, index >> 8, index & 255), 1000 + (index % 60000)] : [v6(index), 4500],
      keepalive: 5,
      allowedIps: [prefix4(10, index >> 8, index & 255, 0, 24), prefix6(index, 128)],
    };
  });

const engine = openEngine(() => {});
const device = 'wgtest0';

async function timed<T>(what: string, work: Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work;
  console.log(`${what}: ${(performance.now() - start).toFixed(1)} ms`);
  return result;
}

async function fresh(): Promise<void> {
  await engine.wgDestroy(device);
  const results = await engine.network([
    { op: 'link-create', name: device, kind: 'wireguard' },
    { op: 'link-set', name: device, mtu: 1420, up: true },
  ]);
  assert.deepEqual(results, [null, null]);
}

describe('WireGuard over generic netlink', () => {
  before(fresh);
  after(async () => {
    await engine.wgDestroy(device);
    engine.close();
  });

  test('creating the device again is success, and it is of kind wireguard', async () => {
    assert.deepEqual(await engine.network([{ op: 'link-create', name: device, kind: 'wireguard' }]), [null]);
    const link = (await engine.links()).find(({ name }) => name === device);
    assert.deepEqual([link?.kind, link?.mtu, link?.up], ['wireguard', 1420, true]);
  });

  test('creating it where another kind of device has the name is EEXIST', async () => {
    const [error] = await engine.network([{ op: 'link-create', name: 'lo', kind: 'wireguard' }]);
    assert.equal(error?.errnoName, 'EEXIST');
  });

  test('configure: the kernel derives the public key, and keeps port and mark', async () => {
    assert.equal((await engine.wgSnapshot(device)).publicKey, null);
    const pair = generateKeyPairSync('x25519');
    const raw = (der: Buffer): Buffer => der.subarray(-32);
    const privateKey = raw(pair.privateKey.export({ format: 'der', type: 'pkcs8' }));
    const publicKey = raw(pair.publicKey.export({ format: 'der', type: 'spki' }));
    await engine.wgConfigure(device, { privateKey, listenPort: 4510, fwmark: 0x4500 });
    const first = await engine.wgSnapshot(device);
    assert.equal(hex(first.publicKey ?? new Uint8Array()), hex(publicKey));
    assert.deepEqual([first.listenPort, first.fwmark, first.count], [4510, 0x4500, 0]);
    assert.equal(first.ifindex, (await engine.links()).find(({ name }) => name === device)?.index);
    await engine.wgConfigure(device, { fwmark: 0 });
    const second = await engine.wgSnapshot(device);
    assert.deepEqual([second.listenPort, second.fwmark], [4510, 0]);
    assert.deepEqual(second.publicKey, first.publicKey);
  });

  for (const count of [1, 100, 1000]) {
    test(`${count} peers: apply, snapshot, the same again, delta, destroy`, async () => {
      await fresh();
      await engine.wgConfigure(device, { privateKey: randomBytes(32), listenPort: 4511 });
      const peers = somePeers(count);
      const { messages } = await timed(`apply ${count} new peers`, engine.wgApply(device, columns(peers)));
      assert.ok(messages <= Math.ceil(count / 300), `${messages} messages for ${count} peers`);
      const snapshot = await timed(`snapshot of ${count} peers`, engine.wgSnapshot(device));
      assert.equal(snapshot.count, count);
      assert.deepEqual(byKey(snapshot), expected(peers));
      assert.deepEqual([...snapshot.lastHandshakes], new Array(count).fill(0));
      await timed(`apply the same ${count} peers again`, engine.wgApply(device, columns(peers)));

      const first = await timed(`first delta of ${count} peers`, engine.wgDelta(device));
      assert.equal(first.total, count);
      assert.deepEqual([...first.changes], new Array(count).fill(ChangeFlag.Added));
      assert.deepEqual(byKey(first), expected(peers));
      const second = await timed(`delta of ${count} peers, nothing changed`, engine.wgDelta(device));
      assert.deepEqual([second.count, second.total], [0, count]);

      // One moved, one gone, one new, one with other subnets: only they are in the delta.
      const moved: Peer = { key: (peers[0] as Peer).key, endpoint: [mapped(203, 0, 113, 9), 4501] };
      const added = somePeers(1, 60_000)[0] as Peer;
      const changes: Peer[] = [moved, added];
      const wanted = new Map<string, number>([
        [hex(moved.key), ChangeFlag.Endpoint],
        [hex(added.key), ChangeFlag.Added],
      ]);
      if (count > 2) {
        const gone = peers[count >> 1] as Peer;
        const other = peers[count - 1] as Peer;
        changes.push({ key: gone.key, flags: PeerFlag.Remove });
        changes.push({ key: other.key, flags: PeerFlag.ReplaceAllowedIps, allowedIps: [prefix4(172, 16, 0, 0, 12)] });
        wanted.set(hex(gone.key), ChangeFlag.Removed).set(hex(other.key), ChangeFlag.AllowedIps);
      }
      const before = engine.stats();
      assert.deepEqual(await engine.wgApply(device, columns(changes)), { messages: 1 });
      assert.equal(engine.stats().wireguardMessages - before.wireguardMessages, 1);
      assert.equal(engine.stats().wireguardPeers - before.wireguardPeers, changes.length);
      const third = await engine.wgDelta(device);
      assert.equal(third.total, count > 2 ? count : count + 1);
      const found = new Map<string, number>();
      for (let index = 0; index < third.count; index += 1) {
        found.set(hex(third.publicKeys.subarray(index * 32, index * 32 + 32)), third.changes[index] ?? 0);
      }
      assert.deepEqual(found, wanted);

      await timed(`destroy with ${count} peers`, engine.wgDestroy(device));
      assert.equal(
        (await engine.links()).some(({ name }) => name === device),
        false,
      );
    });
  }

  test('a peer with more allowed IPs than one message holds is split and read back whole', async () => {
    await fresh();
    const many = Array.from({ length: 5000 }, (_, index) => prefix4(10, index >> 8, index & 255, 0, 24));
    const six = Array.from({ length: 2500 }, (_, index) => prefix6(index, 128));
    const peers: Peer[] = [
      { key: randomBytes(32), allowedIps: [prefix4(172, 16, 0, 0, 16)] },
      {
        key: randomBytes(32),
        presharedKey: randomBytes(32),
        flags: PeerFlag.ReplaceAllowedIps,
        allowedIps: [...many, ...six],
      },
      { key: randomBytes(32), allowedIps: [prefix4(172, 17, 0, 0, 16)] },
    ];
    const { messages } = await engine.wgApply(device, columns(peers));
    assert.ok(messages >= 4 && messages <= 6, `${messages} messages`);
    assert.deepEqual(byKey(await engine.wgSnapshot(device)), expected(peers));
    // Again, with another list: what a later message brings must not clear what an earlier one brought.
    const fewer: Peer = { ...(peers[1] as Peer), allowedIps: many };
    await engine.wgApply(device, columns([fewer]));
    assert.deepEqual(byKey(await engine.wgSnapshot(device)), expected([peers[0] as Peer, fewer, peers[2] as Peer]));
  });

  test('the rest of a split peer makes no peer where update-only found none', async () => {
    await fresh();
    const many = Array.from({ length: 5000 }, (_, index) => prefix4(10, index >> 8, index & 255, 0, 24));
    const { messages } = await engine.wgApply(
      device,
      columns([{ key: randomBytes(32), flags: PeerFlag.UpdateOnly, allowedIps: many }]),
    );
    assert.ok(messages > 1);
    assert.equal((await engine.wgSnapshot(device)).count, 0);
  });

  test('removing and adding a peer again in one batch leaves it there, with only the new', async () => {
    await fresh();
    const [peer] = somePeers(1) as [Peer];
    await engine.wgApply(device, columns([peer]));
    const again: Peer = { key: peer.key, allowedIps: [prefix4(10, 99, 0, 0, 16)] };
    const { messages } = await engine.wgApply(device, columns([{ key: peer.key, flags: PeerFlag.Remove }, again]));
    assert.equal(messages, 1);
    assert.deepEqual(byKey(await engine.wgSnapshot(device)), expected([again]));
  });

  test('an allowed IP moves to the peer that was given it last', async () => {
    await fresh();
    const [one, other] = [randomBytes(32), randomBytes(32)];
    const shared = prefix4(10, 5, 0, 0, 16);
    await engine.wgApply(
      device,
      columns([
        { key: one, allowedIps: [shared] },
        { key: other, allowedIps: [] },
      ]),
    );
    await engine.wgApply(device, columns([{ key: other, flags: PeerFlag.UpdateOnly, allowedIps: [shared] }]));
    assert.deepEqual(
      byKey(await engine.wgSnapshot(device)),
      expected([{ key: one }, { key: other, allowedIps: [shared] }]),
    );
  });

  test('what the kernel refuses is an error with its name, and nothing hangs', async () => {
    const none = columns(somePeers(1));
    await assert.rejects(engine.wgApply('nosuch0', none), { code: 'CORAX_NETLINK', errnoName: 'ENODEV' });
    await assert.rejects(engine.wgSnapshot('nosuch0'), { message: /^WG_CMD_GET_DEVICE nosuch0: .*\(ENODEV\)/ });
    await assert.rejects(engine.wgSnapshot('lo'), { errnoName: 'EOPNOTSUPP' });
    await assert.rejects(engine.wgDestroy('lo'), { errnoName: 'EOPNOTSUPP' });
    assert.equal(
      (await engine.links()).some(({ name }) => name === 'lo'),
      true,
    );
    await engine.wgDestroy('nosuch0');
    assert.equal((await engine.wgSnapshot(device)).count, 2);
  });

  test('jobs asked for together are done in their order', async () => {
    await fresh();
    const peers = somePeers(400);
    const done: string[] = [];
    await Promise.all([
      engine.wgApply(device, columns(peers)).then(() => done.push('apply')),
      engine.wgSnapshot(device).then(({ count }) => done.push(`snapshot ${count}`)),
      engine
        .wgApply(device, columns(peers.map(({ key }) => ({ key, flags: PeerFlag.Remove }))))
        .then(() => done.push('remove')),
      engine.wgSnapshot(device).then(({ count }) => done.push(`snapshot ${count}`)),
    ]);
    assert.deepEqual(done, ['apply', 'snapshot 400', 'remove', 'snapshot 0']);
  });

  test('probes go on between the messages of a long apply', async () => {
    await fresh();
    await engine.network([{ op: 'link-set', name: 'lo', up: true }]);
    await engine.probeSet([
      {
        id: 1,
        source: '127.0.0.1',
        destination: '127.0.0.1',
        tos: 0,
        intervalMs: 50,
        fastIntervalMs: 50,
        size: 64,
        state: 0,
      },
    ]);
    const sent = async (): Promise<number> => (await engine.probeSnapshot()).sent[0] ?? 0;
    // With a private key each new peer costs the kernel a Curve25519 multiplication.
    await engine.wgConfigure(device, { privateKey: randomBytes(32) });
    const peers = columns(somePeers(1200));
    const before = await sent();
    const start = performance.now();
    const { messages } = await timed('apply 1,200 new peers', engine.wgApply(device, peers));
    const elapsed = performance.now() - start;
    const during = (await sent()) - before;
    console.log(`${during} probes during ${messages} messages`);
    // One is due at the end of each message, or every 50 ms where messages are quicker.
    assert.ok(during >= Math.min(messages - 1, Math.floor(elapsed / 50) - 1), `${during} probes sent`);
    const { lost, received } = await engine.probeSnapshot();
    assert.equal(lost[0], 0);
    assert.ok((received[0] ?? 0) > 0);
    await engine.probeRemove([1]);
    assert.deepEqual(await engine.wgApply(device, columns([])), { messages: 0 });
  });
});
