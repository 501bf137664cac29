/**
 * Agents in a lab that a real Prometheus on the host scrapes and a real Chromium looks at (test/metrics/
 * prometheus.test.ts starts all): relay, direct, cut, a relay that is lost and an agent that is gone. After each the
 * host is asked what they make of it.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { writeGatewayFile } from '../gateways.js';
import type { Lab } from '../lab.js';
import { inside } from '../net/apply.js';
import { HOST_ADDRESS } from '../net/host-access.js';
import { spawnBound } from '../process.js';
import { bothOn, bothPlanesAlive, createPair, type Pair, startAgents } from '../test/agents.js';

const CONTROL = process.env.CORAX_METRICS_CONTROL ?? '';
const EXIT_PORT = process.env.CORAX_METRICS_EXIT ?? '';
const TUNNEL = join(dirname(fileURLToPath(import.meta.url)), 'tunnel.js');

let lab: Lab;
let pair: Pair;
const tunnels: ChildProcess[] = [];

before(async () => {
  ({ lab, pair } = await createPair(['port-restricted', 'restricted-cone'], {
    delays: 'proposal',
    host: true,
  }));
});

after(async () => {
  for (const tunnel of tunnels) tunnel.kill('SIGKILL');
  await lab?.destroy();
});

/** The host looks at what Prometheus and the page have; resolves when it has seen what it wants. */
async function seen(t: TestContext, what: string): Promise<void> {
  const response = await fetch(`${CONTROL}/${what}`, { method: 'POST' });
  const text = await response.text();
  for (const line of text.split('\n')) t.diagnostic(line);
  assert.equal(response.status, 200, text);
}

const cut = () => lab.faults.cut(pair.a.plan.publicAddress, pair.b.plan.publicAddress);
const heal = () => lab.faults.heal(pair.a.plan.publicAddress, pair.b.plan.publicAddress);

test('by the relay', async (t) => {
  await cut();
  await startAgents([lab.relay(), pair.a]);
  await pair.b.startAgent();
  for (const { name, plan } of lab.nodes) {
    const program = [process.execPath, TUNNEL, HOST_ADDRESS, EXIT_PORT, name];
    tunnels.push(spawnBound([...inside(plan.namespace), ...program], { stdio: 'ignore' }));
  }
  await bothOn(lab, pair, 'relay');
  await seen(t, 'relayed');
});

test('directly', async (t) => {
  await heal();
  // A hole that moved is a reason to try at once.
  await pair.b.rebindNat();
  t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
  await bothPlanesAlive(lab, pair);
  await seen(t, 'direct');
});

test('cut: by the relay again', async (t) => {
  await cut();
  t.diagnostic(`both on the relay after ${(await bothOn(lab, pair, 'relay')).toFixed(1)} s`);
  await seen(t, 'cut');
});

test('the relay is lost, and comes back; meanwhile a Gateway is wrong', async (t) => {
  writeGatewayFile(lab.gateways, 'wrong.yaml', 'kind: Gateway\nmetadata: { name: wrong }\nspec: {');
  await lab.faults.blockUdp(lab.relay().plan.publicAddress);
  await seen(t, 'lost');
  rmSync(join(lab.gateways, 'wrong.yaml'));
  await lab.faults.unblockUdp(lab.relay().plan.publicAddress);
  await bothOn(lab, pair, 'relay');
  await seen(t, 'back');
});

test('an agent is gone, the others lose their Gateways, and all comes back', async (t) => {
  const aside = `${lab.gateways}-aside`;
  await pair.a.kill9();
  renameSync(lab.gateways, aside);
  await seen(t, 'agent-gone');
  renameSync(aside, lab.gateways);
  await pair.a.startAgent();
  await seen(t, 'agent-back');
});
