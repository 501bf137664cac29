/** Manifests of deploy/ put into an API server, by server-side apply, as kubectl would. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { ApiServer } from '../../scripts/kube/server.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  // biome-ignore lint/suspicious/noExplicitAny: of any kind; each test knows what it reads
  readonly [key: string]: any;
}

const PLURALS: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
  CustomResourceDefinition: 'customresourcedefinitions',
  ValidatingAdmissionPolicy: 'validatingadmissionpolicies',
  ValidatingAdmissionPolicyBinding: 'validatingadmissionpolicybindings',
  Gateway: 'gateways',
  Node: 'nodes',
};

/** @param path from the repository's root: "deploy/base/rbac.yaml" */
export function readManifests(path: string): Manifest[] {
  return parseAllDocuments(readFileSync(`${root}/${path}`, 'utf8')).map((document) => {
    if (document.errors.length > 0) throw new Error(`${path}: ${document.errors[0]?.message}`);
    return document.toJS();
  });
}

export function pathOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest): string {
  const plural = PLURALS[kind];
  if (plural === undefined) throw new Error(`test/kube/manifests.ts has no plural of ${kind}`);
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return `${group}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${plural}/${name}`;
}

export async function apply(api: ApiServer, manifests: readonly Manifest[]): Promise<void> {
  for (const manifest of manifests) {
    await api.must('PATCH', `${pathOf(manifest)}?fieldManager=corax-test&force=true`, {
      body: manifest,
      type: 'application/apply-patch+yaml',
    });
  }
}

export const GATEWAYS = '/apis/raven.openyurt.io/v1beta1/gateways';

/** The CRD, and the API serves it. */
export async function applyCrd(api: ApiServer): Promise<void> {
  await apply(api, readManifests('deploy/crd/gateways.yaml'));
  await until('the API serves Gateways', async () => (await api.request('GET', GATEWAYS)).status === 200);
}

export async function applyNamespace(api: ApiServer, name: string): Promise<void> {
  await apply(api, [{ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }]);
}

/** Waits for a state, not for a time; the limit is only there to end. */
export async function until(what: string, reached: () => Promise<boolean> | boolean, limitMs = 120_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await reached())) {
    if (Date.now() > deadline) throw new Error(`waited ${limitMs / 1000} s, and still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
