/** The lab's own little program that sets up namespaces; compiled when its source is newer. */
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../process.js';

/** The clone's root, seen from dist/lab/net/ or lab/net/. */
function root(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

export const NETSETUP = join(root(), 'build/lab/netsetup');

/** To be called where compiling is quick: on the host, before a micro-VM boots. */
export async function compileNetsetup(progress: (line: string) => void): Promise<void> {
  const source = join(root(), 'lab/native/netsetup.cc');
  if (existsSync(NETSETUP) && statSync(NETSETUP).mtimeMs > statSync(source).mtimeMs) return;
  progress('compiling lab/native/netsetup.cc');
  mkdirSync(dirname(NETSETUP), { recursive: true });
  const aside = `${NETSETUP}.${process.pid}`;
  const warnings = ['-Wall', '-Wextra', '-Wconversion', '-Wshadow'];
  await run(['g++', '-std=c++17', '-O2', ...warnings, '-o', aside, source, '-lnftables']);
  renameSync(aside, NETSETUP);
}
