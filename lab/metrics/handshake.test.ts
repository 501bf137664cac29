/**
 * How long WireGuard's handshakes take, against the delay that the network has and against pings. In the network
 * namespace it is started in (root, a kernel with WireGuard and netem).
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type NativeEvent, openEngine, PeerFlag } from '#src/native.js';

const NAMESPACE = `corax-shake-${process.pid}`;
/** Both ways together, milliseconds. The emulated machine takes some for the handshake itself. */
const DELAY_MS = 200;
const NEAR = { device: 'shake0', address: '10.212.1.1', underlay: '192.0.2.1', port: 4531 };
const FAR = { device: 'shake1', address: '10.212.2.1', underlay: '192.0.2.2', port: 4532 };

function run(command: string, words: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync(command, words, { encoding: 'utf8', input });
  assert.equal(status, 0, `${command} ${words.join(' ')}: ${stderr}`);
}

const batch = (namespace: string[], lines: readonly string[]): void =>
  run('ip', [...namespace, '-batch', '-'], `${lines.join('\n')}\n`);

function keys(): { secret: Uint8Array; open: Uint8Array } {
  const pair = generateKeyPairSync('x25519');
  return {
    secret: pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
    open: pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
  };
}

const mapped = (address: string): number[] => [...new Array(10).fill(0), 255, 255, ...address.split('.').map(Number)];
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

describe('handshakes through a network with a delay', () => {
  const shakes: Array<Extract<NativeEvent, { type: 'handshake' }>> = [];
  let answered = 0;
  const engine = openEngine((events) => {
    for (const event of events) {
      if (event.type === 'handshake') shakes.push(event);
      if (event.type === 'answered') answered += 1;
    }
  });
  const near = keys();
  const far = keys();

  const peer = (flags: number) => ({
    count: 1,
    publicKeys: far.open,
    flags: Uint8Array.of(flags),
    presharedKeys: new Uint8Array(32),
    endpointAddresses: Uint8Array.from(mapped(FAR.underlay)),
    endpointPorts: Uint16Array.of(FAR.port),
    keepalives: Uint16Array.of(0),
    allowedIpOffsets: Uint32Array.of(0, flags === PeerFlag.Remove ? 0 : 1),
    allowedIps: Uint8Array.from(flags === PeerFlag.Remove ? [] : [4, 32, ...mapped(FAR.address)]),
  });

  async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const end = Date.now() + 90_000;
    while (!(await holds())) {
      assert.ok(Date.now() < end, `not within 90 s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  before(async () => {
    run('ip', ['netns', 'add', NAMESPACE]);
    batch(
      [],
      [
        `link add veth-near type veth peer name veth-far netns ${NAMESPACE}`,
        `address add ${NEAR.underlay}/24 dev veth-near`,
        'link set veth-near up',
      ],
    );
    batch(
      ['-n', NAMESPACE],
      [
        `address add ${FAR.underlay}/24 dev veth-far`,
        'link set veth-far up',
        `link add ${FAR.device} type wireguard`,
        `address add ${FAR.address}/32 dev ${FAR.device}`,
      ],
    );
    run('tc', ['-n', NAMESPACE, 'qdisc', 'add', 'dev', 'veth-far', 'root', 'netem', 'delay', `${DELAY_MS}ms`]);
    const settings = `[Interface]\nPrivateKey = ${base64(far.secret)}\nListenPort = ${FAR.port}\n
[Peer]\nPublicKey = ${base64(near.open)}\nAllowedIPs = ${NEAR.address}/32\n`;
    // A pipe of Node's is a socket, which wg(8) cannot open by its name.
    const folder = mkdtempSync(join(tmpdir(), 'corax-shake-'));
    writeFileSync(join(folder, 'far.conf'), settings, { mode: 0o600 });
    run('ip', ['netns', 'exec', NAMESPACE, 'wg', 'setconf', FAR.device, join(folder, 'far.conf')]);
    rmSync(folder, { recursive: true });
    batch(['-n', NAMESPACE], [`link set ${FAR.device} up`, `route add ${NEAR.address}/32 dev ${FAR.device}`]);

    assert.deepEqual(await engine.network([{ op: 'link-create', name: NEAR.device, kind: 'wireguard' }]), [null]);
    await engine.wgConfigure(NEAR.device, { privateKey: near.secret, listenPort: NEAR.port });
    batch(
      [],
      [
        `address add ${NEAR.address}/32 dev ${NEAR.device}`,
        `link set ${NEAR.device} up`,
        `route add ${FAR.address}/32 dev ${NEAR.device}`,
      ],
    );
    await engine.handshakeTap({ device: 'veth-near', ports: [NEAR.port] });
    const target = { source: NEAR.address, destination: FAR.address, tos: 0x10, size: 64, state: 0 };
    await engine.probeSet([{ id: 1, ...target, intervalMs: 250, fastIntervalMs: 250 }]);
  });
  after(async () => {
    run('ip', ['netns', 'delete', NAMESPACE]);
    await engine.wgDestroy(NEAR.device);
    engine.close();
  });

  test('the round trip of a handshake is that of the network, and that of a ping', async (t) => {
    const wanted = 7;
    while (shakes.length < wanted) {
      const before = shakes.length;
      // A peer that is re-added has to shake hands anew for the next probe.
      await engine.wgApply(NEAR.device, peer(PeerFlag.Remove));
      await engine.wgApply(NEAR.device, peer(PeerFlag.Endpoint));
      await until('a handshake is told', () => shakes.length > before);
    }
    for (const { address, port } of shakes) assert.deepEqual([address, port], [FAR.underlay, FAR.port]);
    await until('pings are answered', async () => ((await engine.probeSnapshot()).received[0] ?? 0) >= 8);
    const rtts = shakes.map(({ rttMs }) => rttMs).sort((a, b) => a - b);
    const median = rtts[Math.floor(rtts.length / 2)] ?? Number.NaN;
    const ping = (await engine.probeSnapshot()).smoothedRttMs[0] ?? Number.NaN;
    const each = rtts.map((rtt) => rtt.toFixed(1)).join(' ');
    t.diagnostic(`delay ${DELAY_MS} ms; handshakes ${each} ms; pings ${ping.toFixed(1)} ms`);
    // Never less than the network takes: the stamps are the kernel's.
    assert.ok((rtts[0] ?? 0) >= DELAY_MS, each);
    assert.ok(median <= DELAY_MS * 1.2, each);
    assert.ok(ping >= DELAY_MS, `${ping}`);
    assert.equal(answered, 0);
  });

  test("others' handshakes are told once they are answered, and counted where they are not", async () => {
    run('ip', ['netns', 'exec', NAMESPACE, 'wg', 'set', FAR.device, 'peer', base64(near.open), 'remove']);
    const again = ['peer', base64(near.open), 'endpoint', `${NEAR.underlay}:${NEAR.port}`, 'persistent-keepalive', '1'];
    const far = ['netns', 'exec', NAMESPACE, 'wg', 'set', FAR.device];
    await engine.probeRemove([1]);
    run('ip', [...far, ...again, 'allowed-ips', `${NEAR.address}/32`]);
    await until('it is told', () => answered > 0);
    assert.equal(engine.stats().handshakesUnanswered, 0);
    await engine.wgApply(NEAR.device, peer(PeerFlag.Remove));
    const told = answered;
    // The session is there still: a peer that is re-added begins with a handshake.
    run('ip', [...far, 'peer', base64(near.open), 'remove']);
    run('ip', [...far, ...again, 'allowed-ips', `${NEAR.address}/32`]);
    await until('it is counted', () => engine.stats().handshakesUnanswered > 0);
    assert.equal(answered, told, 'a stranger wakes nobody');
    await engine.handshakeTap(null);
  });
});
