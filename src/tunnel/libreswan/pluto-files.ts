/** pluto's folder in the state directory: NSS database, secrets, socket, log. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CoraxError, codeOf, messageOf } from '../../errors.js';
import type { Secret } from '../../model/secret.js';

/** Debian's, Fedora's, and that of a build by hand. */
const PROGRAMS = ['/usr/libexec/ipsec/pluto', '/usr/lib/ipsec/pluto', '/usr/local/libexec/ipsec/pluto'];
/** sun_path holds 108 bytes, the last one zero (unix(7)). */
const SOCKET_PATH_LIMIT = 107;
const CERTUTIL_MS = 60_000;

export interface PlutoFiles {
  readonly directory: string;
  readonly run: string;
  readonly socket: string;
  readonly pid: string;
  readonly nss: string;
  readonly secrets: string;
  /** Of certificates, which nobody has here; pluto asks for the folder. */
  readonly ipsecDir: string;
  readonly log: string;
  /** What stands in pluto, for the next agent ({@link ./book.ts}). */
  readonly book: string;
}

/** @throws CORAX_CONFIG where the socket's path would be too long for the kernel */
export function plutoFiles(stateDir: string): PlutoFiles {
  const directory = join(stateDir, 'pluto');
  const run = join(directory, 'run');
  const socket = join(run, 'pluto.ctl');
  if (Buffer.byteLength(socket) > SOCKET_PATH_LIMIT) {
    throw new CoraxError('CORAX_CONFIG', `--state-dir ${stateDir} is too long a path for pluto's socket in it`);
  }
  return {
    directory,
    run,
    socket,
    pid: join(run, 'pluto.pid'),
    nss: join(directory, 'nss'),
    secrets: join(directory, 'secrets'),
    ipsecDir: join(directory, 'ipsec.d'),
    log: join(directory, 'log'),
    book: join(directory, 'connections.json'),
  };
}

/** @throws CORAX_PLUTO where there is none */
export function findPluto(): string {
  const found = PROGRAMS.find((program) => existsSync(program));
  if (found !== undefined) return found;
  throw new CoraxError(
    'CORAX_PLUTO',
    `libreswan is not installed (no pluto at ${PROGRAMS.join(', ')}): install the package libreswan, or use --driver wireguard`,
  );
}

/** What the agent keeps beside any pluto, somebody else's too: the book. */
export async function prepareFolder({ directory }: PlutoFiles): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
}

/**
 * For a pluto of our own.
 *
 * @returns are the secrets other than they were
 */
export async function prepareFiles(files: PlutoFiles, psk: Secret): Promise<boolean> {
  for (const folder of [files.run, files.nss, files.ipsecDir]) await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(join(files.nss, 'cert9.db'))) await createNss(files.nss);
  const text = secretsText(psk);
  const before = await readFile(files.secrets, 'utf8').catch(() => null);
  if (before === text) return false;
  await writeWhole(files.secrets, text);
  return before !== null;
}

/**
 * One line for all, as raven has it (ipsec.secrets(5)).
 *
 * @throws CORAX_PSK for what the file cannot hold
 */
export function secretsText(psk: Secret): string {
  const text = psk.reveal();
  if (/["\r\n]/.test(text)) {
    throw new CoraxError(
      'CORAX_PSK',
      'libreswan cannot read a pre-shared key that has a quote or an end of line in it',
    );
  }
  return `%any %any : PSK "${text}"\n`;
}

/** Without a password: it holds no key, and pluto starts on its own. */
async function createNss(folder: string): Promise<void> {
  try {
    await promisify(execFile)('certutil', ['-N', '-d', `sql:${folder}`, '--empty-password'], { timeout: CERTUTIL_MS });
  } catch (error) {
    const missing = codeOf(error) === 'ENOENT';
    const why = missing ? 'certutil is not installed (package libnss3-tools)' : messageOf(error);
    throw new CoraxError('CORAX_PLUTO', `pluto's NSS database cannot be made in ${folder}: ${why}`);
  }
}

/** A crash leaves the old or the new, for the owner's eyes only. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const draft = join(dirname(path), `.${randomUUID()}`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
