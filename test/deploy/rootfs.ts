/** Root file systems of the image, built and looked into. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in the repository; what it is told of this machine's certificates does not hold in a chroot. */
export function run(...[name = '', ...words]: readonly string[]): Ran {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const options = { cwd: ROOT, env, encoding: 'utf8' as const, maxBuffer: 64 << 20 };
  const { status, stdout, stderr, error } = spawnSync(name, words, options);
  if (error) throw error;
  return { status, stdout, stderr };
}

/** As {@link run}; it has to end well. Gives what it printed, less the last line's end. */
export function must(...words: readonly string[]): string {
  const { status, stdout, stderr } = run(...words);
  assert.equal(status, 0, `${words.join(' ')}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`);
  return stdout.trimEnd();
}

/** Loads the addon and starts its engine, which opens its sockets. */
export const START_ENGINE = `
  const { Engine } = require('/opt/corax/build/Release/corax.node');
  const engine = new Engine(() => {});
  console.log(process.arch, typeof engine.stats().queueLength);
  engine.close();
`;
