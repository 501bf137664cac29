/**
 * The micro-VM's kernel: Debian's stock one, unpacked into a cache and never installed. Only the modules
 * that a lab can need are kept (a tenth of the package).
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CoraxError } from '#src/errors.js';
import { run } from '../process.js';

export interface Kernel {
  /** "6.1.0-56-amd64" */
  readonly version: string;
  readonly image: string;
  /** Directory that holds kernel/, modules.dep and so on. */
  readonly modules: string;
}

const ASIDE = '.new-';
const DAY_MS = 86_400_000;
const PACKAGE = /^linux-image-(6\.1\.0-(\d+)-amd64)$/;
const KEPT = ['arch', 'crypto', 'lib', 'net', 'drivers/net/wireguard', 'drivers/net/*.ko', 'drivers/net/vxlan'].concat([
  'drivers/virtio',
  'drivers/char',
  'fs/9p',
  'fs/overlayfs',
  'fs/netfs',
  'fs/fscache',
  'fs/fuse',
]);

export function cacheDirectory(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'corax');
}

function kernelAt(root: string, version: string): Kernel {
  const base = join(root, version);
  return { version, image: join(base, `boot/vmlinuz-${version}`), modules: join(base, `lib/modules/${version}`) };
}

/** The newest by Debian's ABI number. */
function newest(names: readonly string[]): string | null {
  const byAbi = names.filter((name) => PACKAGE.test(name));
  byAbi.sort((a, b) => Number(PACKAGE.exec(a)?.[2]) - Number(PACKAGE.exec(b)?.[2]));
  return byAbi.at(-1) ?? null;
}

async function newestPackage(): Promise<string | null> {
  const search = await run(['apt-cache', 'pkgnames', 'linux-image-6.1.0-']);
  return newest(search.stdout.split('\n'));
}

/** The cached kernel, else the newest that apt offers (70 MB, once). */
export async function findKernel(progress: (line: string) => void): Promise<Kernel> {
  const root = join(cacheDirectory(), 'kernel');
  await mkdir(root, { recursive: true });
  const cached = newest((await readdir(root)).map((version) => `linux-image-${version}`));
  if (cached) return kernelAt(root, cached.slice('linux-image-'.length));

  if (process.arch !== 'x64') {
    throw new CoraxError(
      'CORAX_LAB',
      `The micro-VM is for x86-64; this is ${process.arch}. Use a kernel with WireGuard.`,
    );
  }
  // Left by a run that was killed half-way; a download takes no day.
  for (const entry of await readdir(root)) {
    const age = Date.now() - (await stat(join(root, entry))).mtimeMs;
    if (entry.startsWith(ASIDE) && age > DAY_MS) await rm(join(root, entry), { recursive: true, force: true });
  }
  try {
    return kernelAt(root, await download(root, progress));
  } catch {
    // Lists of some weeks ago name packages that the mirror no longer has.
    progress('reading the package lists (apt-get update)');
    await run(['apt-get', 'update', '-q']);
    return kernelAt(root, await download(root, progress));
  }
}

/** Unpacks the newest kernel that apt knows; resolves to its version. */
async function download(root: string, progress: (line: string) => void): Promise<string> {
  const name = await newestPackage();
  const version = name === null ? undefined : PACKAGE.exec(name)?.[1];
  if (name === null || version === undefined) {
    throw new CoraxError('CORAX_LAB', 'apt offers no linux-image-6.1.0-*-amd64; the micro-VM needs Debian 12 sources.');
  }
  // Unpacked aside and renamed whole: a run that is killed half-way leaves nothing that looks like a kernel.
  const aside = await mkdtemp(join(root, ASIDE));
  try {
    progress(`downloading ${name} (70 MB, only the first time)`);
    await run(['apt-get', 'download', '-q', '-o', 'APT::Sandbox::User=root', name], { cwd: aside });
    const deb = (await readdir(aside)).find((file) => file.endsWith('.deb'));
    if (!deb) throw new CoraxError('CORAX_LAB', `apt-get download ${name} left no package`);
    progress(`unpacking ${name}`);
    await unpack(join(aside, deb), join(aside, 'root'), version);
    await run(['depmod', '-b', join(aside, 'root'), version]);
    await rename(join(aside, 'root'), join(root, version)).catch((error: unknown) => {
      // Somebody else was quicker: theirs is as good.
      if (!existsSync(join(root, version))) throw error;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
  return version;
}

async function unpack(deb: string, target: string, version: string): Promise<void> {
  await mkdir(target);
  const modules = `./lib/modules/${version}`;
  const members = [
    `./boot/vmlinuz-${version}`,
    `${modules}/modules.*`,
    ...KEPT.map((part) => `${modules}/kernel/${part}`),
  ];
  // "sh" only for the pipe; every word is passed as an argument.
  const script =
    'deb=$1; dir=$2; shift 2; dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --wildcards --no-wildcards-match-slash "$@"';
  await run(['sh', '-c', script, 'sh', deb, target, ...members]);
}
