/**
 * The design by hand, without an agent: two WireGuard devices on one hole, the path a route. If this fails,
 * no agent can work here.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { median } from '../traffic/pinger.js';

interface Keys {
  readonly secret: string;
  readonly public: string;
}

/** Base64, as wg(8) reads and prints them. */
function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  const base64 = (text: string): string => Buffer.from(text, 'base64url').toString('base64');
  return { secret: base64(d), public: base64(x) };
}

const sh = (node: LabNode, script: string): Promise<{ stdout: string }> => node.exec(['sh', '-e'], { input: script });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

let lab: Lab;
const keys = new Map<string, Keys>();
const keysOf = (node: LabNode): Keys => keys.get(node.name) ?? assert.fail();

/** A device with the node's key; peers as wg(8) has them in its files. */
async function addDevice(node: LabNode, device: string, port: number, peers: string): Promise<void> {
  await sh(
    node,
    `ip link add ${device} mtu 1420 type wireguard
wg setconf ${device} /dev/stdin <<END
[Interface]
PrivateKey = ${keysOf(node).secret}
ListenPort = ${port}
${peers}
END
echo 2 >/proc/sys/net/ipv4/conf/${device}/rp_filter
ip address add ${node.plan.bridgeAddress}/32 dev ${device}
ip link set ${device} up
`,
  );
}

function setPath(node: LabNode, remote: LabNode, device: string): Promise<unknown> {
  return sh(node, `ip route replace ${remote.plan.podSubnet} dev ${device} src ${node.plan.bridgeAddress}\n`);
}

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted' },
      { name: 'edge-b', nat: 'restricted-cone' },
    ],
    relays: [{ name: 'relay-1' }],
    delays: 'proposal',
    stun: false,
  });
  for (const node of lab.nodes) keys.set(node.name, makeKeys());
  const relay = lab.relay();
  const peers = lab.sites.map(
    (edge) => `[Peer]\nPublicKey = ${keysOf(edge).public}\nAllowedIPs = ${edge.plan.podSubnet}`,
  );
  await addDevice(relay, 'raven-wg0', 4500, peers.join('\n'));
  // A relay sees half of each flow while the ends' paths differ.
  await sh(
    relay,
    `${lab.sites.map((edge) => `ip route add ${edge.plan.podSubnet} dev raven-wg0`).join('\n')}
nft -f - <<END
table ip corax {
  chain raw { type filter hook prerouting priority -300;
    iifname "raven-wg0" ip daddr 10.244.0.0/16 ip daddr != ${relay.plan.podSubnet} notrack
  }
}
END
`,
  );
  for (const edge of lab.sites) {
    const relayPeer = `[Peer]
PublicKey = ${keysOf(relay).public}
AllowedIPs = 10.244.0.0/16
Endpoint = ${relay.plan.publicAddress}:4500
PersistentKeepalive = 5`;
    await addDevice(edge, 'raven-wg0', 4500, relayPeer);
    // The two stateless rules, and an identity snat that keeps the CNI's masquerade off.
    await sh(
      edge,
      `nft -f - <<END
table ip corax {
  set relays { type ipv4_addr; elements = { ${relay.plan.publicAddress} } }
  chain in { type filter hook input priority 200; iifname "wan" udp dport 4500 ip saddr != @relays udp dport set 4501; }
  chain out { type filter hook output priority -310; oifname "wan" udp sport 4501 udp sport set 4500; }
  chain identity { type nat hook postrouting priority 90;
    oifname "raven-wg*" ip saddr ${edge.plan.podSubnet} snat to ${edge.plan.podAddress}
  }
}
END
`,
    );
    for (const remote of lab.sites) if (remote !== edge) await setPath(edge, remote, 'raven-wg0');
  }
});

after(async () => {
  await lab?.destroy();
});

test('two planes on one hole: no ping is lost while the ends change path apart', async (t) => {
  const [a, b] = lab.sites;
  assert.ok(a && b);
  const pinger = await lab.pinger('edge-a', 'edge-b', { intervalMs: 20 });
  await lab.waitFor(() => pinger.received > 50, { what: 'pings by the relay', timeoutMs: 30_000 });
  const relayed = median(pinger.latest(25));
  const startedAt = Date.now();

  const harvest = await sh(lab.relay(), 'wg show raven-wg0 endpoints\n');
  const holeOf = (node: LabNode): string =>
    harvest.stdout
      .split('\n')
      .find((line) => line.startsWith(keysOf(node).public))
      ?.split('\t')[1] ?? '';
  for (const [edge, remote] of [
    [a, b],
    [b, a],
  ] as const) {
    assert.match(holeOf(remote), new RegExp(`^${remote.plan.publicAddress}:\\d+$`), 'the relay sees the hole');
    const peer = `[Peer]
PublicKey = ${keysOf(remote).public}
AllowedIPs = ${remote.plan.podSubnet}
Endpoint = ${holeOf(remote)}
PersistentKeepalive = 5`;
    await addDevice(edge, 'raven-wg1', 4501, peer);
  }
  for (const edge of [a, b]) {
    await lab.waitFor(
      async () => !/\t0$/m.test((await sh(edge, 'wg show raven-wg1 latest-handshakes\n')).stdout.trim()),
      { what: `a direct handshake of ${edge.name}`, timeoutMs: 30_000 },
    );
  }

  await setPath(a, b, 'raven-wg1');
  await pause(1_000);
  await setPath(b, a, 'raven-wg1');
  await pause(1_500);
  const direct = median(pinger.latest(25));
  await setPath(b, a, 'raven-wg0');
  await pause(1_000);
  await setPath(a, b, 'raven-wg0');
  await pause(1_500);

  await pinger.stop();
  const report = pinger.report(startedAt, Date.now() - 1_500);
  t.diagnostic(`${report.sent} pings, ${report.lost} lost; ${relayed} ms by the relay, ${direct} ms direct`);
  assert.ok(report.sent > 150);
  assert.equal(report.lost, 0);
  assert.ok(direct < relayed);
  const moved = await sh(lab.relay(), 'wg show raven-wg0 endpoints\n');
  assert.equal(moved.stdout, harvest.stdout, 'the holes have not moved');
});
