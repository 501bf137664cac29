/** The initramfs: busybox, the few modules that it takes to reach the host's root over 9p, and an init. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CoraxError } from '#src/errors.js';
import { INIT, SECOND_STAGE } from './guest-init.js';
import { cacheDirectory, type Kernel } from './kernel.js';

/** What it takes to reach the host; their dependencies come along. */
const MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'virtio_console'] as const;

interface Entry {
  readonly name: string;
  /** st_mode */
  readonly mode: number;
  readonly data?: Buffer;
  readonly device?: readonly [major: number, minor: number];
}

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const CHARACTER_DEVICE = 0o020600;

/** A cpio archive in the "newc" format, which is what the kernel unpacks. */
export function cpio(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  const pad = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4);
  const add = (entry: Entry, inode: number): void => {
    const name = Buffer.from(`${entry.name}\0`);
    const data = entry.data ?? Buffer.alloc(0);
    const [major, minor] = entry.device ?? [0, 0];
    const fields = [inode, entry.mode, 0, 0, 1, 0, data.length, 0, 0, major, minor, name.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
    parts.push(header, name, pad(header.length + name.length), data, pad(data.length));
  };
  entries.forEach((entry, index) => {
    add(entry, index + 1);
  });
  add({ name: 'TRAILER!!!', mode: 0 }, 0);
  return Buffer.concat(parts);
}

/** Files of the modules and all that they need, in the order in which they load, by depmod's index. */
async function moduleFiles(kernel: Kernel): Promise<string[]> {
  const index = await readFile(join(kernel.modules, 'modules.dep'), 'utf8');
  const needs = new Map<string, { file: string; needs: string[] }>();
  const nameOf = (file: string): string => file.slice(file.lastIndexOf('/') + 1, -'.ko'.length).replaceAll('-', '_');
  for (const line of index.split('\n')) {
    const [file = '', rest = ''] = line.split(':');
    needs.set(nameOf(file), {
      file,
      needs: rest
        .split(' ')
        .filter((word) => word !== '')
        .map(nameOf),
    });
  }
  const files = new Set<string>();
  const add = (name: string): void => {
    const module = needs.get(name);
    // A module that the index does not know is built into this kernel.
    if (!module || files.has(join(kernel.modules, module.file))) return;
    for (const other of module.needs) add(other);
    files.add(join(kernel.modules, module.file));
  };
  for (const name of MODULES) add(name);
  return [...files];
}

/** Builds the initramfs, or finds it in the cache; resolves to its path. */
export async function findInitramfs(kernel: Kernel): Promise<string> {
  const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));
  if (!busybox) throw new CoraxError('CORAX_LAB', 'busybox-static is not installed; run "npm run setup"');
  const files = await moduleFiles(kernel);
  const program = await readFile(busybox);
  const key = createHash('sha256')
    .update(INIT)
    .update(MODULES.join())
    .update(SECOND_STAGE)
    .update(program)
    .digest('hex')
    .slice(0, 16);
  const path = join(cacheDirectory(), 'initramfs', `${kernel.version}-${key}.cpio`);
  if (existsSync(path)) return path;

  const directories = ['bin', 'dev', 'proc', 'host', 'rw', 'root', 'modules'];
  const entries: Entry[] = [
    ...directories.map((name) => ({ name, mode: DIRECTORY })),
    { name: 'dev/console', mode: CHARACTER_DEVICE, device: [5, 1] },
    { name: 'bin/busybox', mode: PROGRAM, data: program },
    { name: 'init', mode: PROGRAM, data: Buffer.from(INIT) },
    { name: 'second-stage', mode: PROGRAM, data: Buffer.from(SECOND_STAGE) },
  ];
  for (const [index, file] of files.entries()) {
    const name = `modules/${String(index).padStart(2, '0')}.ko`;
    entries.push({ name, mode: PROGRAM, data: await readFile(file) });
  }
  await mkdir(join(cacheDirectory(), 'initramfs'), { recursive: true });
  const aside = `${path}.${process.pid}`;
  await writeFile(aside, cpio(entries));
  await rename(aside, path);
  return path;
}
