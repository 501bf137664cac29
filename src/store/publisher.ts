/** Writes endpoints into the files of a folder: one write a file at a time, a few files at once. */
import { join } from 'node:path';
import { CoraxError, messageOf } from '../errors.js';
import { printable } from '../model/quote.js';
import type { DocumentThread } from './document-thread.js';
import { formatOf } from './files.js';
import type { LockTimes } from './lock.js';
import type { EndpointPatch } from './store.js';
import { Turns } from './turns.js';
import { updateFile } from './update.js';

const WRITES_ABREAST = 8;

export class Publisher {
  readonly #folder: string;
  readonly #thread: DocumentThread;
  readonly #lockTimes: LockTimes;
  readonly #turns = new Turns(WRITES_ABREAST);
  #writes = 0;

  constructor(folder: string, thread: DocumentThread, lockTimes: LockTimes) {
    this.#folder = folder;
    this.#thread = thread;
    this.#lockTimes = lockTimes;
  }

  /** Files written since the start. */
  get writes(): number {
    return this.#writes;
  }

  publish(file: string, patch: EndpointPatch): Promise<'written' | 'unchanged'> {
    return this.#turns.run(file, () => this.#write(file, patch));
  }

  settled(): Promise<void> {
    return this.#turns.settled();
  }

  async #write(file: string, patch: EndpointPatch): Promise<'written' | 'unchanged'> {
    const result = await updateFile(
      join(this.#folder, file),
      (text) => this.#change(file, text, patch),
      this.#lockTimes,
    );
    if (result === 'written') this.#writes += 1;
    return result;
  }

  async #change(file: string, text: string, patch: EndpointPatch): Promise<string | null> {
    const edited = await this.#thread.edit(text, formatOf(file) ?? 'yaml', patch).catch((cause) => {
      throw new CoraxError('CORAX_STORE', `${printable(file)} cannot be written: ${messageOf(cause)}`, { cause });
    });
    if (edited.found) return edited.text;
    const { gateway, nodeName } = patch;
    throw new CoraxError(
      'CORAX_CONFLICT',
      `${printable(file)} holds no gateway ${gateway} with a tunnel endpoint of the node ${nodeName}`,
    );
  }
}
