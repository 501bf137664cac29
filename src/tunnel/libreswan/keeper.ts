/** pluto's life: found, started, watched, started again. Or somebody else's, by its socket, which is only watched. */
import { statSync } from 'node:fs';
import { CoraxError, codeOf, messageOf } from '../../errors.js';
import type { Secret } from '../../model/secret.js';
import { PlutoClient } from './pluto-client.js';
import { findPluto, type PlutoFiles, prepareFiles, prepareFolder } from './pluto-files.js';
import { type PlutoIdentity, PlutoProcess } from './pluto-process.js';

/** Milliseconds before a pluto that ended is started again: at once, then ever later while it does not stay up. */
const BACKOFF_MS = [0, 500, 2_000, 5_000, 15_000, 30_000] as const;
/** One that was up for so long has its earlier ends forgiven. */
const STEADY_MS = 60_000;

export interface KeeperParts {
  readonly files: PlutoFiles;
  readonly psk: Secret;
  /** Of a pluto that somebody else keeps; null: we do. */
  readonly socket: string | null;
  /** Another pluto took the place of the one before: it knows of nothing yet. */
  readonly replaced: () => void;
}

export class Keeper {
  readonly client: PlutoClient;
  readonly #parts: KeeperParts;
  readonly #process: PlutoProcess | null;
  #identity: PlutoIdentity | null = null;
  #starting: Promise<void> | null = null;
  #failures = 0;
  #startedAt = 0;
  #nextStartAt = 0;
  #trouble: { readonly message: string; readonly since: number } | null = null;
  #stopped = false;

  /** @throws CORAX_PLUTO where libreswan is not installed */
  constructor(parts: KeeperParts) {
    this.#parts = parts;
    const program = findPluto();
    this.client = new PlutoClient(parts.socket ?? parts.files.socket, program);
    this.#process = parts.socket === null ? new PlutoProcess(parts.files, program, () => this.check()) : null;
  }

  /** Of the pluto that answers now; null while none does. */
  get identity(): PlutoIdentity | null {
    return this.#identity;
  }

  /** What is wrong with it, for a person; null when nothing is. */
  get trouble(): { readonly message: string; readonly since: number } | null {
    return this.#trouble;
  }

  isRunning(): boolean {
    return this.#process !== null && this.#process.running() !== null;
  }

  /** Takes up the one that runs, or starts one. Where that fails it is tried again in the background. */
  async open(): Promise<void> {
    await prepareFolder(this.#parts.files);
    if (this.#process !== null) {
      const changed = await prepareFiles(this.#parts.files, this.#parts.psk);
      if (await this.#adopt()) {
        if (changed) await this.client.send({ op: 'rereadsecrets' });
        return;
      }
    }
    await this.#renew();
  }

  /** Is the pluto that we know still there? If not, another is got. Cheap: to be asked every second. */
  check(): void {
    if (this.#stopped || this.#starting !== null) return;
    const present = this.#present();
    if (present !== null && present === this.#identity) {
      if (this.#failures > 0 && performance.now() - this.#startedAt > STEADY_MS) this.#failures = 0;
      return;
    }
    this.#identity = null;
    if (performance.now() < this.#nextStartAt) return;
    this.#starting = this.#renew().finally(() => {
      this.#starting = null;
      if (this.#identity !== null) this.#parts.replaced();
    });
  }

  /** The agent ends; pluto stays. */
  close(): void {
    this.#stopped = true;
    this.client.close();
  }

  /** Ours is shut down; somebody else's is left alone. */
  async end(): Promise<void> {
    this.#stopped = true;
    const greet = this.client.greet().catch(() => undefined);
    await this.#process?.stop(async () => {
      await greet;
      await this.client.send({ op: 'shutdown' });
    });
    this.#identity = null;
  }

  async #adopt(): Promise<boolean> {
    const identity = this.#process?.running() ?? null;
    if (identity === null) return false;
    try {
      await this.client.greet();
    } catch {
      // It runs and does not answer: of no use to anybody.
      await this.#process?.stop(() => Promise.resolve());
      return false;
    }
    this.#identity = identity;
    this.#startedAt = performance.now();
    return true;
  }

  async #renew(): Promise<void> {
    const delay = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] as number;
    this.#failures += 1;
    this.#startedAt = performance.now();
    this.#nextStartAt = performance.now() + delay;
    try {
      if (this.#process !== null) {
        const identity = await this.#process.start(() => this.client.greet());
        // Its sockets first: what the kernel has of a pluto before is decrypted again from here on.
        await this.client.send({ op: 'listen' });
        this.#identity = identity;
      } else {
        const identity = this.#present();
        if (identity === null) throw new CoraxError('CORAX_PLUTO', `no pluto at ${this.#parts.socket}`);
        await this.client.greet();
        this.#identity = identity;
      }
      this.#trouble = null;
    } catch (error) {
      this.#trouble ??= { message: messageOf(error), since: Date.now() };
    }
  }

  #present(): PlutoIdentity | null {
    if (this.#process !== null) return this.#process.running();
    try {
      const { dev, ino, ctimeMs } = statSync(this.#parts.socket as string);
      return `${dev} ${ino} ${ctimeMs}`;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }
}
