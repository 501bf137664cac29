/**
 * Who was refused: pluto says so in its log alone. It has no counter for it, and the kernel's know of packets, not of
 * peers. The log is read from where the last look ended, and kept from growing without end.
 */
import { open, stat, truncate } from 'node:fs/promises';
import { codeOf } from '../../errors.js';

/** Read at one look at most; what lies before is passed over. */
const LOOK_BYTES = 256 * 1024;
const LOG_LIMIT = 8 * 1024 * 1024;
/** Hosts that are told apart; the rest are counted together. */
const HOSTS_LIMIT = 64;

export interface Rogue {
  /** As pluto writes it, or "others". */
  readonly from: string;
  times: number;
  /** Unix milliseconds of the first. */
  readonly since: number;
}

export class LogWatch {
  readonly #path: string;
  #offset: number | null = null;
  readonly #rogues = new Map<string, Rogue>();

  constructor(path: string) {
    this.#path = path;
  }

  get rogues(): Iterable<Rogue> {
    return this.#rogues.values();
  }

  /** Of all of them together. */
  get times(): number {
    return [...this.#rogues.values()].reduce((sum, { times }) => sum + times, 0);
  }

  /** What was in the log before the first look does not count. */
  async look(now: number): Promise<void> {
    const size = await stat(this.#path).then(
      (found) => found.size,
      (error: unknown) => {
        if (codeOf(error) === 'ENOENT') return 0;
        throw error;
      },
    );
    const from = this.#offset ?? size;
    this.#offset = size;
    if (size > from)
      for (const host of refusedIn(await this.#read(Math.max(from, size - LOOK_BYTES), size))) this.#count(host, now);
    if (size <= LOG_LIMIT) return;
    // pluto appends: it goes on from the beginning.
    await truncate(this.#path);
    this.#offset = 0;
  }

  async #read(from: number, to: number): Promise<string> {
    const file = await open(this.#path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from), 0, to - from, from);
      return buffer.toString('latin1', 0, bytesRead);
    } finally {
      await file.close();
    }
  }

  #count(host: string, now: number): void {
    const from = this.#rogues.has(host) || this.#rogues.size < HOSTS_LIMIT ? host : 'others';
    const rogue = this.#rogues.get(from) ?? { from, times: 0, since: now };
    rogue.times += 1;
    this.#rogues.set(from, rogue);
  }
}

/** Whose authentication was refused, once each time: a wrong key or an ID that nobody has. */
export function refusedIn(log: string): string[] {
  return [...log.matchAll(/ from ([0-9a-f.:]{2,50}?):\d{1,5} with encrypted notification AUTHENTICATION_FAILED/g)].map(
    (match) => match[1] as string,
  );
}
