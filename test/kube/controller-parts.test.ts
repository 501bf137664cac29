/** The controller's parts in this process, with short times, against a real API server. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { Controller, type ControllerTimes } from '#src/controller/controller.js';
import { Leadership, type LeaseTimes } from '#src/controller/lease.js';
import { createControllerMetrics } from '#src/controller/metrics.js';
import { type Presence, YurtManager } from '#src/controller/yurt-manager.js';
import { Access } from '#src/store/kubernetes/access.js';
import { KubeApi } from '#src/store/kubernetes/api.js';
import { createLogger } from '#src/telemetry/log.js';
import { type ApiServer, ensure, GATEWAYS, startGatewayApi, until } from './api-server.js';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
const LEASE_TIMES: LeaseTimes = { durationMs: 2000, deadlineMs: 1200, retryMs: 200 };
const MERGE_PATCH = 'application/merge-patch+json';

let server: ApiServer;
let kubeconfig = '';
before(async () => {
  server = await startGatewayApi();
  kubeconfig = join(server.folder, 'admin.kubeconfig');
  writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
});
after(() => server?.stop());

const connect = () => new KubeApi(new Access({ kind: 'kubeconfig', file: kubeconfig }), 'corax-test');

describe('leadership', () => {
  test('never two at once, through a frozen API server and after it', async () => {
    const lease = { namespace: 'default', name: 'contended' };
    const apis = [connect(), connect(), connect()];
    const changes: string[] = [];
    const all = apis.map((api, index) => {
      const events = { changed: (leads: boolean) => void changes.push(`${index} ${leads}`), failed: () => {} };
      return new Leadership(api, lease, `replica-${index}`, events, LEASE_TIMES);
    });
    const leaders = () => all.filter(({ leads }) => leads).length;
    let most = 0;
    const watching = setInterval(() => {
      most = Math.max(most, leaders());
    }, 2);
    for (const each of all) each.start();
    await until('one leads', () => leaders() === 1);
    for (let round = 1; round <= 2; round += 1) {
      server.freeze();
      await until('it could not renew, and stops by itself', () => leaders() === 0);
      server.thaw();
      await until('one leads again', () => leaders() === 1);
    }
    const leader = all.find(({ leads }) => leads);
    await leader?.stop();
    await until('another leads', () => leaders() === 1);
    for (const each of all) await each.stop();
    clearInterval(watching);
    for (const api of apis) await api.close();
    assert.equal(most, 1);
    assert.ok(changes.length >= 6, changes.join());
  });

  test('somebody else takes the Lease: it leads no more, and says so once', async () => {
    const api = connect();
    const changes: boolean[] = [];
    const events = { changed: (leads: boolean) => void changes.push(leads), failed: () => {} };
    const leadership = new Leadership(api, { namespace: 'default', name: 'taken' }, 'me', events, LEASE_TIMES);
    leadership.start();
    await until('it leads', () => leadership.leads);
    const renew = () => ({
      spec: {
        holderIdentity: 'thief',
        leaseDurationSeconds: 60,
        renewTime: new Date().toISOString().replace('Z', '000Z'),
      },
    });
    await server.must('PATCH', `${LEASES}/taken`, { type: MERGE_PATCH, body: renew() });
    await until('it follows', () => !leadership.leads && leadership.holder === 'thief');
    assert.deepEqual(changes, [true, false]);
    await leadership.stop();
    assert.equal((await server.must('GET', `${LEASES}/taken`)).spec.holderIdentity, 'thief', "the thief's stays");
    await api.close();
  });
});

describe('is there a yurt-manager?', () => {
  test('absent, running, left behind; a forbidden look is no answer', async () => {
    const api = connect();
    const seen: string[] = [];
    const lease = { namespace: 'default', name: 'yurt-manager' };
    const told = ({ kind }: Presence) => void seen.push(kind);
    const yurt = new YurtManager(api, lease, told, { lookMs: 50, patience: 2 });
    await yurt.start();
    assert.deepEqual(yurt.presence, { kind: 'absent' });
    await server.must('POST', LEASES, {
      body: { metadata: { name: 'yurt-manager' }, spec: { holderIdentity: 'yurt-1', leaseDurationSeconds: 1 } },
    });
    await until('it is seen', () => yurt.presence.kind === 'runs');
    await until('it is not renewed, and counts as left behind', () => yurt.presence.kind === 'absent');
    const renewTime = new Date().toISOString().replace('Z', '000Z');
    await server.must('PATCH', `${LEASES}/yurt-manager`, { type: MERGE_PATCH, body: { spec: { renewTime } } });
    await until('it is back', () => yurt.presence.kind === 'runs');
    await yurt.stop();
    assert.deepEqual(seen, ['absent', 'runs', 'absent', 'runs']);
    await api.close();

    const nobody = join(server.folder, 'nobody.kubeconfig');
    await ensure(server, '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'nobody' } });
    const { status } = await server.must('POST', '/api/v1/namespaces/default/serviceaccounts/nobody/token', {
      body: { spec: {} },
    });
    writeFileSync(nobody, server.kubeconfig(status.token), { mode: 0o600 });
    const powerless = new KubeApi(new Access({ kind: 'kubeconfig', file: nobody }), 'corax-test');
    const forbidden = new YurtManager(powerless, lease, () => {}, { lookMs: 50, patience: 2 });
    await forbidden.start();
    assert.equal(forbidden.presence.kind, 'unknown');
    assert.match(JSON.stringify(forbidden.presence), /cannot get resource/);
    await forbidden.stop();
    await powerless.close();
  });
});

describe('writing', () => {
  function build(t: TestContext, times: Partial<ControllerTimes>, api: KubeApi) {
    const metrics = createControllerMetrics('test', () => {
      return { leads: true, idle: false, gateways: 0, nodes: 0, refused: 0, waiting: 0 };
    });
    const controller = new Controller({
      api,
      logger: createLogger({ level: 'silent' }),
      metrics: () => metrics,
      events: () => ({ record: () => {}, stop: async () => {} }),
      mayWrite: () => true,
      times: { graceMs: 1000, copyMs: 1000, firstRetryMs: 50, lastRetryMs: 200, ...times },
    });
    const written = async (result: string) => {
      const { values } = await metrics.writes.get();
      return values.find(({ labels }) => labels.result === result)?.value ?? 0;
    };
    t.after(async () => {
      await controller.stop();
      metrics.clear();
      await api.close();
    });
    return { controller, written };
  }
  const makeGateway = (name: string) =>
    ensure(server, GATEWAYS, {
      apiVersion: 'raven.openyurt.io/v1beta1',
      kind: 'Gateway',
      metadata: { name },
      spec: { endpoints: [{ nodeName: 'n9', type: 'tunnel', underNAT: true }] },
    });
  const publishHole = (name: string, publicPort: number) =>
    server.must('PATCH', `${GATEWAYS}/${name}`, {
      type: 'application/json-patch+json',
      body: [{ op: 'add', path: '/spec/endpoints/0/publicPort', value: publicPort }],
    });
  const activeOf = async (name: string) =>
    (await server.must('GET', `${GATEWAYS}/${name}`)).status?.activeEndpoints?.[0];

  before(async () => {
    await ensure(server, '/api/v1/nodes', {
      metadata: { name: 'n9', labels: { 'raven.openyurt.io/gateway': 'gw-copies' } },
      spec: { podCIDRs: ['10.244.9.0/24'] },
    });
    await server.must('PATCH', '/api/v1/nodes/n9/status', {
      type: 'application/strategic-merge-patch+json',
      body: {
        status: {
          addresses: [{ type: 'InternalIP', address: '192.168.0.9' }],
          conditions: [{ type: 'Ready', status: 'True' }],
        },
      },
    });
  });

  test('many holes, one copy into status: after a while, not each', async (t) => {
    const api = connect();
    const { controller, written } = build(t, {}, api);
    await makeGateway('gw-copies');
    await controller.start();
    await until('n9 is active', async () => (await activeOf('gw-copies'))?.nodeName === 'n9');
    await until('that is counted', async () => (await written('written')) > 0);
    const before = await written('written');
    for (let port = 1001; port <= 1010; port += 1) await publishHole('gw-copies', port);
    await until('the last is copied', async () => (await activeOf('gw-copies'))?.publicPort === 1010);
    assert.ok((await written('written')) - before <= 2, 'ten changes are one copy, or two where the machine is slow');
  });

  test('the API server killed meanwhile: what changed is written after, once', async (t) => {
    const api = connect();
    const { controller, written } = build(t, {}, api);
    await controller.start();
    await server.kill();
    await server.restart();
    await makeGateway('gw-late');
    await until('it has its status', async () => {
      return (await server.must('GET', `${GATEWAYS}/gw-late`)).status?.activeEndpoints?.length === 0;
    });
    // The API shows it before the controller has its answer.
    await until('it is counted', async () => (await written('written')) > 0);
    assert.equal(await written('written'), 1);
    assert.equal(await written('failed'), 0);
  });
});
