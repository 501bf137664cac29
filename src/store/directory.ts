/**
 * A folder of Gateways, one YAML (or JSON) file each; whoever shares the folder (git, rsync, NFS) shares the
 * gateways. Files count by name: hidden ones and other extensions are not looked at, and of two files with
 * one gateway the first in byte order counts.
 *
 * Unknown is not empty: a folder that vanished, cannot be read, or was swapped for an empty one (a share that
 * is not mounted) removes nothing, and a broken file leaves its last good version in force.
 */
import { readdir } from 'node:fs/promises';
import { CoraxError, messageOf } from '../errors.js';
import { printable } from '../model/quote.js';
import { Catalogue } from './catalogue.js';
import { Debris } from './debris.js';
import { DocumentThread } from './document-thread.js';
import { formatOf } from './files.js';
import { FolderReader } from './folder-reader.js';
import { FolderWatch } from './folder-watch.js';
import { LOCK_TIMES, type LockTimes } from './lock.js';
import { Publisher } from './publisher.js';
import type { EndpointPatch, GatewayStore, StoreBatch, StoreHealth } from './store.js';

export interface DirectoryOptions {
  /** How often everything is looked at, because events get lost. */
  readonly rescanMs?: number;
  /** How often to see whether the folder is still the same one. */
  readonly checkMs?: number;
  /** As `rescanMs`, where the kernel tells no changes at all (no inotify watch to be had). */
  readonly blindMs?: number;
  /** Events are collected so long. */
  readonly debounceMs?: number;
  readonly lockTimes?: LockTimes;
  readonly debrisMs?: number;
}

/** So many names at once mean that the kernel's queue of events may have run over. */
const MANY = 1000;

export class DirectoryStore implements GatewayStore {
  readonly #folder: string;
  readonly #options: Required<DirectoryOptions>;
  readonly #catalogue = new Catalogue();
  readonly #thread = new DocumentThread();
  readonly #reader: FolderReader;
  readonly #publisher: Publisher;
  readonly #watch: FolderWatch;
  readonly #debris: Debris;
  readonly #dirty = new Set<string>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #onChange: (batch: StoreBatch) => void = () => {};
  #scanDue = true;
  #running: Promise<void> | null = null;
  #debounce: NodeJS.Timeout | null = null;
  #stopped = false;
  #synced = false;
  /** The folder whose files are known. */
  #known: string | null = null;
  #error: StoreHealth['lastError'] = null;
  #lastSync: number | null = null;
  /** `unread` as it was given last; null before the first batch. */
  #told: boolean | null = null;

  constructor(folder: string, options: DirectoryOptions = {}) {
    this.#folder = folder;
    this.#options = {
      rescanMs: 30_000,
      checkMs: 1000,
      blindMs: 5000,
      debounceMs: 30,
      lockTimes: LOCK_TIMES,
      debrisMs: 60_000,
      ...options,
    };
    this.#reader = new FolderReader(folder, this.#catalogue, this.#thread);
    this.#publisher = new Publisher(folder, this.#thread, this.#options.lockTimes);
    this.#debris = new Debris(folder, this.#options.debrisMs);
    this.#watch = new FolderWatch(folder, {
      name: (name) => {
        this.#dirty.add(name);
        if (this.#dirty.size > MANY) this.#scanDue = true;
        this.#wakeSoon();
      },
      unclear: () => {
        this.#scanDue = true;
        this.#wakeSoon();
      },
    });
  }

  async start(onChange: (batch: StoreBatch) => void): Promise<void> {
    this.#onChange = onChange;
    await this.#wake();
    if (this.#stopped) return;
    this.#every(this.#options.rescanMs, () => this.#rescan());
    this.#every(this.#options.checkMs, async () => {
      if (this.#error !== null || (await this.#watch.moved())) await this.#rescan();
    });
    // Without events looking again is all there is.
    this.#every(this.#options.blindMs, async () => {
      if (this.#watch.error !== null) await this.#rescan();
    });
  }

  health(): StoreHealth {
    const blind = this.#watch.error;
    return {
      synced: this.#synced,
      lastError: this.#error ?? blind,
      lastSync: this.#lastSync,
      refused: this.#catalogue.refusals,
      reads: this.#reader.reads,
      writes: this.#publisher.writes,
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#watch.close();
    if (this.#debounce !== null) clearTimeout(this.#debounce);
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#running;
    await this.#publisher.settled();
    await this.#thread.close();
  }

  #every(ms: number, work: () => Promise<void>): void {
    const timer = setTimeout(async () => {
      this.#timers.delete(timer);
      await work();
      if (!this.#stopped) this.#every(ms, work);
    }, ms);
    this.#timers.add(timer.unref());
  }

  #rescan(): Promise<void> {
    this.#scanDue = true;
    return this.#wake();
  }

  /** The first event starts the clock; those that follow do not put it off, so that a busy writer starves nobody. */
  #wakeSoon(): void {
    if (this.#stopped) return;
    this.#debounce ??= setTimeout(() => {
      this.#debounce = null;
      void this.#wake();
    }, this.#options.debounceMs);
  }

  #wake(): Promise<void> {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped && (this.#scanDue || this.#dirty.size > 0)) {
      const whole = this.#scanDue || !this.#synced;
      const dirty = new Set(this.#dirty);
      this.#scanDue = false;
      this.#dirty.clear();
      try {
        if (whole) await this.#scan(dirty);
        else await this.#reader.look([...dirty], dirty, () => this.#stopped);
      } catch (error) {
        this.#fail(error);
        // Names that were not looked at are looked at again with the next whole reading.
        this.#reader.doubt(dirty);
        this.#report();
        return;
      }
      this.#report();
    }
  }

  #fail(error: unknown): void {
    const known = error instanceof CoraxError;
    const message = known ? messageOf(error) : `${this.#folder} cannot be read: ${printable(messageOf(error))}`;
    const nothing = this.#synced ? '; what was read before stays in force' : '';
    this.#error = { code: known ? error.code : 'CORAX_STORE', message: message + nothing, at: Date.now() };
  }

  #report(): void {
    if (!this.#synced || this.#stopped) return;
    const batch = this.#catalogue.take();
    const empty = batch.upserted.length + batch.refused.length + batch.removed.length === 0;
    if (empty && this.#told === batch.unread) return;
    this.#told = batch.unread;
    this.#onChange({ synced: true, ...batch });
  }

  /** The whole folder: reads what has another signature than before, and the names that are told. */
  async #scan(dirty: ReadonlySet<string>): Promise<void> {
    const identity = await this.#watch.arm();
    const listing = await readdir(this.#folder);
    const names = listing.filter((name) => formatOf(name) !== null).sort();
    if (names.length === 0 && this.#known !== null && this.#known !== identity && this.#catalogue.size > 0) {
      throw new CoraxError('CORAX_STORE', `${this.#folder} was replaced by an empty folder: is its share mounted?`);
    }
    await this.#reader.look(names, dirty, () => this.#stopped);
    this.#reader.retain(new Set(names));
    this.#known = identity;
    this.#synced = true;
    this.#lastSync = Date.now();
    this.#error = null;
    await this.#debris.reap(listing);
  }

  async publish(patch: EndpointPatch): Promise<'written' | 'unchanged'> {
    if (this.#stopped) throw new CoraxError('CORAX_STORE', 'the store is stopped');
    if (!this.#synced) throw new CoraxError('CORAX_STORE', `${this.#folder} was not read yet; try again when it was`);
    const file = this.#catalogue.fileOf(patch.gateway);
    if (file === null) {
      throw new CoraxError('CORAX_CONFLICT', `no file in ${this.#folder} holds the gateway ${patch.gateway}`);
    }
    const result = await this.#publisher.publish(file, patch);
    if (result === 'unchanged') return result;
    // What a link leads to is in another folder, where nobody watches.
    this.#dirty.add(file);
    this.#wakeSoon();
    return result;
  }
}
