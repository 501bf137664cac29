/** Reads the files of a folder that changed into the catalogue, many side by side, in slices. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { printable } from '../model/quote.js';
import type { Catalogue } from './catalogue.js';
import type { ReadDocument } from './document.js';
import type { DocumentThread } from './document-thread.js';
import { FileRefused, type FileText, formatOf, readCheckedFile, signatureOf, statFile } from './files.js';
import { Slices } from './slices.js';

interface Loaded {
  readonly name: string;
  /** Empty where the file must be read again in any case. */
  readonly signature: string;
  /** Of the text or the refusal. */
  readonly hash: string;
  readonly content: { readonly text: string } | { readonly refused: string };
}

/** Files that are looked at side by side. */
const ABREAST = 16;
/** How often one content is read that the reading thread does not come to an end with. */
const TRIES = 3;

export class FolderReader {
  readonly #folder: string;
  readonly #catalogue: Catalogue;
  readonly #thread: DocumentThread;
  readonly #seen = new Map<string, Pick<Loaded, 'signature' | 'hash'>>();
  /** Contents whose reading failed for no fault of theirs, and how often. */
  readonly #failed = new Map<string, { readonly hash: string; readonly times: number }>();
  #reads = 0;

  constructor(folder: string, catalogue: Catalogue, thread: DocumentThread) {
    this.#folder = folder;
    this.#catalogue = catalogue;
    this.#thread = thread;
  }

  /** Files opened since the start. */
  get reads(): number {
    return this.#reads;
  }

  /**
   * Looks at files: those in `dirty` are read whatever they look like, the others where their signature
   * differs. Takes what they hold into the catalogue, and out of it those that are gone.
   * @throws what keeps us from reading at all (no file descriptors left); some files are taken in by then
   */
  async look(names: readonly string[], dirty: ReadonlySet<string>, stopped: () => boolean): Promise<void> {
    const slices = new Slices();
    const load = (from: number) => {
      const group = Promise.all(names.slice(from, from + ABREAST).map((name) => this.#load(name, dirty.has(name))));
      // It is awaited a turn later; until then a failure must not count as unhandled.
      group.catch(() => {});
      return group;
    };
    let next = load(0);
    for (let from = 0; from < names.length && !stopped(); from += ABREAST) {
      const group = await next;
      // The disk works while we parse.
      next = load(from + ABREAST);
      for (const loaded of group) {
        await this.#take(loaded);
        await slices.pause();
      }
    }
    await next;
  }

  /** Takes out of the catalogue what is not among the names. */
  retain(names: ReadonlySet<string>): void {
    for (const file of [...this.#catalogue.files]) if (!names.has(file)) this.#drop(file);
  }

  /** Reads these again the next time, whatever they look like. */
  doubt(names: Iterable<string>): void {
    for (const name of names) this.#seen.delete(name);
  }

  async #load(name: string, dirty: boolean): Promise<Loaded | 'same' | { readonly gone: string }> {
    const path = join(this.#folder, name);
    try {
      const stats = await statFile(path);
      if (stats === null) {
        if (name.includes('\ufffd')) throw new FileRefused('its name is not UTF-8');
        return { gone: name };
      }
      if (!dirty && this.#seen.get(name)?.signature === signatureOf(stats)) return 'same';
      this.#reads += 1;
      const file = await readCheckedFile(path);
      if (file === null) return { gone: name };
      return { name, signature: signatureWhenQuiet(file), hash: hashOf(file.text), content: { text: file.text } };
    } catch (error) {
      if (!(error instanceof FileRefused)) throw error;
      return { name, signature: '', hash: `refused: ${error.message}`, content: { refused: error.message } };
    }
  }

  async #take(loaded: Loaded | 'same' | { readonly gone: string }): Promise<void> {
    if (loaded === 'same') return;
    if ('gone' in loaded) return this.#drop(loaded.gone);
    const { name, signature, hash, content } = loaded;
    if (this.#seen.get(name)?.hash === hash) {
      this.#seen.set(name, { signature, hash });
      return;
    }
    const document = await this.#parse(name, content);
    this.#catalogue.put(name, document);
    if (!document.ok && document.passing && this.#isTriedAgain(name, hash)) {
      this.#seen.delete(name);
      return;
    }
    this.#failed.delete(name);
    this.#seen.set(name, { signature, hash });
  }

  /** A few times: a document that takes for ever to read must not be read for ever. */
  #isTriedAgain(name: string, hash: string): boolean {
    const before = this.#failed.get(name);
    const times = before?.hash === hash ? before.times + 1 : 1;
    this.#failed.set(name, { hash, times });
    return times < TRIES;
  }

  async #parse(name: string, content: Loaded['content']): Promise<ReadDocument> {
    const fallback = printable(name.replace(/\.[^.]+$/, ''));
    if ('refused' in content) return { ok: false, name: fallback, reason: content.refused, line: null };
    return this.#thread.read(content.text, formatOf(name) ?? 'yaml', fallback);
  }

  #drop(name: string): void {
    this.#seen.delete(name);
    this.#failed.delete(name);
    this.#catalogue.delete(name);
  }
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64');
}

/** Written within the clock tick of the reading: the next write might leave the same signature. */
const TICK_MS = 20;

function signatureWhenQuiet({ stats }: FileText): string {
  return Math.abs(Date.now() - Number(stats.mtimeMs)) < TICK_MS ? '' : signatureOf(stats);
}
