/** Runs built test files where labs can be built, and shows each of their tests, live, as a subtest of its own. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DriverName } from '#src/model/names.js';
import { parseEvent } from '../../lab/guest/events.js';
import { chooseLane, type InsideOptions, type Lane, runInside } from '../../lab/setting.js';
import { EventTree } from './event-tree.js';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A file that takes longer hangs. */
const FILE_SECONDS = 1500;
const ALL_MS = 3 * 3600 * 1000;

// A runner that is killed outright takes its test files along; with this process go the micro-VM and its namespaces.
const runner = process.ppid;
setInterval(() => process.ppid === runner || process.exit(143), 500).unref();

export interface LabTestFile {
  readonly source: string;
  readonly built: string;
}

interface RunOptions extends Pick<InsideOptions, 'env' | 'hostPorts'> {
  readonly driver?: DriverName;
  /** Else what this machine has. */
  readonly lane?: Lane;
}

export async function runFiles(
  t: TestContext,
  files: readonly LabTestFile[],
  { driver, lane: wanted, ...options }: RunOptions = {},
): Promise<void> {
  assert.ok(files.length > 0, 'no test file is picked');
  for (const { source, built } of files) {
    assert.ok(existsSync(join(ROOT, built)), `${source} is not built: npm run build`);
  }
  const logs = process.env.CORAX_LAB_LOGS || join(ROOT, 'build/lab-logs');
  mkdirSync(logs, { recursive: true });
  const lane = wanted ?? (await chooseLane(driver));
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
      ...options,
      lane,
      cwd: ROOT,
      env: { ...options.env, CORAX_LAB_LOGS: logs },
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
}
