/** deploy/: what kustomize makes of it is sound, and a real API server takes all of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { OPTION_KEYS, OPTIONS } from '#src/config/options.js';
import { type ApiServer, type Manifest, pathOf, readManifests, startApi, until } from './api-server.js';
import {
  type Container,
  OVERLAYS,
  render,
  renderWith,
  runsOn,
  type Workload,
  workload,
  workloads,
} from './manifests.js';

const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const rendered = new Map(OVERLAYS.map((overlay) => [overlay, render(`overlays/${overlay}`)]));
const agents = (manifests: readonly Manifest[]) =>
  [workload(manifests, 'corax-edge'), workload(manifests, 'corax-relay')] as const;
const only = ({ spec }: Workload): Container => {
  const [container, ...others] = spec.template.spec.containers;
  assert.ok(container);
  assert.deepEqual(others, []);
  return container;
};

for (const [overlay, manifests] of rendered) {
  describe(`overlay ${overlay}`, () => {
    test('holds what its cluster lacks, and no secret', () => {
      const kinds = new Set(manifests.map(({ kind }) => kind));
      assert.equal(kinds.has('CustomResourceDefinition'), overlay === 'standalone');
      assert.equal(kinds.has('Deployment'), overlay === 'standalone');
      assert.equal(kinds.has('Secret'), false);
      assert.equal(manifests.filter(({ kind }) => kind === 'DaemonSet').length, 2);
    });

    test('images are pinned to this version', () => {
      for (const { metadata, spec } of workloads(manifests)) {
        const { initContainers = [], containers } = spec.template.spec;
        for (const { image } of [...initContainers, ...containers]) {
          assert.equal(image, `corax:${version}`, metadata.name);
        }
      }
    });

    test('agents have two capabilities, two folders of the node, and nothing else that a container has not', () => {
      for (const agent of agents(manifests)) {
        const pod = agent.spec.template.spec;
        const { securityContext } = only(agent);
        assert.deepEqual(securityContext.capabilities, { drop: ['ALL'], add: ['NET_ADMIN', 'NET_RAW'] });
        assert.equal(pod.hostNetwork, true);
        const folders = (pod.volumes ?? []).flatMap(({ hostPath }) => (hostPath ? [hostPath.path] : []));
        assert.deepEqual(folders, ['/var/lib/corax', '/run/corax']);
        assert.equal(pod.priorityClassName, 'system-node-critical');
        assert.deepEqual(pod.tolerations, [{ operator: 'Exists' }]);
      }
    });

    test('nobody is privileged, writes to the image, or gains rights', () => {
      for (const { metadata, spec } of workloads(manifests)) {
        const pod = spec.template.spec;
        assert.deepEqual([pod.hostPID ?? false, pod.hostIPC ?? false], [false, false]);
        assert.equal(pod.securityContext.seccompProfile.type, 'RuntimeDefault');
        assert.equal(pod.securityContext.runAsNonRoot ?? false, metadata.name === 'corax-controller');
        for (const { securityContext, resources } of [...(pod.initContainers ?? []), ...pod.containers]) {
          assert.equal(securityContext.privileged ?? false, false);
          assert.equal(securityContext.allowPrivilegeEscalation, false);
          assert.equal(securityContext.readOnlyRootFilesystem, true);
          assert.deepEqual(securityContext.capabilities.drop, ['ALL']);
          assert.deepEqual(Object.keys(resources.requests).sort(), ['cpu', 'memory']);
          assert.deepEqual(Object.keys(resources.limits), ['memory']);
        }
      }
    });

    test('what they refer to is there, or is to be made as docs/install.md says', () => {
      const there = (kind: string, name: string) =>
        manifests.some(
          (each) => each.kind === kind && each.metadata.name === name && each.metadata.namespace === 'corax',
        );
      for (const { metadata, spec } of workloads(manifests)) {
        const pod = spec.template.spec;
        assert.equal(pod.serviceAccountName, metadata.name);
        assert.ok(there('ServiceAccount', pod.serviceAccountName), pod.serviceAccountName);
        for (const { envFrom = [], volumeMounts = [] } of pod.containers) {
          for (const { configMapRef } of envFrom) assert.ok(there('ConfigMap', configMapRef.name), configMapRef.name);
          for (const { name } of volumeMounts)
            assert.ok(
              pod.volumes?.some((volume) => volume.name === name),
              name,
            );
        }
        const secrets = (pod.volumes ?? []).flatMap(({ secret }) => (secret ? [secret] : []));
        for (const { secretName, defaultMode, optional } of secrets) {
          assert.equal(optional ?? false, false, 'without it the Pod must not start');
          assert.equal(defaultMode, 0o400);
          assert.match(readFileSync('docs/install.md', 'utf8'), new RegExp(`create secret generic ${secretName}\\b`));
        }
        assert.equal(secrets.length, metadata.name === 'corax-controller' ? 0 : 1);
      }
    });

    test('probes ask ports that are there, and the Service finds the metrics of every agent', () => {
      const service = manifests.find(({ kind }) => kind === 'Service')?.spec as {
        selector: Record<string, string>;
        ports: ReadonlyArray<{ port: number; targetPort: string }>;
      };
      for (const each of workloads(manifests)) {
        const container = only(each);
        const ports = Object.fromEntries(
          (container.ports ?? []).map(({ name, containerPort }) => [name, containerPort]),
        );
        assert.equal(ports.metrics, 10265);
        assert.equal(ports.health, 10275);
        for (const [probe, path] of Object.entries({ livenessProbe: '/healthz', readinessProbe: '/readyz' })) {
          const { httpGet } = container[probe] as { httpGet: unknown };
          assert.deepEqual(httpGet, { path, port: 'health' });
        }
        if (each.kind !== 'DaemonSet') continue;
        const { labels } = each.spec.template.metadata;
        for (const [key, value] of Object.entries(service.selector)) assert.equal(labels[key], value);
      }
      assert.deepEqual(service.ports, [{ name: 'metrics', port: 10265, targetPort: 'metrics' }]);
    });

    test('settings are those that the agent takes', () => {
      const known = new Map(
        OPTION_KEYS.flatMap((key) => OPTIONS[key].env.map((name) => [name, OPTIONS[key]] as const)),
      );
      const settings = manifests.find(({ kind }) => kind === 'ConfigMap')?.data as Record<string, string>;
      for (const agent of agents(manifests)) {
        const { args, env = [] } = only(agent);
        assert.deepEqual(args, ['agent']);
        assert.deepEqual(
          env.filter(({ valueFrom }) => valueFrom !== undefined).map(({ name }) => name),
          ['NODE_NAME', 'NODE_IP'],
        );
        const values = Object.entries({
          ...settings,
          ...Object.fromEntries(env.map(({ name, value }) => [name, value])),
        });
        assert.ok(values.length > 5);
        for (const [name, value] of values) {
          const option = known.get(name);
          assert.ok(option, `${name} is a setting`);
          // Not set by a manifest, or set to nothing: that is not setting it
          if (value === undefined || value === '') continue;
          assert.ok(option.schema.safeParse('list' in option ? value.split(',') : value).success, `${name}=${value}`);
        }
      }
    });

    test('an upgrade never has two agents on a node, nor stops all of them', () => {
      const [edge, relay] = agents(manifests);
      assert.deepEqual(edge.spec.updateStrategy, {
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: 0, maxUnavailable: '20%' },
      });
      assert.deepEqual(relay.spec.updateStrategy, {
        type: 'RollingUpdate',
        rollingUpdate: { maxSurge: 0, maxUnavailable: 1 },
      });
      for (const { spec } of [edge, relay]) {
        for (const [key, value] of Object.entries(spec.selector.matchLabels)) {
          assert.equal(spec.template.metadata.labels[key], value);
        }
      }
      assert.notDeepEqual(edge.spec.selector, relay.spec.selector);
    });

    const linux = { 'kubernetes.io/os': 'linux' };
    const site = { ...linux, 'raven.openyurt.io/gateway': 'site-a' };
    const given = { ...site, 'raven.openyurt.io/agent': 'corax' };
    const asRelay = { 'node-restriction.kubernetes.io/corax-relay': '' };
    const moved = overlay === 'openyurt';
    const nodes: ReadonlyArray<[string, Record<string, string>, string | null]> = [
      ['of no gateway', linux, null],
      ['of a gateway', site, moved ? null : 'corax-edge'],
      ['of a gateway, a relay', { ...site, ...asRelay }, moved ? null : 'corax-relay'],
      ['of a gateway, given to corax', given, 'corax-edge'],
      ['of a gateway, given to corax, a relay', { ...given, ...asRelay }, 'corax-relay'],
      ['that is virtual', { ...given, type: 'virtual-kubelet' }, null],
      ['of Windows', { ...given, 'kubernetes.io/os': 'windows' }, null],
    ];
    for (const [what, labels, expected] of nodes) {
      test(`a node ${what}: ${expected ?? 'no agent'}`, () => {
        const running = agents(manifests).filter(({ spec }) => runsOn(spec.template.spec, labels));
        assert.deepEqual(
          running.map(({ metadata }) => metadata.name),
          expected === null ? [] : [expected],
        );
      });
    }
  });
}

describe('components', () => {
  test('libreswan: one more capability, its driver, its image', () => {
    for (const agent of agents(renderWith('standalone', ['libreswan']))) {
      const { image, env, securityContext } = only(agent);
      assert.deepEqual(securityContext.capabilities.add, ['NET_ADMIN', 'NET_RAW', 'NET_BIND_SERVICE']);
      assert.equal(env?.find(({ name }) => name === 'CORAX_DRIVER')?.value, 'libreswan');
      assert.equal(image, `corax:${version}-libreswan`);
    }
  });

  test('load-modules: SYS_MODULE for a step that ends, not for the agent', () => {
    const manifests = renderWith('openyurt', ['load-modules']);
    for (const agent of agents(manifests)) {
      const { initContainers = [] } = agent.spec.template.spec;
      assert.deepEqual(
        initContainers.map(({ image, securityContext }) => [image, securityContext.capabilities]),
        [[`corax:${version}`, { drop: ['ALL'], add: ['SYS_MODULE'] }]],
      );
      assert.deepEqual(only(agent).securityContext.capabilities.add, ['NET_ADMIN', 'NET_RAW']);
    }
  });

  test('cleanup: a step that removes what the agent made, and no agent', () => {
    for (const agent of agents(renderWith('standalone', ['cleanup']))) {
      const { initContainers = [] } = agent.spec.template.spec;
      assert.deepEqual(
        initContainers.map(({ args }) => args),
        [['agent', '--cleanup', '--state-dir', '/var/lib/corax/agent']],
      );
      const { args, command, livenessProbe, readinessProbe } = only(agent);
      assert.equal(command?.[0], '/usr/bin/node');
      assert.deepEqual([args, livenessProbe, readinessProbe], [undefined, undefined, undefined]);
    }
  });

  test('podmonitor: scrapes the port of that name of every Pod', () => {
    const manifests = renderWith('standalone', ['podmonitor']);
    const monitor = manifests.find(({ kind }) => kind === 'PodMonitor')?.spec as {
      selector: { matchExpressions: ReadonlyArray<{ key: string; values: readonly string[] }> };
      podMetricsEndpoints: ReadonlyArray<{ port: string }>;
    };
    const [expression] = monitor.selector.matchExpressions;
    assert.ok(expression);
    for (const { spec } of workloads(manifests)) {
      assert.ok(expression.values.includes(spec.template.metadata.labels[expression.key] ?? ''));
    }
    assert.deepEqual(
      monitor.podMetricsEndpoints.map(({ port }) => port),
      ['metrics'],
    );
  });
});

describe('a real API server', () => {
  let server: ApiServer;
  before(async () => {
    server = await startApi();
    await server.must('POST', '/api/v1/namespaces', { body: readManifests('deploy/base/namespace.yaml')[0] });
    // Of the built-in classes, and of the accounts, which Pods are checked against.
    await until('the priority class is there', async () => {
      const path = '/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical';
      return (await server.request('GET', path)).status === 200;
    });
    for (const name of ['corax-edge', 'corax-relay', 'corax-controller']) {
      const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace: 'corax' } };
      await server.must('POST', '/api/v1/namespaces/corax/serviceaccounts', { body });
    }
  });
  after(() => server?.stop());

  const cases: Array<[string, () => Manifest[]]> = [
    ...OVERLAYS.map((overlay): [string, () => Manifest[]] => [overlay, () => rendered.get(overlay) ?? []]),
    ['standalone with libreswan and load-modules', () => renderWith('standalone', ['libreswan', 'load-modules'])],
    ['openyurt with load-modules', () => renderWith('openyurt', ['load-modules'])],
    ['openyurt with cleanup', () => renderWith('openyurt', ['cleanup'])],
  ];
  for (const [what, manifests] of cases) {
    test(`${what}: a server-side dry run takes every object, with no field that it does not know`, async (t) => {
      let objects = 0;
      for (const manifest of manifests()) {
        const query = 'dryRun=All&fieldManager=test&fieldValidation=Strict';
        const { status, body } = await server.request('PATCH', `${await pathOf(server, manifest)}?${query}`, {
          body: manifest,
          type: 'application/apply-patch+yaml',
        });
        assert.ok(status === 200 || status === 201, `${manifest.kind} ${manifest.metadata.name}: ${body?.message}`);
        objects += 1;
      }
      t.diagnostic(`${objects} objects`);
    });

    test(`${what}: its Pods are admitted, by Pod Security and Priority too`, async () => {
      for (const { metadata, spec } of workloads(manifests())) {
        const { labels } = spec.template.metadata;
        const body = { metadata: { name: metadata.name, labels }, spec: spec.template.spec };
        const made = await server.request('POST', '/api/v1/namespaces/corax/pods?dryRun=All&fieldValidation=Strict', {
          body: { apiVersion: 'v1', kind: 'Pod', ...body },
        });
        assert.equal(made.status, 201, `${metadata.name}: ${made.body?.message}`);
        assert.ok(made.body.spec.priority >= 2_000_000_000, 'a system priority');
      }
    });
  }
});
