/** The short benchmark, each of the design's bars a test of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Failure } from '../../bench/model.js';
import type { Verdict } from '../../bench/report/figures.js';
import { verdictText } from '../../bench/report/figures.js';
import { lineSplitter } from '../../lab/process.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

test('npm run bench -- --quick: the bars', async (t) => {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', process.execPath, 'dist/bench/main.js', '--quick'], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.after(() => child.kill());
  child.stderr.on(
    'data',
    lineSplitter((line) => t.diagnostic(line)),
  );
  const code = await new Promise((resolve) => child.once('close', resolve));
  assert.ok(code === 0 || code === 1, `it ended with ${code}`);
  const { verdicts, failed } = JSON.parse(readFileSync(join(ROOT, 'bench/results/tmp/report.json'), 'utf8')) as {
    verdicts: Verdict[];
    failed: Failure[];
  };
  assert.deepEqual(failed, [], 'all was done');
  assert.ok(verdicts.length > 0, 'there are bars');
  for (const verdict of verdicts) {
    const { bar, value } = verdictText(verdict);
    await t.test(`${bar} (${value})`, () => assert.ok(verdict.met, value));
  }
});
