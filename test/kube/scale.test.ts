/** 10,000 Gateways: what reading them costs, and that the event loop turns all the while. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { KubernetesStore } from '#src/store/kubernetes/store.js';
import { type GatewayFile, gatewayFile, Recorder } from '../unit/store/recorder.js';
import { type ApiServer, putGateway, seedGateways, startGatewayApi, until } from './api-server.js';

const COUNT = 10_000;
const name = (site: number) => `gw-${String(site).padStart(5, '0')}`;

let server: ApiServer;
before(async () => {
  server = await startGatewayApi();
  await seedGateways(
    server,
    Array.from({ length: COUNT }, (_, site) => published(site)),
  );
});
after(() => server?.stop());

/** As agents and yurt-manager leave it, with what the API server writes beside it. */
function published(site: number): GatewayFile {
  const gateway = gatewayFile(name(site), site);
  Object.assign(gateway.spec.endpoints[1] as object, {
    natType: 'Port Restricted cone NAT',
    publicIP: '203.0.113.10',
    publicPort: 4500,
    config: { publicKey: Buffer.alloc(32, 1 + (site % 255)).toString('base64'), corax: '0.1.0' },
  });
  const fields = { 'f:spec': { 'f:endpoints': {} }, 'f:status': { 'f:nodes': {}, 'f:activeEndpoints': {} } };
  const managedFields = ['corax', 'yurt-manager'].map((manager) => ({
    manager,
    operation: 'Update',
    apiVersion: 'raven.openyurt.io/v1beta1',
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
  }));
  Object.assign(gateway.metadata, { managedFields });
  return gateway;
}

/** Processor time of this thread alone, in milliseconds: neither others' load nor the collector's helpers count. */
function threadTime(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

/** Turns of the event loop while something is awaited, by the processor time that each took, in milliseconds. */
async function turnsDuring(work: () => Promise<void>) {
  let [turns, longest] = [0, 0];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const first = threadTime();
  let last = first;
  let going = true;
  const turn = () => {
    const now = threadTime();
    turns += 1;
    longest = Math.max(longest, now - last);
    last = now;
    if (going) setImmediate(turn);
  };
  setImmediate(turn);
  delay.enable();
  const began = performance.now();
  await work();
  going = false;
  delay.disable();
  return { turns, longest, total: last - first, wall: performance.now() - began, delayed: delay.max / 1e6 };
}

test(`${COUNT} Gateways are read in slices, and one that changes is work for one`, async (t) => {
  const file = join(server.folder, 'kubeconfig.json');
  writeFileSync(file, server.kubeconfig(server.adminToken, server.url), { mode: 0o600 });
  const store = new KubernetesStore({ kind: 'kubeconfig', file });
  const seen = new Recorder();
  t.after(() => store.stop());
  const { turns, longest, total, wall, delayed } = await turnsDuring(() => store.start(seen.onChange));
  assert.equal(seen.gateways.size, COUNT);
  assert.deepEqual(
    seen.batches.map(({ upserted }) => upserted.length),
    [COUNT],
    'one batch: unknown is not empty',
  );
  t.diagnostic(
    `${COUNT} Gateways in ${store.api.requests} requests: ${wall.toFixed(0)} ms, ${total.toFixed(0)} ms of processor time ` +
      `in ${turns} turns, the longest ${longest.toFixed(1)} ms; event loop delayed ${delayed.toFixed(1)} ms at most`,
  );
  assert.ok(longest < total / 20, `one turn took ${longest} of ${total} ms`);

  await until('the store watches', () => store.health().lastError === null);
  const { reads } = store.health();
  await putGateway(server, gatewayFile(name(7), 20_000));
  await until(
    'the change is seen',
    () => seen.gateways.get(name(7))?.subnets[0] === gatewayFile('x', 20_000).status.nodes[0]?.subnets?.toString(),
  );
  assert.ok(store.health().reads - reads <= 2, 'spec and status of one Gateway');
  assert.ok(new Set(seen.since(1)).size === 1);

  // Many edges whose holes moved at once: a patch each and no other request; the same again: none at all.
  const moved = Array.from({ length: 500 }, (_, index) => {
    const gateway = name(100 + index);
    return { gateway, nodeName: `${gateway}-node`, set: { publicPort: 20_000 + index } };
  });
  const { requests } = store.api;
  const since = performance.now();
  const written = await Promise.all(moved.map((patch) => store.publish(patch)));
  assert.deepEqual(new Set(written), new Set(['written']));
  assert.equal(store.api.requests - requests, moved.length);
  t.diagnostic(
    `${moved.length} holes published in ${moved.length} requests, ${(performance.now() - since).toFixed(0)} ms`,
  );
  const again = await Promise.all(moved.map((patch) => store.publish(patch)));
  assert.deepEqual(new Set(again), new Set(['unchanged']));
  assert.equal(store.api.requests - requests, moved.length);
  assert.equal(store.health().writes, moved.length);
});
