/** Locks and temporary files that killed processes left in the folder. */
import { lstat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { LOCK_PREFIX, TEMP_PREFIX } from './files.js';

/** Longer than any write or lock lasts. A living lock is touched, and so never gets that old. */
const DEBRIS_MS = 60_000;

export class Debris {
  readonly #folder: string;
  readonly #afterMs: number;
  /** When a file was first seen as it is, by our own clock: the clocks of those who share the folder differ. */
  #seen = new Map<string, number>();

  constructor(folder: string, afterMs = DEBRIS_MS) {
    this.#folder = folder;
    this.#afterMs = afterMs;
  }

  /** Looks at the names of a whole listing; deletes what has not moved for long. */
  async reap(names: readonly string[]): Promise<void> {
    const seen = new Map<string, number>();
    const now = performance.now();
    for (const name of names) {
      if (!name.startsWith(LOCK_PREFIX) && !name.startsWith(TEMP_PREFIX)) continue;
      const path = join(this.#folder, name);
      const stats = await lstat(path, { bigint: true }).catch(() => null);
      if (stats === null || stats.isDirectory()) continue;
      const key = `${name} ${stats.ino} ${stats.mtimeNs} ${stats.size}`;
      const since = this.#seen.get(key) ?? now;
      if (now - since >= this.#afterMs) await unlink(path).catch(() => {});
      else seen.set(key, since);
    }
    this.#seen = seen;
  }
}
