/**
 * Runs every test of lab/test where labs can be built (the host's kernel, or one micro-VM for all of them)
 * and shows each of them, live, as a subtest of its own.
 *
 * CORAX_LAB_TESTS="agent pairs" picks files by a part of their name; CORAX_LAB_LOGS keeps the agents' logs.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseEvent } from '../../lab/guest/events.js';
import { chooseLane, runInside } from '../../lab/setting.js';
import { EventTree } from './event-tree.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A file that takes longer hangs. */
const FILE_SECONDS = 1500;
const ALL_MS = 3 * 3600 * 1000;

/** Sources and what they are built to. */
function testFiles(): Array<{ source: string; built: string }> {
  const wanted = (process.env.CORAX_LAB_TESTS ?? '').split(/\s+/).filter((word) => word !== '');
  const list = (folder: string, ending: string, built: string): Array<{ source: string; built: string }> =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith(ending))
      .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
      .sort()
      .map((file) => ({ source: `${folder}/${file}`, built: `${built}/${file.replace(/ts$/, 'js')}` }));
  return [
    ...list('test/native', '.kernel.test.ts', 'dist/lab/kernel-tests'),
    ...list('lab/test', '.test.ts', 'dist/lab/test'),
  ];
}

// A runner that is killed outright takes its test files along; with this process go the micro-VM and its namespaces.
const runner = process.ppid;
setInterval(() => process.ppid === runner || process.exit(143), 500).unref();

test('lab', async (t) => {
  const files = testFiles();
  assert.ok(files.length > 0, 'no test file in lab/test is picked');
  for (const { source, built } of files) {
    assert.ok(existsSync(join(ROOT, built)), `${source} is not built: npm run build`);
  }
  const logs = process.env.CORAX_LAB_LOGS || join(ROOT, 'build/lab-logs');
  mkdirSync(logs, { recursive: true });
  const lane = await chooseLane();
  t.diagnostic(
    `labs are built in the ${lane === 'vm' ? 'micro-VM' : "host's kernel"}; agents' logs in ${relative(ROOT, logs)}`,
  );

  const tree = new EventTree(t, (built) => files.find((file) => file.built === built)?.source ?? built);
  try {
    const command = [
      process.execPath,
      'dist/lab/guest/run-tests.js',
      String(FILE_SECONDS),
      ...files.map(({ built }) => built),
    ];
    const code = await runInside(command, {
      lane,
      cwd: ROOT,
      env: { CORAX_LAB_LOGS: logs },
      shared: logs,
      timeoutMs: ALL_MS,
      progress: (line) => t.diagnostic(line),
      onLine: (line) => {
        const event = parseEvent(line);
        if (event) tree.take(event);
        else tree.note(line);
      },
    });
    assert.equal(code, 0, 'the test runner inside ended well');
    tree.end();
    assert.equal(tree.filesEnded.length, files.length, 'every file ran to its end');
  } catch (error) {
    tree.abort(error);
    throw error;
  } finally {
    await tree.settled();
  }
});
