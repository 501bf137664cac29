/**
 * The prober through a WireGuard tunnel, whose packets the kernel stamps twice. In the network namespace it is
 * started in (root, a kernel with WireGuard); imports nothing but the addon and Node, so that it runs compiled.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { openEngine, PeerFlag } from '#src/native.js';

const NAMESPACE = `corax-prober-${process.pid}`;
const NEAR = { device: 'probe0', address: '10.211.1.1', port: 4521 };
const FAR = { device: 'probe1', address: '10.211.2.1', port: 4522 };

function ip(...words: readonly string[]): void {
  const { status, stderr } = spawnSync('ip', words, { encoding: 'utf8' });
  assert.equal(status, 0, `ip ${words.join(' ')}: ${stderr}`);
}

function keys(): { privateKey: Uint8Array; publicKey: Uint8Array } {
  const pair = generateKeyPairSync('x25519');
  return {
    privateKey: pair.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32),
    publicKey: pair.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
  };
}

const mapped = (address: string): number[] => [...new Array(10).fill(0), 255, 255, ...address.split('.').map(Number)];

describe('probes through WireGuard', () => {
  const engine = openEngine(() => {});
  const nearKeys = keys();
  const farKeys = keys();

  /** Adds the device with its one peer. */
  async function add(own: typeof NEAR, key: Uint8Array, peer: typeof NEAR, peerKey: Uint8Array): Promise<void> {
    assert.deepEqual(await engine.network([{ op: 'link-create', name: own.device, kind: 'wireguard' }]), [null]);
    await engine.wgConfigure(own.device, { privateKey: key, listenPort: own.port });
    await engine.wgApply(own.device, {
      count: 1,
      publicKeys: peerKey,
      flags: Uint8Array.of(PeerFlag.Endpoint),
      presharedKeys: new Uint8Array(32),
      endpointAddresses: Uint8Array.from(mapped('127.0.0.1')),
      endpointPorts: Uint16Array.of(peer.port),
      keepalives: Uint16Array.of(0),
      allowedIpOffsets: Uint32Array.of(0, 1),
      allowedIps: Uint8Array.from([4, 32, ...mapped(peer.address)]),
    });
  }

  async function answers(count: number): Promise<void> {
    const end = Date.now() + 60_000;
    while (((await engine.probeSnapshot()).received[0] ?? 0) < count) {
      assert.ok(Date.now() < end, `no ${count} answers within a minute`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  before(async () => {
    ip('link', 'set', 'lo', 'up');
    await add(NEAR, nearKeys.privateKey, FAR, farKeys.publicKey);
    await add(FAR, farKeys.privateKey, NEAR, nearKeys.publicKey);
    // The device goes; its UDP socket stays here, where the two find each other.
    ip('netns', 'add', NAMESPACE);
    ip('link', 'set', FAR.device, 'netns', NAMESPACE);
    ip('-n', NAMESPACE, 'address', 'add', `${FAR.address}/32`, 'dev', FAR.device);
    ip('-n', NAMESPACE, 'link', 'set', FAR.device, 'up');
    ip('-n', NAMESPACE, 'route', 'add', `${NEAR.address}/32`, 'dev', FAR.device);
    ip('address', 'add', `${NEAR.address}/32`, 'dev', NEAR.device);
    ip('link', 'set', NEAR.device, 'up');
    ip('route', 'add', `${FAR.address}/32`, 'dev', NEAR.device);
  });
  after(async () => {
    ip('netns', 'delete', NAMESPACE);
    await engine.wgDestroy(NEAR.device);
    engine.close();
  });

  test('full-size probes are answered, with an RTT', async () => {
    const common = { source: NEAR.address, destination: FAR.address, tos: 0x10, fastIntervalMs: 250, state: 1 };
    await engine.probeSet([{ id: 1, ...common, intervalMs: 100, size: 1420 }]);
    await answers(10);
    const snapshot = await engine.probeSnapshot();
    assert.equal(snapshot.answeredSize[0], 1420);
    assert.ok((snapshot.smoothedRttMs[0] ?? 0) > 0);
  });

  test('the native thread sleeps between probes', async (t) => {
    const { received } = await engine.probeSnapshot();
    const [cpu, start] = [process.cpuUsage(), performance.now()];
    await answers((received[0] ?? 0) + 30);
    const used = process.cpuUsage(cpu);
    const share = (used.user + used.system) / 1000 / (performance.now() - start);
    t.diagnostic(`${(share * 100).toFixed(1)} % of a CPU at 10 probes a second`);
    // A thread that spins takes all of one.
    assert.ok(share < 0.75, `the process takes ${share.toFixed(2)} of a CPU`);
  });
});
