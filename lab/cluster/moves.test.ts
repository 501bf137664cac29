/**
 * A gateway's active endpoint moves, planned and not, and the central relay is dropped. Every flow's losses and its longest
 * time without an answer are printed. Where both nodes live 1 s is aimed at, and it is printed how many flows have it; what
 * has to hold is the bar of a dead node, 5 s: eight agents on an emulated machine starve each other for longer than a second.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { LONG_MS, startAgents } from '../test/agents.js';
import type { Pinger } from '../traffic/pinger.js';
import { activate, hopsTo, unreached } from './sites.js';

let lab: Lab;
const node = (name: string): LabNode => lab.site(name);
const INTERVAL_MS = 50;
/** The longest time without an answer: aimed at where the node of before lives, and in any case. */
const [AIM_S, MOST_S] = [1, 5];

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted', nodes: 2 },
      { name: 'edge-b', nat: 'restricted-cone', nodes: 3 },
    ],
    relays: [{ name: 'relay-1', nodes: 2 }, { name: 'relay-2' }],
    stun: false,
  });
  await startAgents([...lab.relays, ...lab.sites, ...lab.members], 4);
  for (const from of lab.nodes) await reaches(from);
});

after(async () => {
  await lab?.destroy();
});

async function reaches(from: LabNode, but: readonly string[] = []): Promise<void> {
  const others = lab.nodes.filter((other) => other !== from && !but.includes(other.name));
  const addresses = others.map(({ plan }) => plan.podAddress);
  await lab.waitFor(
    async () => {
      const missing = await unreached(from, addresses);
      if (missing.length > 0) throw new Error(`no answer from ${missing.join(', ')}`);
      return true;
    },
    { what: `${from.name}'s pod reaches the others`, timeoutMs: LONG_MS },
  );
}

/** Seconds from a moment to the answer after which none was missing for long; and how many pings were lost. */
async function healed(pinger: Pinger, since: number): Promise<{ seconds: number; lost: number; gap: number }> {
  const report = await pinger.stop();
  const late = report.lostAt.filter((at) => at >= since - INTERVAL_MS);
  const last = late.at(-1);
  return {
    seconds: last === undefined ? 0 : (last + INTERVAL_MS - since) / 1000,
    lost: late.length,
    gap: report.longestGapMs / 1000,
  };
}

async function flows(pingers: readonly Pinger[], count: number): Promise<void> {
  const before = pingers.map((pinger) => pinger.received);
  await lab.waitFor(() => pingers.every((pinger, index) => pinger.received >= (before[index] ?? 0) + count), {
    what: 'pings are answered on every way',
    timeoutMs: LONG_MS,
  });
}

/** Flows go on while a gateway's active endpoint moves to another node, until the tunnels of the old one are taken down. */
async function planned(
  t: TestContext,
  ways: ReadonlyArray<readonly [string, string]>,
  gateway: string,
  [old, now]: readonly [string, string],
): Promise<void> {
  const pingers = await Promise.all(ways.map(([from, to]) => lab.pinger(from, to, { intervalMs: INTERVAL_MS })));
  await flows(pingers, 20);
  const at = activate(lab, gateway, now);
  await lab.waitFor(async () => !(await node(old).exec(['ip', '-brief', 'link'])).stdout.includes('raven-wg'), {
    what: 'the tunnels of the old node are taken down',
    timeoutMs: LONG_MS,
    // Each look is a process, which takes from the agents what little time they have in emulation.
    everyMs: 2_000,
  });
  await flows(pingers, 20);
  const healing = await Promise.all(pingers.map((pinger) => healed(pinger, at)));
  for (const [index, { seconds, lost, gap }] of healing.entries())
    t.diagnostic(
      `${ways[index]?.join(' → ')}: ${lost} lost, the last ${seconds.toFixed(2)} s after status; gap ${gap.toFixed(2)} s`,
    );
  t.diagnostic(`${healing.filter(({ gap }) => gap <= AIM_S).length} of ${healing.length} flows within ${AIM_S} s`);
  for (const { gap } of healing) assert.ok(gap <= MOST_S, `${gap} s without an answer`);
}

test('a planned move of an edge site: the old node carries until the new one does', async (t) => {
  const ways = [
    ['edge-a-2', 'edge-b-3'],
    ['edge-b', 'edge-a'],
    ['relay-1-2', 'edge-b-2'],
  ] as const;
  await planned(t, ways, 'gw-b', ['edge-b', 'edge-b-2']);
  assert.equal((await node('edge-b-2').status()).role, 'edge');
  const { stdout } = await node('relay-2').exec(['wg', 'show', 'raven-wg0', 'peers']);
  assert.equal(stdout.trim().split('\n').length, 3, 'a relay keeps no peer of the old node');
});

test("an edge site's gateway node dies: traffic flows again after status names another", async (t) => {
  const pinger = await lab.pinger('edge-a-2', 'edge-b-3', { intervalMs: INTERVAL_MS });
  await flows([pinger], 20);
  await node('edge-b-2').kill9();
  for (const device of ['wan', 'cni0']) await node('edge-b-2').exec(['ip', 'link', 'set', device, 'down']);
  await lab.waitFor(async () => (await unreached(node('edge-a-2'), [node('edge-b-3').plan.podAddress])).length > 0, {
    what: 'the site is cut off',
    timeoutMs: LONG_MS,
  });
  const at = activate(lab, 'gw-b', 'edge-b');
  await flows([pinger], 60);
  const { seconds } = await healed(pinger, at);
  t.diagnostic(`flows again ${seconds.toFixed(2)} s after status named it`);
  assert.ok(seconds <= MOST_S, `${seconds} s`);
  await reaches(node('edge-b-3'), ['edge-b-2']);
});

test('the central relay is dropped: the next by name carries for everybody', async (t) => {
  const [a, b] = [node('edge-a').plan.publicAddress, node('edge-b').plan.publicAddress];
  await lab.faults.cut(a, b);
  const onRelay = async () =>
    (await node('edge-a').peer('gw-b')).path === 'relay' && (await node('edge-b').peer('gw-a')).path === 'relay';
  await lab.waitFor(onRelay, { what: 'the edges are on the relay', timeoutMs: LONG_MS });
  const pinger = await lab.pinger('edge-a-2', 'edge-b-3', { intervalMs: INTERVAL_MS });
  await flows([pinger], 20);
  const at = activate(lab, 'gw-relay-2', null);
  await lab.waitFor(
    async () => {
      const { stdout } = await node('edge-a').exec(['wg', 'show', 'raven-wg0', 'allowed-ips']);
      return (
        stdout.trim().split('\n').length === 1 && stdout.includes(node('edge-b').plan.podSubnet.split('.')[2] ?? '')
      );
    },
    { what: 'one relay is left, and carries', timeoutMs: LONG_MS },
  );
  await flows([pinger], 60);
  const { seconds, lost } = await healed(pinger, at);
  t.diagnostic(`${lost} lost, the last ${seconds.toFixed(2)} s after status dropped the central relay`);
  const [from, to] = [node('edge-a-2'), node('edge-b-3')];
  const hops = await hopsTo(from, to.plan.podAddress, 8);
  t.diagnostic(hops.join(' → '));
  assert.deepEqual(hops, [
    from.plan.bridgeAddress,
    node('edge-a').plan.privateAddress,
    node('relay-1').plan.bridgeAddress,
    node('edge-b').plan.bridgeAddress,
    to.plan.bridgeAddress,
    to.plan.podAddress,
  ]);
});

test('the active node of the site that carries for all moves: edges follow it to its other address', async (t) => {
  const ways = [
    ['edge-a-2', 'relay-1'],
    ['edge-a-2', 'edge-b-3'],
  ] as const;
  await planned(t, ways, 'gw-relay-1', ['relay-1', 'relay-1-2']);
  assert.equal((await node('relay-1-2').status()).role, 'relay');
  for (const from of lab.nodes)
    if (from.name !== 'edge-b-2' && from.name !== 'relay-2') await reaches(from, ['edge-b-2', 'relay-2']);
});
