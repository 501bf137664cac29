import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadControllerConfig } from '#src/controller/config.js';

const folder = mkdtempSync(join(tmpdir(), 'corax-controller-'));
const kubeconfig = join(folder, 'kubeconfig');
writeFileSync(kubeconfig, '');
after(() => rmSync(folder, { recursive: true, force: true }));

const load = (flags: object = {}, env: Record<string, string> = {}) =>
  loadControllerConfig({ kubeconfig, ...flags }, env);

test('defaults', () => {
  const { identity, ...rest } = load();
  assert.ok(identity.length > 0);
  assert.deepEqual(rest, {
    source: { kind: 'kubeconfig', file: kubeconfig },
    lease: { namespace: 'corax', name: 'corax-controller' },
    leaseDurationS: 15,
    yurtManager: { namespace: 'kube-system', name: 'yurt-manager' },
    graceMs: 10_000,
    metrics: { host: '127.0.0.1', port: 10265 },
    health: { host: '127.0.0.1', port: 10275 },
    logLevel: 'info',
  });
});

test('flags count before the environment; a variable that is empty is not set', () => {
  const env = { POD_NAMESPACE: 'there', POD_NAME: 'pod-1', CORAX_LOG_LEVEL: '', CORAX_METRICS_ADDR: 'off' };
  const config = load({ namespace: 'here', grace: '0.5', healthAddr: ':1234' }, env);
  assert.deepEqual(config.lease, { namespace: 'here', name: 'corax-controller' });
  assert.deepEqual([config.identity, config.graceMs, config.logLevel], ['pod-1', 500, 'info']);
  assert.deepEqual([config.metrics, config.health], [null, { host: '::', port: 1234 }]);
  assert.equal(load({}, env).lease.namespace, 'there');
});

test('all that is wrong is told at once, with what is expected', () => {
  const flags = {
    namespace: 'UPPER',
    lease: 'a b',
    yurtManagerLease: 'alone',
    grace: '-1',
    leaseDuration: '2',
    logLevel: 'loud',
  };
  assert.throws(
    () => load({ ...flags, kubeconfig: join(folder, 'absent') }, { CORAX_HEALTH_ADDR: 'x' }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'CORAX_CONFIG');
      const lines = error.message.split('\n');
      assert.equal(lines.length, 8, error.message);
      assert.ok(lines.includes('--namespace "UPPER": expected the name of a namespace'));
      assert.ok(lines.includes('--yurt-manager-lease "alone": expected NAMESPACE/NAME'));
      assert.ok(lines.includes('--lease-duration "2": expected whole seconds, 3 to 600'));
      assert.ok(lines.includes('--grace "-1": expected seconds, 0 to 3600'));
      assert.ok(lines.some((line) => line.startsWith('CORAX_HEALTH_ADDR "x": expected ')));
      assert.match(error.message, /the Kubernetes API cannot be reached: ENOENT.*--kubeconfig names a file/);
      return true;
    },
  );
});

test('neither a Pod nor a kubeconfig', () => {
  const saved = process.env.KUBERNETES_SERVICE_HOST;
  delete process.env.KUBERNETES_SERVICE_HOST;
  try {
    assert.throws(() => loadControllerConfig({}, {}), /KUBERNETES_SERVICE_HOST is not set: this is no pod/);
  } finally {
    if (saved !== undefined) process.env.KUBERNETES_SERVICE_HOST = saved;
  }
});
