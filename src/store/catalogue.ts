/** Which gateways a folder's files make, and what of that changed. Pure: no I/O, no clock. */
import { isDeepStrictEqual } from 'node:util';
import type { Gateway } from '../model/gateway.js';
import { printable } from '../model/quote.js';
import type { ReadDocument } from './document.js';
import type { Refusal, StoreBatch } from './store.js';

interface Entry {
  /** The last good version. */
  gateway: Gateway | null;
  problem: Extract<ReadDocument, { ok: false }> | null;
}

const byteOrder = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

export class Catalogue {
  readonly #entries = new Map<string, Entry>();
  /** Files with a good version of a gateway, in byte order: the first one counts. */
  readonly #claims = new Map<string, string[]>();
  readonly #reported = new Map<string, Gateway>();
  readonly #refusals = new Map<string, Refusal>();
  /** Files that are refused and never held a good version. */
  readonly #unread = new Set<string>();
  readonly #touchedNames = new Set<string>();
  readonly #touchedFiles = new Set<string>();

  get files(): Iterable<string> {
    return this.#entries.keys();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Refusals that stand, as of the last {@link take}. */
  get refusals(): Refusal[] {
    return [...this.#refusals.values()];
  }

  /** The file that counts for a gateway. */
  fileOf(gateway: string): string | null {
    return this.#claims.get(gateway)?.[0] ?? null;
  }

  put(file: string, document: ReadDocument): void {
    const entry = this.#entries.get(file) ?? { gateway: null, problem: null };
    this.#entries.set(file, entry);
    this.#touchedFiles.add(file);
    entry.problem = document.ok ? null : document;
    if (document.ok) this.#claim(file, entry, document.gateway);
  }

  delete(file: string): void {
    const entry = this.#entries.get(file);
    if (entry === undefined) return;
    this.#claim(file, entry, null);
    this.#entries.delete(file);
    this.#touchedFiles.add(file);
  }

  #claim(file: string, entry: Entry, gateway: Gateway | null): void {
    const before = entry.gateway?.name ?? null;
    const after = gateway?.name ?? null;
    entry.gateway = gateway;
    if (before !== null && before !== after) {
      const rest = (this.#claims.get(before) ?? []).filter((other) => other !== file);
      if (rest.length > 0) this.#claims.set(before, rest);
      else this.#claims.delete(before);
      this.#touch(before, rest);
    }
    if (after === null) return;
    const files = this.#claims.get(after) ?? [];
    if (!files.includes(file)) files.push(file);
    this.#claims.set(after, files.sort(byteOrder));
    this.#touch(after, files);
  }

  #touch(name: string, files: readonly string[]): void {
    this.#touchedNames.add(name);
    for (const file of files) this.#touchedFiles.add(file);
  }

  /** What changed since the last call. */
  take(): Omit<StoreBatch, 'synced'> {
    const upserted: Gateway[] = [];
    const removed: string[] = [];
    for (const name of this.#touchedNames) {
      const file = this.fileOf(name);
      const gateway = file === null ? null : (this.#entries.get(file)?.gateway ?? null);
      const reported = this.#reported.get(name);
      if (gateway === null) {
        if (this.#reported.delete(name)) removed.push(name);
      } else if (reported === undefined || !isDeepStrictEqual(gateway, reported)) {
        this.#reported.set(name, gateway);
        upserted.push(gateway);
      }
    }
    const refused = [...this.#touchedFiles].flatMap((file) => this.#takeRefusal(file));
    refused.sort((a, b) => byteOrder(a.source, b.source));
    this.#touchedNames.clear();
    this.#touchedFiles.clear();
    return { upserted, refused, removed, unread: this.#unread.size > 0 };
  }

  #takeRefusal(file: string): Refusal[] {
    const refusal = this.#refusalOf(file);
    const before = this.#refusals.get(file);
    if (refusal === null) this.#refusals.delete(file);
    else this.#refusals.set(file, refusal);
    if (this.#isUnread(file)) this.#unread.add(file);
    else this.#unread.delete(file);
    return refusal === null || isDeepStrictEqual(refusal, before) ? [] : [refusal];
  }

  #consequence(file: string, { gateway }: Entry): string {
    if (gateway !== null && this.fileOf(gateway.name) === file) return '; the last good version stays in force';
    return this.#isUnread(file) ? '; until it is repaired or removed, nothing is deleted that may be its' : '';
  }

  #isUnread(file: string): boolean {
    const entry = this.#entries.get(file);
    return entry !== undefined && entry.gateway === null && entry.problem !== null && !entry.problem.foreign;
  }

  #refusalOf(file: string): Refusal | null {
    const entry = this.#entries.get(file);
    if (entry === undefined) return null;
    const { gateway, problem } = entry;
    const first = gateway === null ? null : this.fileOf(gateway.name);
    const source = printable(file);
    if (problem === null) {
      if (gateway === null || first === file) return null;
      const reason = `${printable(first ?? '')} has a gateway of this name already; the first by file name counts`;
      return { name: gateway.name, reason, source };
    }
    const name = gateway !== null && first === file ? gateway.name : problem.name;
    return {
      name,
      reason: problem.reason + this.#consequence(file, entry),
      source: problem.line === null ? source : `${source}:${problem.line}`,
    };
  }
}
