/** A relay whose 10,000 edges all rebind at the same moment: what reaches the API, how fast, and who waits for whom. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seedGateways, until } from '../kube/api-server.js';
import { AuditLog, isGatewayWrite } from '../kube/audit.js';
import { rebind } from '../kube/rebind.js';
import { buildPretender, RELAY, ScaleAgent, startForAgents } from '../kube/scale-agent.js';
import { newRelay, publishedEdge } from '../kube/scale-world.js';

const EDGES = 10_000;
/** 20 writes a second, and as much again. */
const PATIENCE_MS = 1_000_000;

test('10,000 edges rebind at once', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'corax-rebind-'));
  const audit = new AuditLog();
  const api = await startForAgents(audit);
  t.after(async () => {
    await api.stop();
    audit.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  // One more, which moves by itself.
  await seedGateways(api, [...Array.from({ length: EDGES + 1 }, (_, index) => publishedEdge(index)), newRelay()]);
  const main = await buildPretender(join(folder, 'bundle'));
  const plan = { node: 'relay', address: '203.0.113.1/24', account: RELAY };
  const relay = await ScaleAgent.start(api, plan, main, folder);
  t.after(() => relay.stop());
  await relay.ready();
  await until('every edge has its route', async () => (await relay.routes()) > EDGES);
  // Measuring the loop keeps it turning: that ends here.
  const { longestMs } = await relay.turns();
  const patches = () => audit.of(RELAY).filter(isGatewayWrite);
  const before = relay.costs;
  const told = await rebind({
    api,
    relay,
    patches,
    known: EDGES + 2,
    from: 0,
    to: EDGES,
    twice: 1000,
    patienceMs: PATIENCE_MS,
  });
  const { cpu, memory } = relay.costs;
  for (const line of told) console.log(`    ${line}`);
  console.log(`      longest turn until ready    ${longestMs.toFixed(0)} ms`);
  console.log(
    `      processor time              ${(cpu - before.cpu).toFixed(1)} s; memory at most ${memory.toFixed(0)} MiB`,
  );
  assert.ok(audit.of(RELAY).length < 1.1 * EDGES, 'events on Gateways are few beside them');
});
