/** `corax controller` with its own ServiceAccount, against a real API server. No kubelet: the test writes the Nodes. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { run } from '../../lab/process.js';
import {
  type ApiServer,
  apply,
  ensure,
  GATEWAYS,
  makeToken,
  readManifests,
  startGatewayApi,
  until as untilState,
} from './api-server.js';
import { AuditLog, isLease, isWrite } from './audit.js';
import { CORAX_CONTROLLER, ControllerProcess } from './controller-process.js';

const ACCOUNT = { namespace: 'corax', name: 'corax-controller' };
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/corax/leases/corax-controller';
const YURT = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';
/** Somebody else may take it before it is used; then the controller says so and ends. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const GRACE_S = 2;
const LEASE_S = 5;
const FLAGS = ['--grace', String(GRACE_S), '--lease-duration', String(LEASE_S)];
const JSON_PATCH = 'application/json-patch+json';
const MERGE_PATCH = 'application/merge-patch+json';

describe('corax controller', () => {
  const audit = new AuditLog();
  const running: ControllerProcess[] = [];
  let api: ApiServer;
  let token = '';
  let barriers = 0;

  const until: typeof untilState = (what, state) =>
    untilState(what, () => {
      for (const each of running) each.check();
      return state();
    });

  async function makeNode(name: string, number: number, labels: Record<string, string>) {
    const cidr = `10.244.${number}.0/24`;
    await ensure(api, '/api/v1/nodes', { metadata: { name, labels }, spec: { podCIDR: cidr, podCIDRs: [cidr] } });
    await setReady(name, true, [
      { type: 'Hostname', address: name },
      { type: 'InternalIP', address: `192.168.0.${number}` },
    ]);
  }

  async function setReady(name: string, ready: boolean, addresses?: object[]) {
    const status = ready ? 'True' : 'Unknown';
    const conditions = [{ type: 'Ready', status, reason: 'Test', lastHeartbeatTime: new Date().toISOString() }];
    const body = { status: { conditions, ...(addresses === undefined ? {} : { addresses }) } };
    await api.must('PATCH', `/api/v1/nodes/${name}/status`, { type: 'application/strategic-merge-patch+json', body });
  }

  async function makeGateway(name: string, spec: object) {
    await ensure(api, GATEWAYS, { apiVersion: 'raven.openyurt.io/v1beta1', kind: 'Gateway', metadata: { name }, spec });
  }

  const read = async (name: string) => api.must('GET', `${GATEWAYS}/${name}`);
  const activeOf = async (name: string): Promise<string[] | undefined> =>
    (await read(name)).status?.activeEndpoints?.map(({ nodeName }: { nodeName: string }) => nodeName);
  const untilActive = (name: string, ...nodes: string[]) =>
    until(`${nodes.join()} of ${name} is active`, async () => String(await activeOf(name)) === String(nodes));

  const writes = () =>
    audit.of(ACCOUNT).filter((event) => isWrite(event) && !isLease(event) && event.objectRef?.resource !== 'events');
  const writesOf = (gateway: string) => writes().filter(({ objectRef }) => objectRef?.name === gateway);
  const renewals = () => audit.of(ACCOUNT).filter((event) => isWrite(event) && isLease(event)).length;

  /** The leader has seen, and done, all that it has to about what was written before. */
  async function barrier() {
    barriers += 1;
    const name = `barrier-${barriers}`;
    await makeGateway(name, { endpoints: [{ nodeName: 'nobody', type: 'tunnel' }] });
    await until('the leader has seen everything', async () => (await activeOf(name)) !== undefined);
  }

  /** Longer than the grace, told by renewals of the Lease, 1 s apart. */
  async function aWhile() {
    const before = renewals();
    await until('the Lease was renewed four times', () => renewals() >= before + 4);
  }

  const holder = async (): Promise<string> => (await api.request('GET', LEASE)).body.spec?.holderIdentity ?? '';

  function start(name: string, flags: readonly string[] = FLAGS): ControllerProcess {
    const controller = new ControllerProcess(api, name, token, flags);
    running.push(controller);
    return controller;
  }

  before(async () => {
    api = await startGatewayApi({ flags: audit.flags });
    await ensure(api, '/api/v1/namespaces', { metadata: { name: 'corax' } });
    for (const manifest of readManifests('deploy/controller/rbac.yaml')) await apply(api, manifest);
    await makeNode('n1', 1, { site: 'a' });
    await makeNode('n2', 2, { site: 'a' });
    await makeNode('n3', 3, { 'raven.openyurt.io/gateway': 'gw-label' });
    token = await makeToken(api, ACCOUNT, { pod: 'controller', onNode: 'n1' });
  });

  after(async () => {
    await Promise.all(running.filter((each) => each.running).map((each) => each.kill()));
    await api?.stop();
    audit.remove();
  });

  test('fills the status of what is there, and leaves alone what it cannot read', async () => {
    const endpoint = { nodeName: 'n1', type: 'tunnel', underNAT: true, config: { publicKey: 'k' } };
    const endpoints = [{ nodeName: 'n2', type: 'tunnel' }, { nodeName: 'n1', type: 'proxy' }, endpoint];
    await makeGateway('gw-a', { nodeSelector: { matchLabels: { site: 'a' } }, endpoints });
    await makeGateway('gw-label', { endpoints: [{ nodeName: 'n3', type: 'tunnel' }] });
    const selector = { matchExpressions: [{ key: 'site', operator: 'Greater' }] };
    await makeGateway('gw-wrong', { nodeSelector: selector, endpoints: [endpoint] });
    const first = start('first');
    await untilActive('gw-a', 'n1');
    await untilActive('gw-label', 'n3');
    assert.deepEqual((await read('gw-a')).status, {
      nodes: [
        { nodeName: 'n1', privateIP: '192.168.0.1', subnets: ['10.244.1.0/24'] },
        { nodeName: 'n2', privateIP: '192.168.0.2', subnets: ['10.244.2.0/24'] },
      ],
      activeEndpoints: [endpoint],
    });
    await barrier();
    assert.equal((await read('gw-wrong')).status, undefined);
    const refusal = first.log.find(({ gateway }) => gateway === 'gw-wrong');
    assert.match(String(refusal?.reason), /spec\.nodeSelector: site: the operator "Greater" is none of/);
    await until('an event tells of it', async () => {
      const { items } = await api.must('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
      return items.some(({ regarding, reason }: Record<string, { name: string }>) => {
        return regarding?.name === 'gw-wrong' && String(reason) === 'Refused';
      });
    });
    for (const name of ['gw-a', 'gw-label', 'barrier-1'])
      assert.equal(writesOf(name).length, 1, `one write for ${name}`);
  });

  test('idle, it writes nothing but its Lease', async () => {
    const before = writes().length;
    for (const name of ['n1', 'n2']) await setReady(name, true);
    await aWhile();
    assert.equal(writes().length, before);
  });

  test('not Ready for a moment: no switch', async () => {
    const before = writesOf('gw-a').length;
    await setReady('n1', false);
    await barrier();
    await setReady('n1', true);
    await aWhile();
    assert.deepEqual(await activeOf('gw-a'), ['n1']);
    assert.equal(writesOf('gw-a').length, before);
  });

  test('not Ready for longer: a switch after the grace, by one write', async () => {
    const before = writesOf('gw-a').length;
    await setReady('n1', false);
    const since = Date.now();
    await untilActive('gw-a', 'n2');
    assert.equal(writesOf('gw-a').length, before + 1);
    const written = Date.parse(writesOf('gw-a').at(-1)?.requestReceivedTimestamp ?? '');
    // Seen a little after it was written, never before
    assert.ok(written - since > GRACE_S * 1000 - 500, `after ${written - since} ms`);
    assert.deepEqual(
      (await read('gw-a')).status.nodes.map(({ nodeName }: { nodeName: string }) => nodeName),
      ['n1', 'n2'],
      'a node that is not Ready stays one of the gateway',
    );
    await until('an event tells of it', async () => {
      const { items } = await api.must('GET', '/apis/events.k8s.io/v1/namespaces/default/events');
      const notes = items.map(
        (event: Record<string, { name: string }>) => `${event.regarding?.name} ${event.reason}: ${event.note}`,
      );
      return notes.includes('gw-a ActiveEndpointElected: n2 is active: n1 is not Ready');
    });
  });

  test('the node comes back: no switch', async () => {
    const before = writesOf('gw-a').length;
    await setReady('n1', true);
    await barrier();
    assert.deepEqual(await activeOf('gw-a'), ['n2']);
    assert.equal(writesOf('gw-a').length, before);
  });

  test('nobody is Ready: the holder keeps it', async () => {
    for (const name of ['n2', 'n1']) await setReady(name, false);
    await aWhile();
    assert.deepEqual(await activeOf('gw-a'), ['n2']);
    // The other way round n1 would rightly take over from one that is away for longer than the grace
    for (const name of ['n2', 'n1']) await setReady(name, true);
    await barrier();
    assert.deepEqual(await activeOf('gw-a'), ['n2']);
  });

  test('Replicas, labels and new nodes are followed', async () => {
    const replicas = async (Replicas: number) =>
      api.must('PATCH', `${GATEWAYS}/gw-a`, { type: MERGE_PATCH, body: { spec: { tunnelConfig: { Replicas } } } });
    await replicas(2);
    await untilActive('gw-a', 'n2', 'n1');
    await replicas(0);
    await untilActive('gw-a');
    await replicas(1);
    await untilActive('gw-a', 'n1');
    await api.must('PATCH', '/api/v1/nodes/n1', { type: MERGE_PATCH, body: { metadata: { labels: { site: null } } } });
    await untilActive('gw-a', 'n2');
    await makeNode('n4', 4, { site: 'a' });
    await until('n4 is one of the nodes', async () => {
      const { nodes } = (await read('gw-a')).status;
      return nodes.map(({ nodeName }: { nodeName: string }) => nodeName).join() === 'n2,n4';
    });
    await api.must('PATCH', '/api/v1/nodes/n1', { type: MERGE_PATCH, body: { metadata: { labels: { site: 'a' } } } });
    await api.must('DELETE', '/api/v1/nodes/n4');
    await until('n1 is back, n4 is gone', async () => {
      const { nodes } = (await read('gw-a')).status;
      return nodes.map(({ nodeName }: { nodeName: string }) => nodeName).join() === 'n1,n2';
    });
    assert.deepEqual(await activeOf('gw-a'), ['n2']);
  });

  test('a status that somebody else broke is put right', async () => {
    const body = [{ op: 'replace', path: '/status/activeEndpoints', value: [{ nodeName: 'nobody', type: 'tunnel' }] }];
    await api.must('PATCH', `${GATEWAYS}/gw-a/status`, { type: JSON_PATCH, body });
    await untilActive('gw-a', 'n1');
  });

  test('two controllers: one leads; killed, the other takes over, and no status changes', async () => {
    const [first] = running;
    assert.ok(first);
    const second = start('second');
    await until('the second follows', () => second.said(/corax controller starts/));
    assert.match(await holder(), /^first_/);
    const before = writesOf('gw-a').length;
    await first.kill();
    await until('the second leads', async () => (await holder()).startsWith('second_'));
    await barrier();
    assert.equal(writesOf('gw-a').length, before);
    assert.deepEqual(await activeOf('gw-a'), ['n1']);
    await setReady('n1', false);
    await untilActive('gw-a', 'n2');
    await setReady('n1', true);
    assert.equal((await api.must('GET', LEASE)).spec.leaseTransitions, 1);
  });

  test('one that is told to stop gives the Lease back, and the next need not wait', async () => {
    const second = running[1];
    assert.ok(second);
    assert.equal(await second.stop(), 0);
    assert.equal(await holder(), '');
    const third = start('third');
    await until('the third leads', () => third.said(/this replica leads/));
    assert.match(await holder(), /^third_/);
    const tries = audit.of(ACCOUNT).filter((event) => isLease(event) && event.objectRef?.namespace === 'corax');
    assert.deepEqual(
      tries.slice(-3).map(({ verb }) => verb),
      ['update', 'get', 'update'],
      'given back, found free, taken',
    );
    await barrier();
  });

  test('while yurt-manager runs it idles and says so; when it is gone it goes on', async () => {
    const third = running[2];
    assert.ok(third);
    const renew = (holderIdentity: string) => ({
      metadata: { name: 'yurt-manager', namespace: 'kube-system' },
      spec: { holderIdentity, leaseDurationSeconds: 15, renewTime: new Date().toISOString().replace('Z', '000Z') },
    });
    await api.must('POST', YURT, { body: renew('yurt-manager-1') });
    await until('it idles', () => third.said(/yurt-manager runs .* this controller idles/));
    const before = writes().length;
    await makeGateway('gw-idle', { endpoints: [{ nodeName: 'n3', type: 'tunnel' }] });
    await aWhile();
    assert.equal(writes().length, before);
    await api.must('PATCH', `${YURT}/yurt-manager`, { type: MERGE_PATCH, body: renew('') });
    await untilActive('gw-idle');
  });

  test('--dry-run: what would be written, as a table and as JSON', async () => {
    const kubeconfig = `${api.folder}/third.kubeconfig`;
    const dryRun = (...words: string[]) =>
      run([process.execPath, ...CORAX_CONTROLLER, '--kubeconfig', kubeconfig, '--dry-run', ...words]);
    const { gateways, refused, yurtManager } = JSON.parse((await dryRun('--json')).stdout);
    const found = gateways.find(({ gateway }: { gateway: string }) => gateway === 'gw-a');
    assert.deepEqual(found, { gateway: 'gw-a', active: ['n2'], nodes: ['n1', 'n2'], change: false, leftOut: [] });
    assert.deepEqual(
      refused.map(({ gateway }: { gateway: string }) => gateway),
      ['gw-wrong'],
    );
    assert.equal(yurtManager, null);
    const { stdout } = await dryRun();
    assert.match(stdout, /^gw-a +n2 +2 +as it is$/m);
    assert.match(stdout, /^gw-wrong: cannot be read: spec\.nodeSelector/m);
  });

  test('metrics and health are served, by one that only stands by too', async () => {
    const [metrics, health] = [await freePort(), await freePort()];
    const where = ['--metrics-addr', `127.0.0.1:${metrics}`, '--health-addr', `127.0.0.1:${health}`];
    const fourth = start('fourth', [...FLAGS, ...where]);
    const ask = (port: number, path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    await until('it is ready', () =>
      ask(health, '/readyz').then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    assert.equal((await ask(health, '/healthz')).status, 200);
    const text = await (await ask(metrics, '/metrics')).text();
    const gateways = (await api.must('GET', GATEWAYS)).items.length;
    for (const line of [
      'corax_controller_leader 0',
      'corax_controller_idle 0',
      `corax_controller_gateways ${gateways - 1}`,
      'corax_controller_gateways_refused 1',
      'corax_controller_nodes 3',
    ]) {
      assert.ok(text.split('\n').includes(line), `${line} is not in\n${text}`);
    }
    assert.equal(await fourth.stop(), 0);
  });

  test('it asked for nothing that RBAC does not grant', () => {
    const refused = audit.of(ACCOUNT).filter(({ responseStatus }) => responseStatus?.code === 403);
    assert.deepEqual(
      refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
      [],
    );
  });
});
