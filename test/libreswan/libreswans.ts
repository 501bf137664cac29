/** The libreswans that are tried: this machine's own, and Debian 13's in a root of its own (scripts/trixie.sh). */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Libreswan {
  /** As its pluto says it: "4.10" */
  readonly version: string;
  /** "" = this machine's. */
  readonly root: string;
}

const PROGRAMS = '/usr/libexec/ipsec';

/** A program of libreswan's with its arguments, as one would start it here. Paths in them are paths in its root. */
export function commandOf(root: string, program: 'whack' | 'pluto', ...args: readonly string[]): [string, string[]] {
  const path = join(PROGRAMS, program);
  return root === '' ? [path, [...args]] : ['chroot', [root, path, ...args]];
}

function libreswanIn(root: string): Libreswan {
  const said = execFileSync(...commandOf(root, 'whack', '--version'), { encoding: 'utf8' });
  const version = /^Libreswan (\S+)/.exec(said)?.[1];
  if (!version) throw new Error(`whack --version says ${said}`);
  return { version, root };
}

export function libreswans(): Libreswan[] {
  const repository = fileURLToPath(new URL('../..', import.meta.url));
  const trixie = execFileSync('sh', ['scripts/trixie.sh'], { cwd: repository, encoding: 'utf8' }).trim();
  return ['', trixie].map(libreswanIn);
}
