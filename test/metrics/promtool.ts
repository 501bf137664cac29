/** Debian's promtool, as a person runs it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';

/** Runs it; its exit code has to be 0. @returns all that it printed */
export function promtool(words: readonly string[], input: string | Buffer = ''): string {
  const { status, error, stdout, stderr } = spawnSync('promtool', words, {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  assert.equal(error, undefined, 'promtool is not installed: npm run setup');
  assert.equal(status, 0, `promtool ${words.join(' ')}: ${stdout.slice(-2000)}${stderr.slice(-2000)}`);
  return stdout + stderr;
}
