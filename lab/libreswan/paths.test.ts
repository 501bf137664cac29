/** One pair of edges with Debian's pluto through everything that can happen to its path. */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Lab } from '../lab.js';
import {
  bothOn,
  bothPlanesAlive,
  forcePath,
  frozen,
  LONG_MS,
  type Pair,
  pause,
  peersOf,
  startAgents,
} from '../test/agents.js';
import type { PingReport } from '../traffic/pinger.js';

const PING_MS = 20;

let lab: Lab;
let pair: Pair;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted' },
      { name: 'edge-b', nat: 'port-restricted' },
    ],
    relays: [{ name: 'relay-1' }],
    delays: 'proposal',
    driver: 'libreswan',
  });
  pair = { a: lab.site('edge-a'), b: lab.site('edge-b') };
});

after(() => lab?.destroy());

/** Pings for as long as something is done. */
async function meanwhile(t: TestContext, act: () => Promise<void>): Promise<PingReport> {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  try {
    await act();
    await pause(1_000);
  } catch (error) {
    pings.kill();
    throw error;
  }
  const report = await pings.stop();
  t.diagnostic(`pings: ${report.sent} sent, ${report.lost} lost, longest gap ${Math.round(report.longestGapMs)} ms`);
  return report;
}

const cut = () => lab.faults.cut(pair.a.plan.publicAddress, pair.b.plan.publicAddress);
const heal = () => lab.faults.heal(pair.a.plan.publicAddress, pair.b.plan.publicAddress);

test('relay first, then direct: nothing is lost', async (t) => {
  await cut();
  await startAgents([lab.relay(), pair.a]);
  await pair.b.startAgent();
  await bothOn(lab, pair, 'relay');
  const report = await meanwhile(t, async () => {
    await pause(1_000);
    await heal();
    t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
    await bothPlanesAlive(lab, pair);
  });
  assert.equal(report.lost, 0);
});
