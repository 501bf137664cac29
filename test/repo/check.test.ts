/** The repository itself: formatting, lint rules, types. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('npm run check: Biome and the TypeScript compiler find nothing', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'check'], { cwd: root, encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}\n${stderr}`);
});
