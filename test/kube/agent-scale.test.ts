/**
 * 5,000 Gateways and 5,000 Nodes: what a built agent costs as an edge and as the relay of all, and that each change
 * is written once. The kernel of most machines that run this has no WireGuard: the tunnel is pretended.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiServer, seedGateways, until } from './api-server.js';
import { type AuditEvent, AuditLog, isGatewayWrite, isWrite } from './audit.js';
import type { Turns } from './pretend/deeds.js';
import { rebind } from './rebind.js';
import { buildPretender, EDGE, RELAY, ScaleAgent, startForAgents } from './scale-agent.js';
import { type Costs, edgeKey, newRelay, nodeName, publishedEdge, seedNodes } from './scale-world.js';

const COUNT = 5000;
const MEMORY_MIB = 250;
const IDLE_S = 60;
const CHANGES = 200;
const CHANGE_EVERY_MS = 100;
/** How many edges rebind at once. */
const REBOUND = 600;

let api: ApiServer;
let audit: AuditLog;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'corax-scale-'));
  audit = new AuditLog();
  api = await startForAgents(audit);
});
after(async () => {
  await api?.stop();
  audit.remove();
  rmSync(folder, { recursive: true, force: true });
});

const gatewayPatches = (account: typeof EDGE) => audit.of(account).filter(isGatewayWrite);

interface Phase {
  readonly seconds: number;
  /** Of a processor. */
  readonly percent: number;
  readonly requests: AuditEvent[];
}

/** What the agents do and cost while something goes on. */
async function during(agents: Record<'edge' | 'relay', ScaleAgent>, work: () => Promise<void>) {
  const seen = { edge: audit.of(EDGE).length, relay: audit.of(RELAY).length };
  const cpu = { edge: agents.edge.costs.cpu, relay: agents.relay.costs.cpu };
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const phase = (role: 'edge' | 'relay', account: typeof EDGE): Phase => ({
    seconds,
    percent: ((agents[role].costs.cpu - cpu[role]) / seconds) * 100,
    requests: audit.of(account).slice(seen[role]),
  });
  return { edge: phase('edge', EDGE), relay: phase('relay', RELAY) };
}

function row(what: string, edge: string, relay: string, limit = ''): void {
  console.log(`    ${what.padEnd(30)}${edge.padStart(18)}${relay.padStart(18)}   ${limit}`.trimEnd());
}

const perSecond = ({ requests, seconds }: Phase) => (requests.length / seconds).toFixed(2);

test('5,000 Gateways and 5,000 Nodes, seen by an edge and by a relay', async (t) => {
  await seedNodes(api, COUNT);
  const edges = Array.from({ length: COUNT - 1 }, (_, index) => publishedEdge(index));
  // The edge that is looked at is the last; what its agent says of it is not written yet.
  const own = edges.at(-1) as (typeof edges)[number];
  Object.assign(own.spec.endpoints[0] as object, { config: {} });
  Object.assign(own.status.nodes[0] as object, { subnets: ['10.201.0.0/24'] });
  await seedGateways(api, [...edges, newRelay()]);

  const main = await buildPretender(join(folder, 'bundle'));
  const start = async (node: string, address: string, account: typeof EDGE) => {
    const agent = await ScaleAgent.start(api, { node, address, account }, main, folder);
    t.after(() => agent.stop());
    const seconds = await agent.ready();
    return { agent, seconds, at: agent.costs };
  };
  const first = await start('relay', '203.0.113.1/24', RELAY);
  const second = await start(nodeName(COUNT - 2), '203.0.113.2/24', EDGE);
  const agents = { edge: second.agent, relay: first.agent };
  await until('both have published their own', () => gatewayPatches(EDGE).length + gatewayPatches(RELAY).length >= 2);
  // What is made at the start is made in slices of the loop: routes for all are there some time after it is ready.
  await until('every remote has its routes', async () => {
    const counts = await Promise.all([first.agent.routes(), second.agent.routes()]);
    return counts.every((count) => count >= COUNT - 1);
  });
  const settled = { edge: agents.edge.costs, relay: agents.relay.costs };
  const turns: Record<string, Turns> = { edge: await agents.edge.turns(), relay: await agents.relay.turns() };

  const idle = await during(agents, () => sleep(IDLE_S * 1000));
  const before = gatewayPatches(RELAY).length;
  const change = await during(agents, async () => {
    for (let index = 0; index < CHANGES; index += 1) {
      await agents.relay.move([[edgeKey(index), 20_000 + index]]);
      await sleep(CHANGE_EVERY_MS);
    }
    await until('all are written', () => gatewayPatches(RELAY).length >= before + CHANGES);
  });
  const rebinding = { api, relay: agents.relay, patches: () => gatewayPatches(RELAY), known: COUNT };
  const told = await rebind({ ...rebinding, from: CHANGES, to: CHANGES + REBOUND, twice: REBOUND / 6 });
  const end: Record<string, Costs> = { edge: agents.edge.costs, relay: agents.relay.costs };

  const at = <T>(of: Record<string, T>, show: (value: T) => string) =>
    [of.edge, of.relay].map((v) => show(v as T)) as [string, string];
  row('', 'edge', 'relay', 'limit');
  row('ready after, s', second.seconds.toFixed(1), first.seconds.toFixed(1));
  row('all in force, s of CPU', ...at(settled, ({ cpu }) => cpu.toFixed(1)));
  row('longest turn until then, ms', ...at(turns, ({ longestMs }) => longestMs.toFixed(0)), '50 (aimed at)');
  row('loop delayed at most, ms', ...at(turns, ({ delayedMs }) => delayedMs.toFixed(0)));
  row('memory at most, MiB', ...at(end, ({ memory }) => memory.toFixed(0)), `${MEMORY_MIB}`);
  row(`idle for ${IDLE_S} s: CPU, %`, ...at(idle, ({ percent }) => percent.toFixed(2)));
  row('  requests a second', ...at(idle, perSecond));
  row('  writes', ...at(idle, ({ requests }) => String(requests.filter(isWrite).length)), '0');
  row('10 changes a second: CPU, %', ...at(change, ({ percent }) => percent.toFixed(2)));
  row('  requests a second', ...at(change, perSecond));
  row(
    '  Gateways written',
    ...at(change, ({ requests }) => String(requests.filter(isGatewayWrite).length)),
    `0, ${CHANGES}`,
  );
  for (const line of told) console.log(`    ${line}`);

  for (const account of [EDGE, RELAY]) {
    const refused = audit.of(account).filter(({ responseStatus }) => (responseStatus?.code ?? 0) >= 400);
    assert.deepEqual(
      refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
      [],
    );
  }
  assert.deepEqual(idle.edge.requests.filter(isWrite), []);
  assert.deepEqual(idle.relay.requests.filter(isWrite), []);
  assert.deepEqual(change.edge.requests.filter(isWrite), [], "an edge writes nothing for others' changes");
  assert.equal(change.relay.requests.filter(isGatewayWrite).length, CHANGES, 'one change, one patch');
  for (const { memory } of Object.values(end)) assert.ok(memory < MEMORY_MIB, `${memory} MiB`);
});
