/** The C++ core's own tests, built without Node under AddressSanitizer and UBSan. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('native/core passes its tests under the sanitizers', (t) => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { status, stdout, stderr } = spawnSync('sh', ['native/test/run.sh'], { cwd: root, encoding: 'utf8' });
  const tail = `${stdout}\n${stderr}`.trim().split('\n').slice(-80).join('\n');
  assert.equal(status, 0, tail);
  t.diagnostic(stdout.trim().split('\n').at(-1) ?? '');
});
