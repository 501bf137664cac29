/** Foul weather: each ends connected, with the hole unmoved where nothing moved it. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { bothOn, LONG_MS, type Pair, pause, startAgents } from './agents.js';

/** More steps than three relays and two remotes take. */
const MOST_STEPS = 120;
/** An agent that has done all there is to do is still alive after this. */
const QUIET_MS = 8_000;

let lab: Lab;
let pair: Pair;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted' },
      { name: 'edge-b', nat: 'full-cone' },
      { name: 'edge-c', nat: 'port-restricted', behind: 'edge-a' },
    ],
    // The last by name is the central one; the first stands at the address of edge-b.
    relays: [{ name: 'relay-1', behind: 'edge-b' }, { name: 'relay-2' }, { name: 'relay-3' }],
    delays: 'none',
  });
  pair = { a: lab.site('edge-a'), b: lab.site('edge-b') };
  await startAgents([...lab.relays, ...lab.sites]);
});

after(() => lab?.destroy());

const holeOf = async (node: LabNode) => (await node.status()).nat.hole;

async function reaches(from: string, to: string): Promise<void> {
  const pings = await lab.pinger(from, to, { intervalMs: 100 });
  await pause(2_000);
  const { sent, lost } = await pings.stop();
  assert.equal(lost, 0, `${from} to ${to}: ${lost} of ${sent} pings lost`);
}

/** Connected again, directly, through the same holes. */
async function settles(t: TestContext, holes: readonly (string | null)[]): Promise<void> {
  t.diagnostic(`direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
  await reaches('edge-a', 'edge-b');
  assert.deepEqual([await holeOf(pair.a), await holeOf(pair.b)], holes, 'the holes did not move');
}

test('three relays, one at the address of a direct remote: that remote is direct', async (t) => {
  t.diagnostic(`direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
  const [remote, relay] = await Promise.all([pair.a.peer('edge-b'), pair.a.peer('relay-1')]);
  const [address, other] = [remote.planes.direct?.endpoint?.split(':')[0], relay.planes.relay?.endpoint?.split(':')[0]];
  assert.equal(address, other, 'both are at one address');
  await lab.waitFor(async () => (await pair.a.peer('relay-1')).planes.relay?.lastHandshake, {
    what: 'a handshake with the relay at the remote’s address',
    timeoutMs: LONG_MS,
  });
  await reaches('edge-a', 'edge-b');
  await reaches('edge-a', 'relay-1');
});

test('two edges behind one NAT: each direct with the world, and by the relay with each other', async (t) => {
  const c = lab.site('edge-c');
  t.diagnostic(`edge-c direct after ${(await bothOn(lab, { a: c, b: pair.b }, 'direct')).toFixed(1)} s`);
  assert.notEqual(await holeOf(c), await holeOf(pair.a), 'each has a hole of its own');
  await reaches('edge-c', 'edge-b');
  await reaches('edge-a', 'edge-c');
});

test('conntrack flushed on the edge and on its NAT', async (t) => {
  const holes = [await holeOf(pair.a), await holeOf(pair.b)];
  await pair.a.flushConntrack();
  await pair.a.flushNatConntrack();
  await pause(2_000);
  await settles(t, holes);
});

test("the remote's packets come before our rules are loaded", async (t) => {
  const holes = [await holeOf(pair.a), await holeOf(pair.b)];
  await pair.a.kill9();
  // edge-b goes on sending to edge-a's hole; edge-a comes up from nothing under that.
  await forgetAll(pair.a);
  await pair.a.startAgent();
  await settles(t, holes);
});

test('the agent killed between any two steps of an apply', async (t) => {
  const holes = [await holeOf(pair.a), await holeOf(pair.b)];
  await pair.a.kill9();
  await forgetAll(pair.a);
  // Each start goes one step further than the last, over what that one left behind.
  let deaths = 0;
  while (await diesAfter(pair.a, deaths + 1)) {
    deaths += 1;
    assert.ok(deaths < MOST_STEPS, 'an agent that gets one step further each time gets done');
  }
  t.diagnostic(`${deaths} deaths`);
  assert.ok(deaths > 10, `there is more to do than ${deaths} steps`);
  await pair.a.restart('kill9');
  await settles(t, holes);
});

test('--cleanup leaves nothing behind, and the next start builds everything again', async (t) => {
  const holes = [await holeOf(pair.a), await holeOf(pair.b)];
  await pair.a.stop();
  await pair.a.exec(pair.a.agentCommand(['--cleanup']));
  const left = await Promise.all([
    pair.a.exec(['ip', '-o', 'link', 'show', 'type', 'wireguard']),
    pair.a.exec(['ip', 'rule', 'show', 'table', '9028']),
    pair.a.exec(['ip', 'route', 'show', 'table', '9028'], { allowFailure: true }),
    pair.a.exec(['nft', 'list', 'table', 'ip', 'corax'], { allowFailure: true }),
  ]);
  assert.deepEqual(
    left.map(({ stdout }) => stdout.trim()),
    ['', '', '', ''],
  );
  await pair.a.startAgent();
  await settles(t, holes);
});

/** As after a reboot: no device, rule, route or table of ours. */
async function forgetAll(node: LabNode): Promise<void> {
  for (const device of ['raven-wg0', 'raven-wg1']) await node.exec(['ip', 'link', 'del', device]);
  await node.exec(['nft', 'delete', 'table', 'ip', 'corax']);
  for (const priority of ['97', '98', '99', '101']) await node.exec(['ip', 'rule', 'del', 'priority', priority]);
  for (const table of ['9028', '9029', '9030'])
    await node.exec(['ip', 'route', 'flush', 'table', table], { allowFailure: true });
}

async function diesAfter(node: LabNode, steps: number): Promise<boolean> {
  try {
    await node.startAgent([], { CORAX_FAULT: `exit-after-step:${steps}` });
  } catch {
    return true;
  }
  const pid = node.agentPid as number;
  const quietAt = performance.now() + QUIET_MS;
  while (performance.now() < quietAt) {
    if (!isAlive(pid)) {
      await node.kill9();
      return true;
    }
    await pause(100);
  }
  return false;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
