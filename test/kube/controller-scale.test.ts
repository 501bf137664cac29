/** 5,000 Gateways and 5,000 Nodes: what the built controller costs, and that it writes each status once. */
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type ApiServer,
  apply,
  ensure,
  GATEWAYS,
  makeToken,
  readManifests,
  seedGateways,
  startGatewayApi,
  until,
} from './api-server.js';
import { AuditLog, isLease, isWrite } from './audit.js';
import { ControllerProcess } from './controller-process.js';
import { costs, gatewayName, nodeName, seedNodes, siteLabel } from './scale-world.js';

const COUNT = 5000;
const MEMORY_MIB = 250;
const CHANGES = 100;
const CHANGE_EVERY_MS = 100;
const ACCOUNT = { namespace: 'corax', name: 'corax-controller' };
const DIST = [fileURLToPath(new URL('../../dist/main.js', import.meta.url)), 'controller'];

const audit = new AuditLog();
let api: ApiServer;
before(async () => {
  api = await startGatewayApi({ flags: audit.flags });
  await ensure(api, '/api/v1/namespaces', { metadata: { name: 'corax' } });
  for (const manifest of readManifests('deploy/controller/rbac.yaml')) await apply(api, manifest);
});
after(async () => {
  await api?.stop();
  audit.remove();
});

test('5,000 Gateways and 5,000 Nodes', async (t) => {
  await seedNodes(api, COUNT);
  await seedGateways(
    api,
    Array.from({ length: COUNT }, (_, index) => ({
      apiVersion: 'raven.openyurt.io/v1beta1',
      kind: 'Gateway',
      metadata: { name: gatewayName(index) },
      spec: {
        nodeSelector: { matchLabels: siteLabel(index) },
        endpoints: [{ nodeName: nodeName(index), type: 'tunnel', underNAT: true }],
      },
      status: { nodes: [] },
    })),
  );
  const token = await makeToken(api, ACCOUNT, { pod: 'controller', onNode: nodeName(0) });
  const began = performance.now();
  const controller = new ControllerProcess(api, 'controller', token, [], DIST);
  t.after(() => controller.kill());
  const requests = () => audit.of(ACCOUNT).filter((event) => !isLease(event));
  const writes = () => requests().filter(isWrite);
  await until('every status is written', () => {
    controller.check();
    return writes().length >= COUNT;
  });
  const seconds = (performance.now() - began) / 1000;
  const filled = costs(controller.pid);
  const perGateway = new Map<string, number>();
  for (const { objectRef } of writes()) {
    const name = objectRef?.name ?? '';
    perGateway.set(name, (perGateway.get(name) ?? 0) + 1);
  }
  const { items } = await api.must('GET', `${GATEWAYS}?limit=${COUNT}`);
  const wrong = items.filter(
    ({ metadata, status }: { metadata: { name: string }; status: Record<string, { nodeName: string }[]> }) => {
      const node = `node-${metadata.name.slice(3)}`;
      return status.activeEndpoints?.[0]?.nodeName !== node || status.nodes?.[0]?.nodeName !== node;
    },
  );

  const idleFrom = { cpu: costs(controller.pid).cpu, at: performance.now(), requests: requests().length };
  const renewals = () => audit.of(ACCOUNT).filter((event) => isLease(event) && isWrite(event)).length;
  const first = renewals();
  await until('the Lease was renewed five times', () => renewals() >= first + 5);
  const idleSeconds = (performance.now() - idleFrom.at) / 1000;
  const idle = costs(controller.pid);
  const idleRequests = requests().slice(idleFrom.requests);
  const percent = ((idle.cpu - idleFrom.cpu) / idleSeconds) * 100;

  // A node a turn gets another address, which its gateway's status has to tell.
  const changeFrom = { cpu: idle.cpu, at: performance.now(), requests: requests().length, writes: writes().length };
  const address = (index: number) => `172.16.${index >> 8}.${index & 255}`;
  for (let index = 0; index < CHANGES; index += 1) {
    const body = { status: { addresses: [{ type: 'InternalIP', address: address(index) }] } };
    const type = 'application/strategic-merge-patch+json';
    await api.must('PATCH', `/api/v1/nodes/${nodeName(index)}/status`, { body, type });
    await sleep(CHANGE_EVERY_MS);
  }
  await until('every change is in a status', async () => {
    const { items } = await api.must('GET', `${GATEWAYS}?limit=${CHANGES}`);
    return items.every(({ status }: { status: { nodes: { privateIP: string }[] } }, index: number) => {
      return status.nodes[0]?.privateIP === address(index);
    });
  });
  const changeSeconds = (performance.now() - changeFrom.at) / 1000;
  const changed = costs(controller.pid);
  const changePercent = ((changed.cpu - changeFrom.cpu) / changeSeconds) * 100;
  const changeWrites = writes().slice(changeFrom.writes);

  console.log(`    every status written    ${seconds.toFixed(1)} s, ${filled.cpu.toFixed(1)} s of processor time`);
  console.log(`    requests                ${requests().length}, of them ${writes().length} writes`);
  console.log(`    memory at most          ${idle.memory.toFixed(0)} MiB`);
  console.log(
    `    idle for ${idleSeconds.toFixed(0)} s           ${percent.toFixed(2)} % of a processor, ${idleRequests.length} requests beside the Lease`,
  );
  console.log(
    `    ${CHANGES} changes in ${changeSeconds.toFixed(0)} s       ${changePercent.toFixed(2)} % of a processor, ${requests().length - changeFrom.requests} requests, ${changeWrites.length} writes`,
  );
  assert.deepEqual(wrong, []);
  assert.equal(perGateway.size, COUNT);
  assert.deepEqual(
    [...perGateway].filter(([, count]) => count > 1),
    [],
    'each is written once',
  );
  assert.deepEqual(idleRequests.filter(isWrite), []);
  assert.ok(changeWrites.length <= CHANGES, `${changeWrites.length} writes for ${CHANGES} changes`);
  assert.equal(new Set(changeWrites.map(({ objectRef }) => objectRef?.name)).size, changeWrites.length, 'one for each');
  assert.ok(idle.memory < MEMORY_MIB, `${idle.memory} MiB`);
});
