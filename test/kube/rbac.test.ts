/**
 * RBAC of the least, by the API server's own record: every rule of deploy/ is used, and nothing that is asked for
 * is refused. Agents' store and events, and the controller as a process, each with the token of its account.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Ip } from '#src/model/address.js';
import { KubernetesEvents } from '#src/store/kubernetes/events.js';
import { KubernetesStore } from '#src/store/kubernetes/store.js';
import { gatewayFile } from '../unit/store/recorder.js';
import {
  type ApiServer,
  apply,
  ensure,
  GATEWAYS,
  makeToken,
  putGateway,
  readManifests,
  startGatewayApi,
  until,
} from './api-server.js';
import { type AuditEvent, AuditLog } from './audit.js';
import { ControllerProcess } from './controller-process.js';

const FILES = ['deploy/base/rbac.yaml', 'deploy/controller/rbac.yaml'];
const deploy = fileURLToPath(new URL('../../deploy', import.meta.url));

/** One thing that an account may do. */
interface Grant {
  /** Null: anywhere. */
  readonly namespace: string | null;
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  /** Null: any. */
  readonly name: string | null;
}

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
  readonly resourceNames?: string[];
}

function grantsOf(account: string): Grant[] {
  const manifests = FILES.flatMap(readManifests);
  const bindings = manifests.filter(
    ({ kind, subjects }) =>
      /Binding$/.test(kind) && (subjects as { name: string }[]).some(({ name }) => name === account),
  );
  return bindings.flatMap((binding) => {
    const { kind, name } = binding.roleRef as { kind: string; name: string };
    const namespace = binding.metadata.namespace ?? null;
    const role = manifests.find((each) => {
      return each.kind === kind && each.metadata.name === name && (each.metadata.namespace ?? null) === namespace;
    });
    assert.ok(role, `${binding.kind} ${binding.metadata.name} binds a role that is not there`);
    return (role.rules as Rule[]).flatMap(({ apiGroups, resources, verbs, resourceNames }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.flatMap((verb) =>
            (resourceNames ?? [null]).map((only) => ({ namespace, group, resource, verb, name: only })),
          ),
        ),
      ),
    );
  });
}

const inWords = ({ namespace, group, resource, verb, name }: Grant) =>
  `${verb} ${group || 'core'}/${resource}${name === null ? '' : ` ${name}`}${namespace === null ? '' : ` in ${namespace}`}`;

function permits(grant: Grant, { verb, objectRef }: AuditEvent): boolean {
  const { apiGroup = '', resource, subresource, namespace, name } = objectRef ?? {};
  return (
    grant.verb === verb &&
    grant.group === apiGroup &&
    grant.resource === (subresource === undefined ? resource : `${resource}/${subresource}`) &&
    (grant.namespace === null || grant.namespace === namespace) &&
    (grant.name === null || grant.name === name)
  );
}

describe('RBAC', () => {
  const audit = new AuditLog();
  let api: ApiServer;
  before(async () => {
    api = await startGatewayApi({ flags: audit.flags });
    await ensure(api, '/api/v1/namespaces', { metadata: { name: 'corax' } });
    for (const file of [...FILES, 'deploy/base/policy.yaml']) {
      for (const manifest of readManifests(file)) await apply(api, manifest);
    }
  });
  after(async () => {
    await api?.stop();
    audit.remove();
  });

  test('no other manifest grants anything', () => {
    const found = readdirSync(deploy, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.ya?ml$/.test(file) && !file.startsWith('build/'))
      .filter((file) => /^kind: (?:Cluster)?Role(?:Binding)?$/m.test(readFileSync(join(deploy, file), 'utf8')));
    assert.deepEqual(found.map((file) => `deploy/${file}`).sort(), FILES);
  });

  test('no rule has a wildcard, grants Secrets, or more than a verb that is named', () => {
    for (const account of ['corax-edge', 'corax-relay', 'corax-controller']) {
      for (const grant of grantsOf(account)) {
        assert.ok(!inWords(grant).includes('*'), inWords(grant));
        assert.ok(!/secrets|pods|serviceaccounts/.test(grant.resource), inWords(grant));
        assert.ok(!/^(?:delete|deletecollection|impersonate|escalate|bind)$/.test(grant.verb), inWords(grant));
      }
    }
  });

  function check(name: string) {
    const requests = audit.of({ namespace: 'corax', name }).filter(({ objectRef }) => objectRef !== undefined);
    const grants = grantsOf(name);
    const refused = requests.filter(({ responseStatus }) => responseStatus?.code === 403);
    assert.deepEqual(
      refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
      [],
      'used and not granted',
    );
    const unused = grants.filter((grant) => !requests.some((request) => permits(grant, request)));
    assert.deepEqual(unused.map(inWords), [], 'granted and not used');
    const stray = requests.filter((request) => !grants.some((grant) => permits(grant, request)));
    assert.deepEqual(
      stray.map(({ verb, requestURI }) => `${verb} ${requestURI}`),
      [],
      'allowed by something else',
    );
  }

  for (const name of ['corax-edge', 'corax-relay']) {
    test(`${name}: all that is granted is used, all that is used is granted`, async () => {
      const gateway = `gw-${name}`;
      await putGateway(api, gatewayFile(gateway, 7));
      const { spec } = await api.must('GET', `${GATEWAYS}/${gateway}`);
      const nodeName: string = spec.endpoints[0].nodeName;
      const token = await makeToken(api, { namespace: 'corax', name }, { pod: name, onNode: nodeName });
      const file = join(api.folder, `${name}.kubeconfig`);
      writeFileSync(file, api.kubeconfig(token), { mode: 0o600 });
      const store = new KubernetesStore({ kind: 'kubeconfig', file });
      await store.start(() => {});
      await until('the store is read', () => store.health().synced);
      const set = { publicIP: '203.0.113.77' as Ip, publicPort: 4577 };
      assert.equal(await store.publish({ gateway, nodeName, set }), 'written');
      // One that it does not know is asked for by name
      await assert.rejects(store.publish({ gateway: 'gw-unknown', nodeName, set }), { code: 'CORAX_CONFLICT' });
      const events = new KubernetesEvents({ api: store.api, uidOf: (of) => store.uidOf(of), instance: nodeName }, 10);
      const event = { gateway, type: 'Normal', reason: 'HoleChanged', action: 'Publish', note: 'a hole' } as const;
      events.record(event);
      await until('the event is there', () =>
        audit.of({ namespace: 'corax', name }).some(({ verb }) => verb === 'create'),
      );
      events.record(event);
      await until('it is counted', () =>
        audit
          .of({ namespace: 'corax', name })
          .some(({ verb, objectRef }) => verb === 'patch' && objectRef?.resource === 'events'),
      );
      await events.stop();
      await store.stop();
      check(name);
    });
  }

  test('corax-controller: all that is granted is used, all that is used is granted', async () => {
    const account = { namespace: 'corax', name: 'corax-controller' };
    const node = { 'raven.openyurt.io/gateway': 'gw-controller' };
    for (const name of ['c1', 'c2']) {
      await ensure(api, '/api/v1/nodes', { metadata: { name, labels: node } });
      await setReady(name, true);
    }
    await ensure(api, GATEWAYS, {
      apiVersion: 'raven.openyurt.io/v1beta1',
      kind: 'Gateway',
      metadata: { name: 'gw-controller' },
      spec: { endpoints: ['c1', 'c2'].map((nodeName) => ({ nodeName, type: 'tunnel' })) },
    });
    const token = await makeToken(api, account, { pod: 'controller', onNode: 'c1' });
    const controller = new ControllerProcess(api, 'controller', token, ['--grace', '0']);
    const active = async () => {
      controller.check();
      return (await api.must('GET', `${GATEWAYS}/gw-controller`)).status?.activeEndpoints?.[0]?.nodeName;
    };
    const patched = () =>
      audit.of(account).some(({ verb, objectRef }) => verb === 'patch' && objectRef?.resource === 'events');
    await until('c1 is active', async () => (await active()) === 'c1');
    // To and fro: the same switch again counts in the series of the first
    for (let round = 0; round < 2; round += 1) {
      await setReady('c1', false);
      await until('c2 is active', async () => (await active()) === 'c2');
      await setReady('c1', true);
      await setReady('c2', false);
      await until('c1 is active', async () => (await active()) === 'c1');
      await setReady('c2', true);
    }
    await until('a series of events grew', patched);
    assert.equal(await controller.stop(), 0);
    check('corax-controller');
  });

  async function setReady(name: string, ready: boolean) {
    const conditions = [{ type: 'Ready', status: ready ? 'True' : 'False' }];
    const body = { status: { addresses: [{ type: 'InternalIP', address: '192.168.0.1' }], conditions } };
    await api.must('PATCH', `/api/v1/nodes/${name}/status`, { type: 'application/strategic-merge-patch+json', body });
  }
});
