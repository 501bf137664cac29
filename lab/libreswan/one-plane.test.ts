/**
 * Kernels without XFRM interfaces: the module is taken away. First from all; then the others get it back, and edge-a's agent,
 * which found out when it started, goes on without.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { MTU_OVERHEAD } from '#src/model/names.js';
import type { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { bothOn, createPair, footprint, LONG_MS, type Pair, pause, startAgents } from '../test/agents.js';
import type { Pinger } from '../traffic/pinger.js';
import { whack } from './sas.js';
import { giveBackXfrmInterfaces, takeAwayXfrmInterfaces } from './xfrm-module.js';

const LACKS = /no XFRM interfaces/;
const PING_MS = 20;
/** Of a ping's payload: with its headers all that the tunnel takes in one piece. */
const FULL = 1500 - MTU_OVERHEAD - 28;
/** Of all pods of the lab. */
const PODS = '10.244.0.0/16';

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createPair(['port-restricted', 'port-restricted'], {
    driver: 'libreswan',
  }));
  await takeAwayXfrmInterfaces(lab);
});

after(async () => {
  giveBackXfrmInterfaces();
  await lab?.destroy();
});

/** Both edges' pods reach each other and the relay's, and probes by the relay plane are answered. */
async function allByTheRelay(): Promise<void> {
  await bothOn(lab, pair, 'relay');
  for (const [from, to] of [
    [pair.a, lab.relay()],
    [pair.b, lab.relay()],
    [lab.relay(), pair.a],
    [pair.a, pair.b],
  ] as const) {
    const pings = await lab.pinger(from.name, to.name, { intervalMs: PING_MS, size: FULL });
    await heard(pings, `${from.name}'s pod reaches ${to.name}'s`);
    await pings.stop();
  }
}

async function heard(pings: Pinger, what: string): Promise<void> {
  const before = pings.received;
  await lab.waitFor(() => pings.received > before, { what, timeoutMs: LONG_MS });
}

/** Pings from edge to edge while something is done, both paths being up. */
async function lostWhile(t: TestContext, act: () => Promise<void>): Promise<number> {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  await heard(pings, 'the pods reach each other');
  await act();
  await heard(pings, 'the pods reach each other still');
  await pause(1_000);
  const { sent, lost } = await pings.stop();
  t.diagnostic(`pings: ${sent} sent, ${lost} lost`);
  return lost;
}

async function kindOf(node: LabNode): Promise<string> {
  const { stdout } = await node.exec(['ip', '-d', '-json', 'link']);
  const links = JSON.parse(stdout) as Array<{ ifname: string; linkinfo?: { info_kind: string } }>;
  return links
    .filter(({ ifname }) => ifname.startsWith('ipsec'))
    .map(({ ifname, linkinfo }) => `${ifname} ${linkinfo?.info_kind}`)
    .join();
}

/** Of all SAs, whatever they hang on; one of 0 is none (see sas.ts). */
async function spis(node: LabNode): Promise<string[]> {
  const { stdout } = await node.exec(['ip', 'xfrm', 'state']);
  const all = [...stdout.matchAll(/spi (0x[0-9a-f]+)/g)].map(([, spi]) => spi ?? '');
  return all.filter((spi) => Number(spi) !== 0).sort();
}

/** Counts what leaves the node: by the tunnel, and from pods in the clear. */
async function watchUnderlay(node: LabNode): Promise<() => Promise<{ tunnel: number; clear: number }>> {
  const rules = `table netdev seen {
  counter tunnel {}
  counter clear {}
  chain out { type filter hook egress device "wan" priority 0;
    udp sport 4500 counter name tunnel
    ip saddr ${PODS} counter name clear
  }
}
`;
  await node.exec(['nft', '-f', '-'], { input: rules });
  return async () => {
    const { stdout } = await node.exec(['nft', '-j', 'list', 'counters', 'table', 'netdev', 'seen']);
    const { nftables } = JSON.parse(stdout) as { nftables: Array<{ counter?: { name: string; packets: number } }> };
    const packets = (name: string) =>
      nftables.find(({ counter }) => counter?.name === name)?.counter?.packets ?? assert.fail();
    return { tunnel: packets('tunnel'), clear: packets('clear') };
  };
}

test('nobody has any: the pods reach each other by the relay, and status says why', async () => {
  await startAgents([lab.relay(), pair.a, pair.b]);
  await allByTheRelay();
  for (const node of lab.nodes) {
    assert.equal(await kindOf(node), 'ipsec4500 dummy');
    const { errors, remarks } = await node.status();
    assert.deepEqual(errors, []);
    assert.match(remarks?.join() ?? '', LACKS);
  }
  assert.match((await pair.a.peer(pair.b.name)).reason, LACKS);
});

test('the agent killed and started again: the same pluto, the same SAs, nothing lost', async (t) => {
  const { a } = pair;
  const seen = async () => [a.plutoPid, await spis(a)];
  const before = await seen();
  const lost = await lostWhile(t, async () => {
    for (const how of ['kill9', 'stop'] as const) {
      await a.restart(how);
      await bothOn(lab, pair, 'relay');
    }
  });
  assert.deepEqual(await seen(), before);
  assert.equal(lost, 0);
});

test('pluto ends under traffic, by itself or killed: back by itself, and no packet of a pod in the clear', async () => {
  const { a } = pair;
  const seen = await watchUnderlay(a);
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  await heard(pings, 'the pods reach each other');
  const end = [() => whack(a, '--shutdown'), async () => a.killPluto()];
  for (const act of end) {
    const pid = a.plutoPid;
    await act();
    await lab.waitFor(() => a.plutoPid !== null && a.plutoPid !== pid, { what: 'another pluto', timeoutMs: LONG_MS });
    await heard(pings, 'the pods reach each other again');
  }
  await pings.stop();
  const { tunnel, clear } = await seen();
  assert.ok(tunnel > 0, 'what leaves is seen');
  assert.equal(clear, 0);
});

test('--cleanup leaves nothing, of a pluto that was killed neither', async () => {
  const { a } = pair;
  await a.stop();
  a.killPluto();
  assert.ok((await spis(a)).length > 0, 'its SAs are there still');
  await a.exec([...a.agentCommand().slice(0, 3), '--state-dir', a.stateDirectory, '--cleanup']);
  const left = JSON.stringify(await footprint(a));
  assert.ok(!/ipsec4|corax|90(28|29|30)/.test(left), left);
  await lab.waitFor(async () => (await spis(a)).length === 0, {
    // What a pluto that was killed had reserved for an SA to come, the kernel takes back by itself (xfrm_acq_expires).
    what: 'no SA is left',
    timeoutMs: LONG_MS,
  });
  const { stdout } = await a.exec(['ip', 'xfrm', 'policy']);
  assert.ok(!stdout.includes('10.244.'), stdout);
});

test('one edge has none, the others have: by the relay, nothing lost, and the other edge knows why', async (t) => {
  await pair.a.startAgent();
  await allByTheRelay();
  giveBackXfrmInterfaces();
  for (const node of [lab.relay(), pair.b]) await node.restart();
  await allByTheRelay();
  assert.equal(await kindOf(pair.a), 'ipsec4500 dummy');
  assert.equal(await kindOf(lab.relay()), 'ipsec4500 xfrm');
  assert.equal(await kindOf(pair.b), 'ipsec4500 xfrm,ipsec4501 xfrm');
  await lab.waitFor(async () => /node edge-a has no XFRM/.test((await pair.b.peer('edge-a')).reason), {
    what: 'edge-b says why',
    timeoutMs: LONG_MS,
  });
  assert.equal((await pair.b.status()).remarks, undefined);
  assert.equal(await lostWhile(t, () => pause(3_000)), 0);
});

test('it gets them too: two planes, and direct', async (t) => {
  await pair.a.restart();
  t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
  assert.equal(await kindOf(pair.a), 'ipsec4500 xfrm,ipsec4501 xfrm');
  assert.equal(await lostWhile(t, () => pause(1_000)), 0);
});
