/** Foul weather: each ends connected, with the hole unmoved where nothing moved it. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Lab } from '../lab.js';
import { bothOn, footprint, forgetAll, holeOf, LONG_MS, type Pair, pause, startAgents } from './agents.js';

let lab: Lab;
let pair: Pair;
/** What was there before the first agent. */
let untouched: Record<string, string>;

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
  untouched = await footprint(pair.a);
  await startAgents([...lab.relays, ...lab.sites]);
});

after(() => lab?.destroy());

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

test('two edges behind one NAT: each direct with the world, and reached by each other', async (t) => {
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
  // edge-b goes on sending to edge-a's hole; edge-a comes up from nothing under that.
  const pings = await lab.pinger('edge-b', 'edge-a', { intervalMs: 20 });
  await pair.a.kill9();
  await forgetAll(pair.a);
  await pair.a.startAgent();
  await settles(t, holes);
  await pings.stop();
});

test('--cleanup leaves nothing behind, and the next start builds everything again', async (t) => {
  const holes = [await holeOf(pair.a), await holeOf(pair.b)];
  await pair.a.stop();
  await pair.a.exec(pair.a.agentCommand(['--cleanup']));
  assert.deepEqual(await footprint(pair.a), untouched);
  await pair.a.startAgent();
  await settles(t, holes);
});
