/**
 * The main job with Kubernetes: agents in lab namespaces (lab/kube, in the micro-VM where need be), each with a
 * pod-bound token of its own, and a real API server on this machine with the CRD, the RBAC and the policy that an
 * operator installs.
 */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { HOST_ADDRESS } from '../../lab/net/host-access.js';
import { runFiles } from '../lab/run-files.js';
import type { GatewayFile } from '../unit/store/recorder.js';
import {
  type ApiServer,
  apply,
  GATEWAYS,
  makeToken,
  putGateway,
  readManifests,
  seedGateways,
  startGatewayApi,
  until,
} from './api-server.js';

interface LabNode {
  readonly name: string;
  readonly role: 'edge' | 'relay';
  readonly gateway: GatewayFile;
}

let api: ApiServer | undefined;
let control: Server | undefined;

after(async () => {
  control?.close();
  await api?.stop();
});

async function world(server: ApiServer, nodes: readonly LabNode[]): Promise<Record<string, string>> {
  const configs: Record<string, string> = {};
  for (const { name, role, gateway } of nodes) {
    await putGateway(server, gateway);
    const account = { namespace: 'corax', name: `corax-${role}` };
    const token = await makeToken(server, account, { pod: `corax-${name}`, onNode: name });
    configs[name] = server.kubeconfig(token, `https://${HOST_ADDRESS}:${server.port}`);
  }
  return configs;
}

/** What the lab asks of this side. */
function deeds(server: ApiServer): Record<string, (body: never) => Promise<unknown> | unknown> {
  return {
    world: ({ nodes }: { nodes: readonly LabNode[] }) => world(server, nodes),
    gateway: ({ name }: { name: string }) => server.must('GET', `${GATEWAYS}/${name}`),
    events: async () => {
      const { items } = await server.must('GET', '/api/v1/namespaces/default/events');
      return items.map((item: { involvedObject: { name: string }; reason: string; message: string }) => {
        return { name: item.involvedObject.name, reason: item.reason, message: item.message };
      });
    },
    // Straight into etcd: the API need not be there.
    seed: ({ gateways }: { gateways: readonly GatewayFile[] }) => seedGateways(server, gateways),
    kill: () => server.kill(),
    restart: () => server.restart(),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
  };
}

async function serve(server: ApiServer): Promise<number> {
  const known = deeds(server);
  control = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const deed = known[request.url?.slice(1) ?? ''];
      assert.ok(deed, `no such deed: ${request.url}`);
      const answer = await deed(JSON.parse(Buffer.concat(chunks).toString('utf8')) as never);
      response.end(JSON.stringify(answer ?? {}));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  await new Promise<void>((resolve) => control?.listen(0, '127.0.0.1', resolve));
  return (control.address() as AddressInfo).port;
}

/** A policy takes a moment to bite. */
async function policyBites(server: ApiServer): Promise<void> {
  const unbound = await makeToken(server, { namespace: 'corax', name: 'corax-edge' });
  const probe = { apiVersion: 'raven.openyurt.io/v1beta1', kind: 'Gateway', metadata: { name: 'probe' }, spec: {} };
  await server.must('POST', GATEWAYS, { body: probe });
  const patch = [{ op: 'add', path: '/metadata/labels', value: { a: 'b' } }];
  const call = { body: patch, token: unbound, type: 'application/json-patch+json' };
  await until('the policy is in force', async () => {
    const { status } = await server.request('PATCH', `${GATEWAYS}/probe?dryRun=All`, call);
    return status === 403 || status === 422;
  });
  await server.must('DELETE', `${GATEWAYS}/probe`);
}

test('agents in the lab, Gateways in Kubernetes', async (t) => {
  api = await startGatewayApi();
  await apply(api, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'corax' } });
  for (const file of ['deploy/base/rbac.yaml', 'deploy/base/policy.yaml']) {
    for (const manifest of readManifests(file)) await apply(api, manifest);
  }
  await policyBites(api);
  const port = await serve(api);
  await runFiles(t, [{ source: 'lab/kube/e2e.test.ts', built: 'dist/lab/kube/e2e.test.js' }], {
    env: { CORAX_KUBE_CONTROL: `http://${HOST_ADDRESS}:${port}` },
    hostPorts: [port, api.port],
  });
});
