/** The manifests of deploy/ as kustomize renders them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import type { Manifest } from './api-server.js';

export const OVERLAYS = ['openyurt', 'standalone'] as const;

const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly command?: readonly string[];
  readonly env?: ReadonlyArray<{ readonly name: string; readonly value?: string; readonly valueFrom?: unknown }>;
  readonly envFrom?: ReadonlyArray<{ readonly configMapRef: { readonly name: string } }>;
  readonly ports?: ReadonlyArray<{ readonly name: string; readonly containerPort: number; readonly protocol?: string }>;
  readonly resources: { readonly requests: Record<string, string>; readonly limits: Record<string, string> };
  readonly securityContext: {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
  };
  readonly volumeMounts?: ReadonlyArray<{ readonly name: string; readonly mountPath: string }>;
  readonly [probe: string]: unknown;
}

export interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string };
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number; readonly optional?: boolean };
}

export interface PodSpec {
  readonly serviceAccountName: string;
  readonly priorityClassName: string;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly securityContext: { readonly seccompProfile: { readonly type: string }; readonly runAsNonRoot?: boolean };
  readonly nodeSelector: Record<string, string>;
  readonly affinity: {
    readonly nodeAffinity: {
      readonly requiredDuringSchedulingIgnoredDuringExecution?: {
        readonly nodeSelectorTerms: ReadonlyArray<{ readonly matchExpressions: readonly MatchExpression[] }>;
      };
    };
  };
  readonly tolerations: ReadonlyArray<{ readonly operator: string; readonly key?: string }>;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly Volume[];
}

export interface MatchExpression {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

export interface Workload extends Manifest {
  readonly spec: {
    readonly selector: { readonly matchLabels: Record<string, string> };
    readonly updateStrategy?: { readonly type: string; readonly rollingUpdate: Record<string, number | string> };
    readonly template: { readonly metadata: { readonly labels: Record<string, string> }; readonly spec: PodSpec };
  };
}

/** Renders a folder of deploy/ ("overlays/openyurt"). */
export function render(folder: string): Manifest[] {
  const found = spawnSync('sh', ['scripts/kustomize.sh'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.equal(found.status, 0, 'kustomize can be had');
  const kustomize = found.stdout.trim();
  const { status, stdout, stderr } = spawnSync(kustomize, ['build', join(root, 'deploy', folder)], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '', 'kustomize warns of nothing');
  const documents = parseAllDocuments(stdout);
  assert.ok(Array.isArray(documents));
  return documents.map((document) => document.toJS() as Manifest);
}

/** An overlay with components on top, as an operator would switch them on. */
export function renderWith(overlay: string, components: readonly string[]): Manifest[] {
  // Ignored by git and by the formatter. kustomize wants relative paths.
  const name = `build/test-${process.pid}-${overlay}-${components.join('-')}`;
  const folder = join(root, 'deploy', name);
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(
      join(folder, 'kustomization.yaml'),
      JSON.stringify({
        apiVersion: 'kustomize.config.k8s.io/v1beta1',
        kind: 'Kustomization',
        resources: [`../../overlays/${overlay}`],
        components: components.map((component) => `../../components/${component}`),
      }),
    );
    return render(name);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function workloads(manifests: readonly Manifest[]): Workload[] {
  return manifests.filter(({ kind }) => kind === 'DaemonSet' || kind === 'Deployment') as unknown as Workload[];
}

export function workload(manifests: readonly Manifest[], name: string): Workload {
  const found = workloads(manifests).find(({ metadata }) => metadata.name === name);
  assert.ok(found, `there is a ${name}`);
  return found;
}

/** Whether the scheduler's required rules let a Pod run on a node with these labels. */
export function runsOn({ nodeSelector, affinity }: PodSpec, labels: Readonly<Record<string, string>>): boolean {
  const terms = affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [
    { matchExpressions: [] },
  ];
  const met = ({ key, operator, values = [] }: MatchExpression) => {
    const value = labels[key];
    if (operator === 'Exists') return value !== undefined;
    if (operator === 'DoesNotExist') return value === undefined;
    if (operator === 'In') return value !== undefined && values.includes(value);
    return value === undefined || !values.includes(value);
  };
  return (
    Object.entries(nodeSelector).every(([key, value]) => labels[key] === value) &&
    terms.some(({ matchExpressions }) => matchExpressions.every(met))
  );
}
