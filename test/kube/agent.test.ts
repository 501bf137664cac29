/** The agent as a pod: its service account, its rights and no more, its Gateway, its status, its events. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { statusSchema } from '#src/model/status.js';
import { Access } from '#src/store/kubernetes/access.js';
import { KubeApi } from '#src/store/kubernetes/api.js';
import { KubernetesEvents } from '#src/store/kubernetes/events.js';
import { exited, stopProcess } from '../../lab/process.js';
import { gatewayFile } from '../unit/store/recorder.js';
import {
  type ApiServer,
  apply,
  GATEWAYS,
  makeServiceAccount,
  makeToken,
  putGateway,
  readManifests,
  startGatewayApi,
  until,
} from './api-server.js';
import { Pod } from './pod.js';

const EVENTS = '/apis/events.k8s.io/v1/events';
const account = { namespace: 'corax', name: 'corax-relay' };

let server: ApiServer;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'corax-pod-'));
  server = await startGatewayApi();
  await makeServiceAccount(server, account);
  for (const file of ['rbac', 'policy']) {
    for (const manifest of readManifests(`deploy/base/${file}.yaml`)) await apply(server, manifest);
  }
});
after(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Events on a gateway, as `kubectl describe gateway` finds them. */
async function eventsOn(name: string) {
  const { metadata } = await server.must('GET', `${GATEWAYS}/${name}`);
  const query = new URLSearchParams({
    fieldSelector: `involvedObject.name=${name},involvedObject.kind=Gateway,involvedObject.uid=${metadata.uid}`,
  });
  return (await server.must('GET', `/api/v1/events?${query}`)).items;
}

test('in a pod: reads Gateways by its service account, publishes its own endpoint, and tells of it', async (t) => {
  const relay = gatewayFile('gw-relay', 1);
  relay.spec.endpoints = [{ nodeName: 'relay', type: 'tunnel', port: 4500, underNAT: false }];
  relay.status.nodes = [{ nodeName: 'relay', privateIP: '203.0.113.1', subnets: ['10.64.1.0/24'] }];
  relay.status.activeEndpoints = [{ nodeName: 'relay', type: 'tunnel' }];
  const bad = gatewayFile('gw-bad', 2);
  (bad.spec.endpoints[1] as Record<string, unknown>).publicPort = 70_000;
  for (const gateway of [relay, bad, gatewayFile('gw-edge', 3)]) await putGateway(server, gateway);

  const pod = await Pod.start(server, { node: 'relay', address: '203.0.113.1/24', account }, folder);
  t.after(() => pod.stop());
  const agent = pod.startAgent();
  t.after(() => stopProcess(agent));

  await until('the agent has published its endpoint', async () => {
    const { spec } = await server.must('GET', `${GATEWAYS}/gw-relay`);
    const [{ config, publicIP, publicPort }] = spec.endpoints;
    return config?.publicKey?.length === 44 && publicIP === '203.0.113.1' && publicPort === 4500;
  });
  const status = statusSchema.parse(await pod.status());
  assert.deepEqual(status.store, { kind: 'kubernetes', synced: true, lastError: null });
  assert.deepEqual([status.node, status.gateway, status.role], ['relay', 'gw-relay', 'relay']);
  const refused = status.errors.find(({ gateway }) => gateway === 'gw-bad');
  assert.match(refused?.message ?? '', /publicPort 70000.*\(gateways\/gw-bad\)$/);

  await until(
    'both events are there',
    async () => (await eventsOn('gw-bad')).length + (await eventsOn('gw-relay')).length >= 2,
  );
  const told = [...(await eventsOn('gw-bad')), ...(await eventsOn('gw-relay'))];
  const lines = told.map(({ type, reason, message }) => `${type} ${reason}: ${message}`).sort();
  assert.equal(lines.length, 2);
  assert.equal(lines[0], 'Normal HoleChanged: relay is seen at 203.0.113.1:4500');
  assert.match(lines.at(-1) ?? '', /^Warning Refused: refused: spec\.endpoints\[1\]\.publicPort 70000: is not a port/);

  agent.kill('SIGTERM');
  assert.equal(await exited(agent), 0);
});

test('events: one object for what goes on and on, its count growing; one without its right is told of and harms nobody', async (t) => {
  await putGateway(server, gatewayFile('gw-much', 4));
  const { metadata } = await server.must('GET', `${GATEWAYS}/gw-much`);
  const recorderFor = async (name: string) => {
    const someone = { namespace: 'corax', name };
    await makeServiceAccount(server, someone);
    const file = join(folder, `${name}.json`);
    writeFileSync(file, server.kubeconfig(await makeToken(server, someone)), { mode: 0o600 });
    const api = new KubeApi(new Access({ kind: 'kubeconfig', file }), 'test');
    const troubles: unknown[] = [];
    const uidOf = (gateway: string) => (gateway === 'gw-much' ? (metadata.uid as string) : null);
    const onTrouble = (error: unknown) => void (error !== null && troubles.push(error));
    const recorder = new KubernetesEvents({ api, uidOf, instance: 'edge-a', onTrouble }, 200);
    t.after(async () => {
      await recorder.stop();
      await api.close();
    });
    return { api, recorder, troubles };
  };
  const { api, recorder, troubles } = await recorderFor('corax-edge');
  const event = { gateway: 'gw-much', type: 'Warning', reason: 'BackToRelay', action: 'ChangePath' } as const;
  for (let times = 0; times < 300; times += 1) recorder.record({ ...event, note: `to gw-b: ${times % 3}` });
  recorder.record({ ...event, gateway: 'gw-unknown', note: 'nobody reads this' });
  await until('all are counted', async () => {
    const items = await eventsOn('gw-much');
    return (
      items.reduce((sum: number, { series }: { series?: { count: number } }) => sum + (series?.count ?? 1), 0) === 300
    );
  });
  const items = await eventsOn('gw-much');
  assert.equal(items.length, 3);
  assert.ok(api.requests <= 9, `${api.requests} requests for 300 events`);
  assert.equal(items[0].reportingComponent, 'openyurt.io/corax-agent');
  assert.equal(items[0].reportingInstance, 'edge-a');
  assert.deepEqual(troubles, []);
  assert.equal(
    (await server.must('GET', EVENTS)).items.filter((each: { note: string }) => /nobody/.test(each.note)).length,
    0,
  );

  const poor = await recorderFor('nobody');
  poor.recorder.record({ ...event, note: 'x' });
  await until('it is refused', () => poor.troubles.length > 0);
  assert.match(String(poor.troubles[0]), /cannot create resource "events"/);
});
