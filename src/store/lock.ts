/**
 * A lock among processes and machines that share a folder, made of files, because a folder is all they share.
 *
 * The lock is a file that is linked into place, which only one can do (also over NFS). It says who holds it:
 * a holder on this machine is looked up, one elsewhere has to touch its lock twice a second. A lock whose
 * holder is gone is taken away; taking away one lock is itself exclusive (`.gone`), so that nobody takes away
 * the lock of whoever came next.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync, renameSync } from 'node:fs';
import { link, lstat, open, readFile, unlink, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoraxError, codeOf, messageOf } from '../errors.js';

export interface LockTimes {
  /** How often a holder touches its lock. */
  readonly touchMs: number;
  /** How long the lock of a holder on another machine may lie untouched. */
  readonly deadMs: number;
  /** The same where the holder's process is known to live: it hangs, or is stopped. */
  readonly hungMs: number;
  /** How long to wait for a lock in all. */
  readonly waitMs: number;
}

export const LOCK_TIMES: LockTimes = { touchMs: 500, deadMs: 3000, hungMs: 8000, waitMs: 15_000 };

/** File systems that have no hard links answer with one of these. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'];

interface Holder {
  readonly id: string;
  readonly pid: number;
  /** Ticks since boot at which the process started: tells it from a later one of the same number. */
  readonly started: string | null;
  /** The boot and process namespace in which `pid` counts. */
  readonly world: string | null;
}

export class Lock {
  readonly id: string;
  readonly #path: string;
  readonly #timer: NodeJS.Timeout;

  private constructor(path: string, id: string, touchMs: number) {
    this.#path = path;
    this.id = id;
    this.#timer = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => {});
    }, touchMs);
  }

  /** @throws CoraxError CORAX_STORE after `waitMs`, or where the folder cannot be written */
  static async acquire(path: string, note: string, times: LockTimes = LOCK_TIMES): Promise<Lock> {
    const id = randomBytes(8).toString('hex');
    const draft = `${path}.${id}`;
    const deadline = performance.now() + times.waitMs;
    const write = () => writeFile(draft, describeHolder(id, note), { mode: 0o644 });
    await write();
    try {
      const watch = new HolderWatch(path, times);
      for (let pause = 2; !(await place(draft, path, id, write)); pause = Math.min(pause * 2, 50)) {
        if (performance.now() > deadline) throw new CoraxError('CORAX_STORE', watch.complaint());
        if (await watch.removeIfDead()) continue;
        await sleep(pause * (0.5 + Math.random()));
      }
    } finally {
      await unlink(draft).catch(() => {});
    }
    return new Lock(path, id, times.touchMs);
  }

  /**
   * Renames, if the lock is still ours: another may have taken it while this process was stopped. Nothing but the
   * kernel could look and rename in one; here they are two system calls in a row. A process that is stopped just
   * between them, for longer than `hungMs`, undoes a write, which its writer sees and repeats.
   */
  commit(from: string, to: string): boolean {
    if (!this.held()) return false;
    renameSync(from, to);
    return true;
  }

  /** Is it still ours? */
  held(): boolean {
    try {
      return (JSON.parse(readFileSync(this.#path, 'utf8')) as { id?: unknown }).id === this.id;
    } catch {
      return false;
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#timer);
    await removeLock(this.#path, this.id);
  }
}

/** True where the lock is now ours. */
async function place(draft: string, path: string, id: string, rewrite: () => Promise<void>): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    // Over NFS an answer can get lost, and the question asked again fails: the link count knows.
    if (codeOf(error) === 'EEXIST') return (await readHolder(path))?.id === id;
    // Whoever waits for long may have had its draft taken for one that a killed process left.
    if (codeOf(error) === 'ENOENT') {
      await rewrite();
      return false;
    }
    if (!NO_LINKS.includes(codeOf(error) ?? '')) throw error;
  }
  try {
    await writeFile(path, await readFile(draft), { flag: 'wx', mode: 0o644 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** One waiter's view of whoever holds the lock. Times are of its own clock: machines' clocks differ. */
class HolderWatch {
  readonly #path: string;
  readonly #times: LockTimes;
  #seen: string | null = null;
  #since = 0;
  #holder: Holder | null = null;

  constructor(path: string, times: LockTimes) {
    this.#path = path;
    this.#times = times;
  }

  /** True where the lock is gone now. */
  async removeIfDead(): Promise<boolean> {
    const stats = await lstat(this.#path, { bigint: true }).catch(() => null);
    const holder = await readHolder(this.#path);
    if (stats === null) return true;
    this.#holder = holder;
    const now = performance.now();
    const seen = `${holder?.id} ${stats.ino} ${stats.mtimeNs}`;
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#since = now;
    }
    const life = holder === null ? 'unknown' : lifeOf(holder);
    const patience = { gone: 0, unknown: this.#times.deadMs, lives: this.#times.hungMs }[life];
    if (life !== 'gone' && now - this.#since < patience) return false;
    return removeLock(this.#path, holder?.id ?? null);
  }

  complaint(): string {
    const who = this.#holder === null ? '' : ` by process ${this.#holder.pid}`;
    return `the lock ${this.#path} is held${who}; see what that process does, or delete the lock if nobody writes`;
  }
}

/**
 * Takes the lock of this id away, if it is still there. Whoever does that holds `.gone` meanwhile, so that
 * between looking and deleting nobody else can delete, and the lock that is deleted is the one looked at.
 */
async function removeLock(path: string, id: string | null): Promise<boolean> {
  const guard = `${path}.${id ?? 'damaged'}.gone`;
  try {
    await (await open(guard, 'wx')).close();
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    await removeOldGuard(guard);
    return false;
  }
  try {
    const holder = await readHolder(path);
    if ((holder?.id ?? null) === id) await unlink(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  } finally {
    await unlink(guard).catch(() => {});
  }
}

/** A guard is held for the time of three system calls: one that is still there much later was left behind. */
const GUARD_MS = 5000;
const guardsSeen = new Map<string, number>();

async function removeOldGuard(guard: string): Promise<void> {
  const there = await lstat(guard, { bigint: true }).catch(() => null);
  if (there === null) return;
  const key = `${guard} ${there.ino}`;
  const since = guardsSeen.get(key);
  if (since === undefined) {
    if (guardsSeen.size > 1000) guardsSeen.clear();
    guardsSeen.set(key, performance.now());
  } else if (performance.now() - since > GUARD_MS) {
    guardsSeen.delete(key);
    await unlink(guard).catch(() => {});
  }
}

/** Null where there is no lock, or one that nobody can read. */
async function readHolder(path: string): Promise<Holder | null> {
  try {
    // Whatever else somebody put there (a pipe would block us) is no lock of ours.
    const stats = await lstat(path);
    if (!stats.isFile() || stats.size > 4096) return null;
    const value = JSON.parse(await readFile(path, 'utf8')) as Partial<Holder>;
    if (typeof value.id !== 'string' || !/^[0-9a-f]{16}$/.test(value.id)) return null;
    const text = (part: unknown) => (typeof part === 'string' ? part : null);
    const pid = Number.isSafeInteger(value.pid) && Number(value.pid) > 0 ? Number(value.pid) : 0;
    return { id: value.id, pid, started: text(value.started), world: text(value.world) };
  } catch (error) {
    if (codeOf(error) === null || codeOf(error) === 'ENOENT') return null;
    throw new CoraxError('CORAX_STORE', `the lock ${path} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function describeHolder(id: string, note: string): string {
  const { pid } = process;
  const time = new Date().toISOString();
  return `${JSON.stringify({ id, pid, started: startOf(pid), world: ownWorld(), host: hostname(), time, file: note })}\n`;
}

function lifeOf(holder: Holder): 'gone' | 'lives' | 'unknown' {
  if (holder.world === null || holder.world !== ownWorld() || holder.pid === 0) return 'unknown';
  const started = startOf(holder.pid);
  return started !== null && started === holder.started ? 'lives' : 'gone';
}

/** Containers of one machine count their processes apart. */
function ownWorld(): string | null {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return null;
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); null where there is no such process, or only its zombie. */
function startOf(pid: number): string | null {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}
