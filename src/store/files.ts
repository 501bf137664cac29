/** Reading one file of a folder that anybody may put anything into. */
import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, stat } from 'node:fs/promises';
import { codeOf, messageOf } from '../errors.js';
import { printable } from '../model/quote.js';
import type { DocumentFormat } from './document.js';

export const MAX_FILE_BYTES = 1024 * 1024;

/** Our own files in the folder; the reader does not see them. */
export const LOCK_PREFIX = '.corax-lock-';
export const TEMP_PREFIX = '.corax-tmp-';

/** The file is there, and is not fit to be read. */
export class FileRefused extends Error {}

export interface FileText {
  readonly text: string;
  readonly stats: BigIntStats;
}

/** Null for what is no Gateway file: hidden files (editors, rsync, our locks) and other extensions. */
export function formatOf(name: string): DocumentFormat | null {
  if (name.startsWith('.')) return null;
  if (/\.ya?ml$/.test(name)) return 'yaml';
  return name.endsWith('.json') ? 'json' : null;
}

/** The file's name as a lock or temporary file may carry it, however long it is. */
export function nameHash(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 16);
}

/** Differs where the file's content may. */
export function signatureOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/**
 * What the name leads to; null where the name is not there.
 * @throws FileRefused no regular file, too big, a link to nowhere, no permission
 */
export async function statFile(path: string): Promise<BigIntStats | null> {
  let stats: BigIntStats;
  try {
    stats = await stat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw asRefusal(error);
    const link = await lstat(path).catch(() => null);
    if (link !== null) throw new FileRefused('a symbolic link that leads nowhere');
    return null;
  }
  refuseOdd(stats);
  return stats;
}

function refuseOdd(stats: BigIntStats): void {
  if (!stats.isFile()) throw new FileRefused(`not a regular file but ${kindOf(stats)}`);
  if (stats.size > MAX_FILE_BYTES) {
    throw new FileRefused(`${stats.size} bytes, over the limit of 1 MiB; a Gateway is never so big`);
  }
}

function kindOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a named pipe';
  return stats.isSocket() ? 'a socket' : 'a device';
}

/** @throws FileRefused as {@link statFile}, and for what is no UTF-8 text; null where the file is gone */
export async function readFile(path: string): Promise<FileText | null> {
  return (await statFile(path)) === null ? null : readCheckedFile(path);
}

/** As {@link readFile}, of what {@link statFile} just found to be a regular file: to open a device may do something. */
export async function readCheckedFile(path: string): Promise<FileText | null> {
  let file: FileHandle | null = null;
  try {
    // Not blocking, should a pipe have taken the file's place since.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stats = await file.stat({ bigint: true });
    refuseOdd(stats);
    return { text: decode(await readAtMost(file, Number(stats.size) + 1)), stats };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw asRefusal(error);
  } finally {
    await file?.close();
  }
}

async function readAtMost(file: FileHandle, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes);
  let length = 0;
  while (length < bytes) {
    const { bytesRead } = await file.read(buffer, length, bytes - length, null);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

function decode(bytes: Buffer): string {
  if (bytes.includes(0)) throw new FileRefused('it holds NUL bytes: damaged, or no text');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FileRefused('not UTF-8 text');
  }
}

/** Shortages of ours, not the file's fault: they are thrown on, and the folder counts as unread. */
const SHORTAGES = ['EMFILE', 'ENFILE', 'ENOMEM', 'ESTALE', 'EINTR', 'EAGAIN'];

function asRefusal(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof FileRefused || code === null || SHORTAGES.includes(code)) return error;
  if (code === 'ELOOP') return new FileRefused('a symbolic link that leads to itself');
  if (code === 'EACCES') return new FileRefused('no permission to read it');
  return new FileRefused(`it cannot be read: ${printable(messageOf(error))}`);
}
