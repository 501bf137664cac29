/**
 * The programs that corax is measured against, built from their registries (crates.io, the Go module proxy) into the
 * cache; their versions are pinned by the lock files beside their sources. One that cannot be built is left out, and
 * the report says why.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '#src/errors.js';
import { run } from '../../lab/process.js';
import { cacheDirectory } from '../../lab/vm/kernel.js';
import { EXPORTER, FLOOR, LOAD } from '../model.js';
import { ROOT } from '../root.js';

const SOURCES = join(ROOT, 'bench/peers');

interface Recipe {
  readonly who: string;
  /** Below bench/peers: a file, or a folder whose files count. */
  readonly source: string;
  /** @param into the program's path */
  build(source: string, into: string, aside: string): Promise<unknown>;
  /** As the report tells it. */
  version(source: string): string;
}

const nice = ['setpriv', '--pdeathsig', 'KILL', '--', 'nice', '-n', '10'];
const find = (file: string, pattern: RegExp): string => pattern.exec(readFileSync(file, 'utf8'))?.[1] ?? 'unknown';

function goBuild(source: string, into: string): Promise<unknown> {
  const command = [...nice, 'go', 'build', '-trimpath', '-mod=readonly', '-o', into, '.'];
  return run(command, { cwd: source, env: { ...process.env, CGO_ENABLED: '0' } });
}

const readVersion = (source: string): string => readFileSync(join(source, 'version'), 'utf8').trim();

const RECIPES: readonly Recipe[] = [
  {
    who: FLOOR,
    source: 'raw.c',
    build: (source, into) => run([...nice, 'gcc', '-O2', '-Wall', '-Wextra', '-o', into, source]),
    version: () => 'bench/peers/raw.c, gcc -O2',
  },
  {
    who: 'wgctrl-go',
    source: 'go',
    build: goBuild,
    version: (source) => find(join(source, 'go.mod'), /wgctrl (\S+)/),
  },
  {
    who: 'wireguard-control',
    source: 'rust',
    build: async (source, into, aside) => {
      await run([...nice, 'cargo', 'build', '--release', '--locked', '--target-dir', join(aside, 'target')], {
        cwd: source,
      });
      await rename(join(aside, 'target/release/corax-bench-wireguard-control'), into);
      await rm(join(aside, 'target'), { recursive: true });
    },
    version: (source) => find(join(source, 'Cargo.lock'), /name = "wireguard-control"\nversion = "([^"]+)"/),
  },
  {
    who: EXPORTER,
    source: 'exporter',
    build: async (source, into, aside) => {
      const version = readVersion(source);
      const where = ['--locked', '--no-track', '--root', aside, '--target-dir', join(aside, 'target')];
      await run([...nice, 'cargo', 'install', EXPORTER, '--version', version, ...where]);
      await rename(join(aside, 'bin', EXPORTER), into);
    },
    version: readVersion,
  },
  {
    who: LOAD,
    source: 'load',
    build: goBuild,
    version: (source) => `flynn/noise ${find(join(source, 'go.mod'), /noise (\S+)/)}`,
  },
];

export interface Peers {
  /** Paths of programs, by contender. */
  readonly programs: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  /** Why a contender is not there. */
  readonly missing: Readonly<Record<string, string>>;
}

/** @param asked contenders and other programs; nothing else is built */
export async function buildPeers(asked: ReadonlySet<string>, progress: (line: string) => void): Promise<Peers> {
  const programs: Record<string, string> = {};
  const versions: Record<string, string> = { 'forked wg': await wgVersion() };
  const missing: Record<string, string> = {};
  for (const recipe of RECIPES.filter(({ who }) => asked.has(who))) {
    try {
      programs[recipe.who] = await built(recipe, progress);
      versions[recipe.who] = recipe.version(join(SOURCES, recipe.source));
    } catch (error) {
      missing[recipe.who] = messageOf(error).split('\n').slice(0, 3).join(' ');
      progress(`${recipe.who} is left out: ${missing[recipe.who]}`);
    }
  }
  return { programs, versions, missing };
}

async function wgVersion(): Promise<string> {
  const { stdout } = await run(['wg', '--version'], { allowFailure: true });
  return stdout.split(' ')[1] ?? 'unknown';
}

async function built({ who, source, build }: Recipe, progress: (line: string) => void): Promise<string> {
  const path = join(SOURCES, source);
  const folder = join(cacheDirectory(), 'bench');
  await mkdir(folder, { recursive: true });
  const program = join(folder, `${who.replaceAll(' ', '-')}-${digest(path)}`);
  if (existsSync(program)) return program;
  progress(`building ${who} (only the first time)`);
  // Built aside and renamed whole; a build that is stopped half-way leaves nothing.
  const aside = await mkdtemp(join(folder, '.new-'));
  const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
    const handler = (): void => {
      rmSync(aside, { recursive: true, force: true });
      process.exit(code);
    };
    process.once(signal, handler);
    return () => process.removeListener(signal, handler);
  });
  try {
    await build(path, join(aside, 'program'), aside);
    await rename(join(aside, 'program'), program);
  } finally {
    for (const remove of handlers) remove();
    await rm(aside, { recursive: true, force: true });
  }
  return program;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Of all that the program is built from. */
function digest(path: string): string {
  const hash = createHash('sha256');
  const add = (file: string): void => void hash.update(file.slice(SOURCES.length)).update(readFileSync(file));
  if (path.endsWith('.c')) add(path);
  else {
    const names = readdirSync(path, { recursive: true, withFileTypes: true });
    const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) add(file);
  }
  return hash.digest('hex').slice(0, 16);
}
