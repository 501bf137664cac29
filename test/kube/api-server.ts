/** A Kubernetes API for one test file, and what the tests do to it as its administrator. */
import assert from 'node:assert/strict';
import { randomUUID, sign } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { SERVICE_ACCOUNT_FOLDER } from '#src/store/kubernetes/source.js';
import { ApiServer, type ApiServerOptions, SERVICE_ACCOUNT_ISSUER } from '../../scripts/kube/server.js';
import type { GatewayFile } from '../unit/store/recorder.js';

export { ApiServer } from '../../scripts/kube/server.js';

export const GATEWAYS = '/apis/raven.openyurt.io/v1beta1/gateways';

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [key: string]: unknown;
}

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Progress goes to standard error: the first run builds the programs, which takes minutes. */
export function startApi(options: ApiServerOptions = {}): Promise<ApiServer> {
  return ApiServer.start({ progress: (line) => void process.stderr.write(`${line}\n`), ...options });
}

/** As {@link startApi}, with the Gateway's CRD served. */
export async function startGatewayApi(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = await startApi(options);
  try {
    await installCrds(server);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The documents of a file of the repository, "deploy/crd/gateways.yaml". */
export function readManifests(file: string): Manifest[] {
  const documents = parseAllDocuments(readFileSync(join(root, file), 'utf8'));
  return (Array.isArray(documents) ? documents : []).map((document) => document.toJS() as Manifest).filter(Boolean);
}

export async function installCrds(server: ApiServer): Promise<void> {
  for (const file of readdirSync(join(root, 'deploy/crd'))) {
    if (!/\.ya?ml$/.test(file) || file.startsWith('kustomization')) continue;
    for (const manifest of readManifests(`deploy/crd/${file}`)) await apply(server, manifest);
  }
  // A CRD that was just made answers 404 or 429 for a moment.
  await until('Gateways are served', async () => (await server.request('GET', GATEWAYS)).status === 200);
}

/** Server-side apply of any object; waits until its kind is served. */
export async function apply(server: ApiServer, manifest: Manifest): Promise<void> {
  const call = { body: manifest, type: 'application/apply-patch+yaml' };
  const path = `${await pathOf(server, manifest)}?fieldManager=test&force=true`;
  await until(`${manifest.kind} ${manifest.metadata.name} is applied`, async () => {
    const { status, body } = await server.request('PATCH', path, call);
    if (status === 404 || status === 429) return false;
    assert.ok(status < 300, `${manifest.kind} ${manifest.metadata.name}: ${status} ${body?.message}`);
    return true;
  });
}

/** Of one object: "/apis/apps/v1/namespaces/kube-system/daemonsets/corax". */
export async function pathOf(server: ApiServer, { apiVersion, kind, metadata }: Manifest): Promise<string> {
  const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const { resources } = await server.must('GET', base);
  const resource = resources.find(
    (each: { name: string; kind: string }) => each.kind === kind && !each.name.includes('/'),
  );
  assert.ok(resource, `${apiVersion} has no ${kind}`);
  const namespace = resource.namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
  return `${base}${namespace}/${resource.name}/${metadata.name}`;
}

/** Creates a Gateway or replaces it: spec, then status, which is a resource of its own. */
export async function putGateway(server: ApiServer, gateway: GatewayFile): Promise<void> {
  const path = `${GATEWAYS}/${gateway.metadata.name}`;
  const { status, body } = await server.request('GET', path);
  const metadata = { ...gateway.metadata, resourceVersion: body?.metadata?.resourceVersion };
  const stored =
    status === 404
      ? await server.must('POST', GATEWAYS, { body: gateway })
      : await server.must('PUT', path, { body: { ...gateway, metadata } });
  await server.must('PUT', `${path}/status`, { body: { ...stored, status: gateway.status } });
}

export async function clearGateways(server: ApiServer): Promise<void> {
  await server.must('DELETE', GATEWAYS);
}

/**
 * Writes Gateways as the API server stores them straight into etcd, where thousands take a second. Those that are
 * there under the same name are replaced.
 */
export async function seedGateways(server: ApiServer, gateways: readonly GatewayFile[]): Promise<void> {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const created = new Date().toISOString().replace(/\.\d+/, '');
  const rest = [...gateways];
  // One write each: the API server takes a revision of etcd's for one object.
  const writer = async () => {
    for (let gateway = rest.pop(); gateway !== undefined; gateway = rest.pop()) {
      const metadata = { ...gateway.metadata, uid: randomUUID(), creationTimestamp: created, generation: 1 };
      const key = base64(`/registry/raven.openyurt.io/gateways/${gateway.metadata.name}`);
      await server.etcdCall('kv/put', { key, value: base64(JSON.stringify({ ...gateway, metadata })) });
    }
  };
  await Promise.all(Array.from({ length: 32 }, writer));
}

/** As {@link seedGateways}: past the API server, which need not be there. */
export async function unseedGateway(server: ApiServer, name: string): Promise<void> {
  await server.etcdCall('kv/deleterange', {
    key: Buffer.from(`/registry/raven.openyurt.io/gateways/${name}`).toString('base64'),
  });
}

/** Makes etcd forget every version but the present one. */
export async function compact(server: ApiServer): Promise<void> {
  const { header } = await server.etcdCall('kv/range', { key: Buffer.from('/none').toString('base64') });
  await server.etcdCall('kv/compaction', { revision: header.revision, physical: true });
}

export async function ensure(server: ApiServer, collection: string, body: object): Promise<void> {
  const { status, body: answer } = await server.request('POST', collection, { body });
  assert.ok(status < 300 || status === 409, `${collection}: ${status} ${answer?.message}`);
}

export interface ServiceAccount {
  readonly namespace: string;
  readonly name: string;
}

export async function makeServiceAccount(server: ApiServer, { namespace, name }: ServiceAccount): Promise<void> {
  await ensure(server, '/api/v1/namespaces', { metadata: { name: namespace } });
  await ensure(server, `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } });
}

/** Gives an account a cluster role of these rules. */
export async function grant(server: ApiServer, account: ServiceAccount, rules: readonly object[]): Promise<void> {
  const metadata = { name: `test-${account.namespace}-${account.name}` };
  const rbac = 'rbac.authorization.k8s.io';
  await apply(server, { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata, rules });
  await apply(server, {
    apiVersion: `${rbac}/v1`,
    kind: 'ClusterRoleBinding',
    metadata,
    roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', ...account }],
  });
}

export type BoundTo =
  /** The Node's own object. */
  | { readonly node: string }
  /** A Pod on the node, which is made for it; no kubelet is needed. */
  | { readonly pod: string; readonly onNode: string };

/** A token as the kubelet asks for it; bound to a pod or a node it says which node that is. */
export async function makeToken(server: ApiServer, account: ServiceAccount, bound?: BoundTo): Promise<string> {
  const { namespace, name } = account;
  const boundObjectRef = bound === undefined ? undefined : await boundObject(server, account, bound);
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const spec = { expirationSeconds: 3600, ...(boundObjectRef === undefined ? {} : { boundObjectRef }) };
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec };
  return (await server.must('POST', path, { body: request })).status.token;
}

async function boundObject(server: ApiServer, { namespace, name }: ServiceAccount, bound: BoundTo): Promise<object> {
  const node = 'node' in bound ? bound.node : bound.onNode;
  await ensure(server, '/api/v1/nodes', { metadata: { name: node } });
  if ('node' in bound) {
    const { metadata } = await server.must('GET', `/api/v1/nodes/${node}`);
    return { apiVersion: 'v1', kind: 'Node', name: node, uid: metadata.uid };
  }
  const containers = [{ name: 'corax', image: 'corax' }];
  const spec = { serviceAccountName: name, nodeName: node, containers, automountServiceAccountToken: false };
  await ensure(server, `/api/v1/namespaces/${namespace}/pods`, { metadata: { name: bound.pod }, spec });
  const { metadata } = await server.must('GET', `/api/v1/namespaces/${namespace}/pods/${bound.pod}`);
  return { apiVersion: 'v1', kind: 'Pod', name: bound.pod, uid: metadata.uid };
}

/** A token that runs out after so many seconds, and 10 more while the API remembers it. It gives none under ten minutes itself. */
export async function makeShortToken(server: ApiServer, account: ServiceAccount, seconds: number): Promise<string> {
  const { namespace, name } = account;
  const { metadata } = await server.must('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/${name}`);
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: SERVICE_ACCOUNT_ISSUER,
    aud: [SERVICE_ACCOUNT_ISSUER],
    sub: `system:serviceaccount:${namespace}:${name}`,
    iat: now - 600,
    nbf: now - 600,
    // The API believes a token for a minute more, for clocks that differ.
    exp: now + seconds - 60,
    'kubernetes.io': { namespace, serviceaccount: { name, uid: metadata.uid } },
  };
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), server.signingKey).toString('base64url')}`;
}

/** Files as a kubelet mounts them, under a root of their own. @returns that root */
export function mountServiceAccount(server: ApiServer, name: string, token: string): string {
  const base = join(server.folder, name);
  const folder = join(base, SERVICE_ACCOUNT_FOLDER);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'ca.crt'), server.ca);
  writeFileSync(join(folder, 'namespace'), 'kube-system');
  writeFileSync(join(folder, 'token'), token, { mode: 0o600 });
  return base;
}

/** As the kubelet does when it renews a token. */
export function replaceToken(base: string, token: string): void {
  writeFileSync(join(base, SERVICE_ACCOUNT_FOLDER, 'token'), token);
}

const PATIENCE_MS = 120_000;

/** Waits for a state. */
export async function until(
  what: string,
  state: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await state())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
    await sleep(20);
  }
}
