/** The tests' own API server: killed with whoever started it, nothing of it stays. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { pinnedVersions } from '../../scripts/kube/assets.js';
import { until } from './api-server.js';

const main = fileURLToPath(new URL('../../scripts/kube/main.ts', import.meta.url));

/** Command lines of processes that name the folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const words = readFileSync(join('/proc', pid, 'cmdline'), 'utf8').split('\0');
        return words.some((word) => word.includes(folder)) ? [words.slice(0, 2).join(' ')] : [];
      } catch {
        return [];
      }
    });
}

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
  test(`started by hand and ended by ${signal}: no process and no file is left`, async (t) => {
    const child = spawn(process.execPath, ['-C', 'corax-source', '--import', 'tsx', main, 'start'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    await until('it answers', () => out.includes('\n') || child.exitCode !== null);
    const file = /^export KUBECONFIG=(\S+)$/m.exec(out)?.[1] ?? assert.fail(out);
    const folder = dirname(file);
    assert.ok(processesOf(folder).length >= 2, 'etcd and kube-apiserver');
    child.kill(signal);
    await until('all is gone', () => processesOf(folder).length === 0 && !existsSync(folder));
  });
}

test('the versions that go.mod pins', () => {
  for (const version of Object.values(pinnedVersions())) assert.match(version, /^\d+\.\d+\.\d+$/);
});
