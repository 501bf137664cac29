/** Tells which names in a folder may have changed. Hints only: events get lost (NFS, a full queue). */
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { codeOf, messageOf } from '../errors.js';
import { formatOf } from './files.js';
import type { StoreHealth } from './store.js';

/**
 * Of hidden names the only one that tells of Gateways: a mounted ConfigMap's files are links through it, and it is
 * swapped in their stead. Others are drafts of editors and rsync, and our own locks.
 */
const KUBERNETES_DATA = '..data';

export interface FolderEvents {
  /** A Gateway file was touched. */
  name(name: string): void;
  /** Something happened that names no Gateway file (links swapped, the folder moved): look at everything. */
  unclear(): void;
}

export class FolderWatch {
  readonly #folder: string;
  readonly #events: FolderEvents;
  #watcher: FSWatcher | null = null;
  #identity: string | null = null;
  #error: StoreHealth['lastError'] = null;

  constructor(folder: string, events: FolderEvents) {
    this.#folder = folder;
    this.#events = events;
  }

  /** Why the kernel tells nothing, or null. */
  get error(): StoreHealth['lastError'] {
    return this.#error;
  }

  /**
   * Watches the folder that has the name now, if it is another than before.
   * @returns device and inode of the folder
   * @throws where there is no folder
   */
  async arm(): Promise<string> {
    const identity = await this.#identify().catch((error) => {
      this.close();
      throw error;
    });
    if (this.#watcher !== null && identity === this.#identity) return identity;
    this.close();
    this.#identity = identity;
    try {
      const watcher = watch(this.#folder, { persistent: false }, (_, name) => {
        // Events of a folder that was replaced meanwhile say nothing of the new one.
        if (this.#watcher === watcher) this.#report(name);
      });
      watcher.on('error', (error) => this.#fail(error));
      this.#watcher = watcher;
      this.#error = null;
    } catch (error) {
      this.#fail(error);
    }
    return identity;
  }

  /** Does the name still lead to the folder that is watched? */
  async moved(): Promise<boolean> {
    const identity = await this.#identify().catch(() => null);
    return identity !== this.#identity;
  }

  close(): void {
    this.#watcher?.close();
    this.#watcher = null;
    this.#identity = null;
  }

  #report(name: string | null): void {
    // The folder itself was moved or deleted. One that is made anew may get the same inode.
    const itself = name === null || name === basename(resolve(this.#folder));
    if (itself) this.close();
    if (name !== null && formatOf(name) !== null) this.#events.name(name);
    else if (itself || !name.startsWith('.') || name === KUBERNETES_DATA) this.#events.unclear();
  }

  async #identify(): Promise<string> {
    const stats = await stat(this.#folder, { bigint: true });
    if (!stats.isDirectory()) throw Object.assign(new Error(`${this.#folder} is not a folder`), { code: 'ENOTDIR' });
    return `${stats.dev}:${stats.ino}`;
  }

  #fail(error: unknown): void {
    const limits = ['EMFILE', 'ENOSPC'].includes(codeOf(error) ?? '');
    const advice = limits ? '; raise fs.inotify.max_user_instances and max_user_watches' : '';
    const message = `the folder cannot be watched, changes are seen late: ${messageOf(error)}${advice}`;
    this.#error = { code: 'CORAX_STORE', message, at: this.#error?.at ?? Date.now() };
    this.#watcher?.close();
    this.#watcher = null;
  }
}
