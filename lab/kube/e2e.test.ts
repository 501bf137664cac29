/**
 * Agents in a lab whose Gateways live in a real Kubernetes API on the host (test/kube/e2e.test.ts starts both, and
 * does to the API what this asks for).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { gatewayObject } from '../gateways.js';
import type { Lab } from '../lab.js';
import type { NodePlan } from '../net/plan.js';
import { bothOn, bothPlanesAlive, createPair, LONG_MS, type Pair, pause, startAgents } from '../test/agents.js';

const CONTROL = process.env.CORAX_KUBE_CONTROL ?? '';
const OUTAGE_MS = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'corax-kubeconfigs-'));
let lab: Lab;
let pair: Pair;

// biome-ignore lint/suspicious/noExplicitAny: the host's side is ours too
async function host(deed: string, body: unknown = {}): Promise<any> {
  const response = await fetch(`${CONTROL}/${deed}`, { method: 'POST', body: JSON.stringify(body) });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return JSON.parse(text);
}

before(async () => {
  const fileOf = (node: NodePlan): string => join(folder, node.name);
  ({ lab, pair } = await createPair(['port-restricted', 'restricted-cone'], {
    delays: 'proposal',
    host: true,
    store: (node) => ['--kubeconfig', fileOf(node)],
  }));
  const nodes = lab.nodes.map(({ plan }) => ({ name: plan.name, role: plan.role, gateway: gatewayObject([plan]) }));
  const kubeconfigs: Record<string, string> = await host('world', { nodes });
  for (const { plan } of lab.nodes) writeFileSync(fileOf(plan), kubeconfigs[plan.name] ?? '', { mode: 0o600 });
});

after(async () => {
  await lab?.destroy();
  rmSync(folder, { recursive: true, force: true });
});

test('holes are published by the relay through the admission policy, and the path goes direct', async (t) => {
  await startAgents([lab.relay(), pair.a, pair.b]);
  for (const node of lab.nodes) {
    const read = async () => {
      const { synced, lastError } = (await node.status()).store;
      if (!synced) throw new Error(`${lastError}`);
      return true;
    };
    await lab.waitFor(read, { what: `${node.name} has read the Gateways`, timeoutMs: 60_000 });
  }
  t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
  for (const edge of [pair.a, pair.b]) {
    const { store, nat } = await edge.status();
    assert.equal(store.kind, 'kubernetes');
    const gateway = await host('gateway', { name: edge.plan.gateway });
    const [endpoint] = gateway.spec.endpoints;
    assert.equal(`${endpoint.publicIP}:${endpoint.publicPort}`, nat.hole);
    assert.equal(endpoint.publicIP, edge.plan.publicAddress);
    assert.match(endpoint.natType, /cone NAT$/);
    assert.match(endpoint.config.publicKey, /^[\w+/]{43}=$/);
  }
  const events: Array<{ name: string; reason: string; message: string }> = await host('events');
  t.diagnostic(events.map(({ name, reason, message }) => `${name} ${reason}: ${message}`).join('\n'));
  assert.ok(events.length > 0, 'people read of it in "kubectl describe gateway"');
});

/** A site that appears while the API cannot be asked. */
function newcomer(index: number): object {
  const name = `gw-new-${index}`;
  const endpoint = {
    nodeName: `edge-new-${index}`,
    type: 'tunnel',
    underNAT: true,
    config: { publicKey: Buffer.alloc(32, 100 + index).toString('base64') },
  };
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name },
    spec: { endpoints: [endpoint] },
    status: {
      nodes: [{ nodeName: endpoint.nodeName, privateIP: '192.168.99.2', subnets: [`10.99.${index}.0/24`] }],
      activeEndpoints: [endpoint],
    },
  };
}

async function outage(t: TestContext, index: number, begin: string, end: string): Promise<void> {
  await bothPlanesAlive(lab, pair);
  const agents = lab.nodes.map((node) => node.agentPid);
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 20 });
  const byRelay = await lab.pinger('edge-a', 'relay-1', { intervalMs: 100 });
  const tcp = await lab.tcp('edge-a', 'edge-b');
  await host(begin);
  await host('seed', { gateways: [newcomer(index)] });
  await pause(OUTAGE_MS);
  const { errors, store } = await pair.a.status();
  t.diagnostic(`status meanwhile: ${store.lastError}; ${errors.map(({ code }) => code).join(', ')}`);
  await host(end);
  await lab.waitFor(() => pair.a.peer(`gw-new-${index}`), { what: 'what changed meanwhile', timeoutMs: LONG_MS });
  const stream = await tcp.stop();
  const [direct, relayed] = [await pings.stop(), await byRelay.stop()];
  t.diagnostic(
    `${direct.sent} pings directly, ${direct.lost} lost; ${relayed.sent} to the relay, ${relayed.lost} lost`,
  );
  assert.deepEqual([direct.lost, relayed.lost, stream.failed], [0, 0, 0]);
  assert.ok(stream.alive, `the TCP connection lives: ${stream.error}`);
  for (const peer of [await pair.a.peer('edge-b'), await pair.b.peer('edge-a')]) assert.equal(peer.path, 'direct');
  assert.deepEqual(
    lab.nodes.map((node) => node.agentPid),
    agents,
  );
  await Promise.all(lab.nodes.map((node) => node.status()));
}

test('the API server killed for 60 s: nothing is lost, nobody restarts, changes come after', (t) =>
  outage(t, 1, 'kill', 'restart'));

test('the API server frozen for 60 s: nothing is lost, nobody restarts, changes come after', (t) =>
  outage(t, 2, 'freeze', 'thaw'));
