/** Changing a file that others read and change at the same time: under a lock, in whole or not at all. */
import { type FileHandle, open, realpath, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CoraxError, codeOf, messageOf } from '../errors.js';
import { type FileText, LOCK_PREFIX, nameHash, readFile, signatureOf, statFile, TEMP_PREFIX } from './files.js';
import { LOCK_TIMES, Lock, type LockTimes } from './lock.js';

/** Gives the new text, or null where nothing would change. */
export type Change = (text: string) => Promise<string | null>;

/** Somebody without our lock (an editor, git) may write at the same moment; after so many times we give up. */
const TRIES = 5;

/** @throws CoraxError CORAX_CONFLICT where the file is gone or keeps changing; CORAX_STORE */
export async function updateFile(
  path: string,
  change: Change,
  times: LockTimes = LOCK_TIMES,
): Promise<'written' | 'unchanged'> {
  try {
    // Through symbolic links: the link stays, what it leads to is replaced.
    const target = await realpath(path);
    if ((await change((await mustRead(target)).text)) === null) return 'unchanged';
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const result = await updateLocked(target, change, times);
      if (result !== 'again') return result;
    }
  } catch (error) {
    throw asCoraxError(error, path);
  }
  throw new CoraxError('CORAX_CONFLICT', `${basename(path)} was changed by others ${TRIES} times while it was written`);
}

async function updateLocked(
  target: string,
  change: Change,
  times: LockTimes,
): Promise<'written' | 'unchanged' | 'again'> {
  const folder = dirname(target);
  const hash = nameHash(basename(target));
  const lock = await Lock.acquire(join(folder, LOCK_PREFIX + hash), basename(target), times);
  try {
    const before = await mustRead(target);
    const text = await change(before.text);
    if (text === null) return 'unchanged';
    const temporary = join(folder, `${TEMP_PREFIX}${hash}-${lock.id}`);
    try {
      await writeWhole(temporary, text, before);
      const now = await statFile(target);
      const same = now !== null && signatureOf(now) === signatureOf(before.stats);
      return same && lock.commit(temporary, target) ? 'written' : 'again';
    } finally {
      await unlink(temporary).catch(() => {});
    }
  } finally {
    // What was written is written; a lock that cannot be removed is taken away by others.
    await lock.release().catch(() => {});
  }
}

async function mustRead(path: string): Promise<FileText> {
  const file = await readFile(path);
  if (file === null) throw new CoraxError('CORAX_CONFLICT', `${basename(path)} is gone`);
  return file;
}

/** On the disk, with the owner and mode of the file that it is going to replace. */
async function writeWhole(path: string, text: string, { stats }: FileText): Promise<void> {
  let file: FileHandle | null = null;
  try {
    file = await open(path, 'wx', 0o600);
    await file.writeFile(text);
    // Only root may give a file away; the mode is set last, because a new owner clears set-id bits.
    await file.chown(Number(stats.uid), Number(stats.gid)).catch(() => {});
    await file.chmod(Number(stats.mode & 0o777n));
    await file.sync();
  } finally {
    await file?.close();
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  EROFS: 'the folder is mounted read-only; agents publish into it, mount it writable',
  EACCES: 'no permission to write there; give the agent write access to the folder',
  EPERM: 'not permitted; see the mount options and attributes of the folder',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

function asCoraxError(error: unknown, path: string): CoraxError {
  if (error instanceof CoraxError) return error;
  const code = codeOf(error);
  if (code === 'ENOENT') {
    return new CoraxError('CORAX_CONFLICT', `${basename(path)} is gone`, { cause: error });
  }
  const why = (code !== null && ADVICE[code]) || messageOf(error);
  return new CoraxError('CORAX_STORE', `${basename(path)} could not be written: ${why}`, { cause: error });
}
