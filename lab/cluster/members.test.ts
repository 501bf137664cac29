/** Two edge sites of three nodes and a cloud site of two, agents on all: the packet's way, its size, who is reached. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { footprint, LONG_MS, startAgents } from '../test/agents.js';
import { hopsTo, inPod, unreached, wholePing } from './sites.js';

let lab: Lab;
let bare: Record<string, string>;
const node = (name: string): LabNode => lab.site(name);
const TUNNEL_MTU = 1420;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted', nodes: 3 },
      { name: 'edge-b', nat: 'restricted-cone', nodes: 3 },
    ],
    relays: [{ name: 'relay-1', nodes: 2 }],
    stun: false,
  });
  bare = await footprint(node('edge-a-2'));
  await startAgents([...lab.relays, ...lab.sites, ...lab.members], 4);
});

after(async () => {
  await lab?.destroy();
});

test('every pod reaches every pod', async (t) => {
  for (const from of lab.nodes) {
    const others = lab.nodes.filter((other) => other !== from).map(({ plan }) => plan.podAddress);
    await lab.waitFor(
      async () => {
        const missing = await unreached(from, others);
        if (missing.length > 0) throw new Error(`no answer from ${missing.join(', ')}`);
        return true;
      },
      { what: `${from.name}'s pod reaches all others`, timeoutMs: LONG_MS },
    );
  }
  t.diagnostic(`${lab.nodes.length * (lab.nodes.length - 1)} ways`);
});

test('who is what: gateway nodes hold tunnels, the others say by whom they go', async () => {
  const roles = await Promise.all(lab.nodes.map(async (it) => [it.name, (await it.status()).role]));
  const expected = lab.nodes.map(({ plan }) => [plan.name, plan.role]);
  assert.deepEqual(roles, expected);
  const peer = await node('edge-a-2').peer('gw-b');
  assert.deepEqual([peer.path, peer.planes.relay], [null, null]);
  assert.match(peer.reason, /by edge-a, /);
});

test("raven0 is raven's: number, port, address, MAC, table, rule, mark, no learning, loose filter", async () => {
  const { stdout } = await node('edge-a-2').exec(['ip', '-j', '-d', 'link', 'show', 'raven0']);
  const [link] = JSON.parse(stdout);
  const { id, port, learning } = link.linkinfo.info_data;
  assert.deepEqual(
    [id, port, learning ?? false, link.address, link.mtu],
    [200, 4472, false, 'aa:0f:f0:a8:01:03', TUNNEL_MTU],
  );
  const see = async (of: string, ...command: string[]) => (await node(of).exec(command)).stdout;
  assert.match(await see('edge-a-2', 'ip', '-o', 'address', 'show', 'dev', 'raven0'), /240\.168\.1\.3\/8 .*scope link/);
  assert.equal((await see('edge-a-2', 'cat', '/proc/sys/net/ipv4/conf/raven0/rp_filter')).trim(), '2');
  for (const name of ['edge-a', 'edge-a-2']) {
    assert.match(await see(name, 'ip', 'rule'), /^100:\tfrom all fwmark 0x40 lookup 9027/m);
  }
  assert.match(
    await see('edge-a-2', 'ip', 'route', 'show', 'table', '9027'),
    /^default via 240\.168\.1\.2 dev raven0 .*onlink/,
  );
  const back = await see('edge-a', 'ip', 'route', 'show', 'table', '9027');
  for (const [index, member] of ['edge-a-2', 'edge-a-3'].entries()) {
    const via = `${node(member).plan.podSubnet} via 240.168.1.${index + 3} dev raven0`;
    assert.ok(back.includes(via), `${via} in ${back}`);
  }
  const fdb = await see('edge-a', 'bridge', 'fdb', 'show', 'dev', 'raven0');
  assert.deepEqual(fdb.trim().split('\n').sort(), [
    'aa:0f:f0:a8:01:03 dst 192.168.1.3 self permanent',
    'aa:0f:f0:a8:01:04 dst 192.168.1.4 self permanent',
  ]);
  assert.match(
    await see('edge-a', 'nft', 'list', 'table', 'ip', 'corax'),
    /iifname .*raven-wg0.* meta mark set 0x0*40/,
  );
});

test("a packet's way: its node, the gateway node, the tunnel, the other gateway node, the member, the pod", async (t) => {
  const [from, to] = [node('edge-a-2'), node('edge-b-3')];
  await lab.waitFor(async () => (await node('edge-a').peer('gw-b')).path === 'direct', {
    what: 'the gateway nodes go direct',
    timeoutMs: LONG_MS,
  });
  const hops = await hopsTo(from, to.plan.podAddress, 8);
  t.diagnostic(hops.join(' → '));
  assert.deepEqual(hops, [
    from.plan.bridgeAddress,
    node('edge-a').plan.privateAddress,
    node('edge-b').plan.bridgeAddress,
    to.plan.bridgeAddress,
    to.plan.podAddress,
  ]);
  const cloud = await hopsTo(from, node('relay-1-2').plan.podAddress, 8);
  t.diagnostic(cloud.join(' → '));
  assert.equal(cloud.length, 5);
  assert.equal(cloud.at(-1), node('relay-1-2').plan.podAddress);
});

test('a full-size packet that must not be fragmented passes; one byte more gets its ICMP', async () => {
  for (const [from, to] of [
    ['edge-a-2', 'edge-b-3'],
    ['edge-b-2', 'relay-1-2'],
    ['relay-1-2', 'edge-a-3'],
  ] as const) {
    const whole = await wholePing(node(from), node(to).plan.podAddress, TUNNEL_MTU);
    assert.equal(whole.code, 0, `${from} to ${to}: ${whole.stdout}`);
    const more = await wholePing(node(from), node(to).plan.podAddress, TUNNEL_MTU + 1);
    assert.match(`${more.stdout}${more.stderr}`, /mtu ?= ?1420|message too long/i, `${from} to ${to}`);
  }
});

test('whichever hop has a narrower way on, its ICMP comes back through all that lie before it', async () => {
  const [from, to] = [node('edge-a-2'), node('edge-b-3')];
  const subnet = to.plan.podSubnet;
  const narrow = (on: LabNode, table: string, mtu: number) =>
    on.exec([
      'sh',
      '-ec',
      `ip route replace $(ip route show table ${table} ${subnet} | grep -v unreachable) table ${table} mtu ${mtu}`,
    ]);
  // Narrower from hop to hop: what a pod has heard of a way it keeps to.
  const hops = [
    [node('edge-a'), node('edge-a').plan.privateAddress, 1390],
    [node('edge-b'), node('edge-b').plan.bridgeAddress, 1380],
    [to, to.plan.bridgeAddress, 1370],
  ] as const;
  for (const [hop, address, mtu] of hops) {
    if (hop === to) await hop.exec(['ip', 'link', 'set', 'cni0', 'mtu', String(mtu)]);
    else await narrow(hop, hop.name === 'edge-a' ? '9028' : '9027', mtu);
    const { stdout } = await wholePing(from, to.plan.podAddress, mtu + 1);
    assert.match(stdout, new RegExp(`From ${address} .*mtu = ${mtu}`, 'i'), hop.name);
  }
  assert.equal((await wholePing(from, to.plan.podAddress, 1370)).code, 0);
});

test("pods' sources are kept, a Service's address leads to a remote pod, host-network pods get through", async () => {
  const [from, to] = [node('edge-a-3'), node('edge-b-2')];
  // As kube-proxy has it: in nat, after raven's mark would be set, with its masquerade mark for what is not a pod's.
  const service = `table ip services {
  chain prerouting { type nat hook prerouting priority -100; ip daddr 10.96.0.10 dnat to ${to.plan.podAddress}; }
  chain output { type nat hook output priority -100; ip daddr 10.96.0.10 meta mark set 0x4000 dnat to ${to.plan.podAddress}; }
  chain postrouting { type nat hook postrouting priority 100; meta mark & 0x4000 == 0x4000 masquerade; }
}
`;
  await from.exec(['nft', '-f', '-'], { input: service });
  const count =
    'table ip seen {\n  chain forward { type filter hook forward priority 0; ip saddr ADDRESS counter; }\n}\n';
  await to.exec(['nft', '-f', '-'], { input: count.replace('ADDRESS', from.plan.podAddress) });
  assert.equal((await inPod(from, ['ping', '-n', '-c', '1', '-W', '3', '10.96.0.10'])).code, 0, 'from the pod');
  assert.match(
    (await to.exec(['nft', 'list', 'table', 'ip', 'seen'])).stdout,
    /counter packets [1-9]/,
    "the pod's own source",
  );
  for (const target of ['10.96.0.10', to.plan.podAddress]) {
    const { code, stdout } = await from.exec(['ping', '-n', '-c', '1', '-W', '3', target], { allowFailure: true });
    assert.equal(code, 0, `from the host to ${target}: ${stdout}`);
  }
});

test('what somebody takes away comes back', async () => {
  const member = node('edge-b-2');
  const gone = async (...command: string[]) => {
    await member.exec(command);
    await lab.waitFor(async () => (await unreached(member, [node('edge-a').plan.podAddress])).length === 0, {
      what: `traffic flows again after ${command.join(' ')}`,
      timeoutMs: LONG_MS,
    });
  };
  await gone('ip', 'link', 'del', 'raven0');
  await gone('bridge', 'fdb', 'del', 'aa:0f:f0:a8:02:02', 'dev', 'raven0');
  await gone('ip', 'neigh', 'del', '240.168.2.2', 'dev', 'raven0');
  await gone('ip', 'route', 'flush', 'table', '9028');
});

test('--cleanup leaves a member as it was found, and nothing of ours on a gateway node', async () => {
  const [member, gateway] = [node('edge-a-2'), node('edge-b')];
  const cleanUp = async (it: LabNode) => {
    await it.stop();
    await it.exec([...it.agentCommand().slice(0, 3), '--cleanup', '--state-dir', it.stateDirectory]);
    return footprint(it);
  };
  const [ofMember, ofGateway] = await Promise.all([cleanUp(member), cleanUp(gateway)]);
  assert.deepEqual(ofMember, bare);
  assert.doesNotMatch(JSON.stringify(ofGateway), /raven|corax|90(27|28|29|30|31)/);
});
