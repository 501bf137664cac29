/** Small documents are read here and now, big ones on a thread with a deadline, one at a time. */
import { Worker } from 'node:worker_threads';
import { CoraxError } from '../errors.js';
import type { DocumentFormat, ReadDocument } from './document.js';
import { readDocument } from './document.js';
import type { DocumentJob } from './document-worker.js';
import { type EditResult, editDocument } from './edit.js';
import type { EndpointPatch } from './store.js';

/** Characters that are read within a few milliseconds. */
const SMALL = 8192;
const DEADLINE_MS = 30_000;
const IDLE_MS = 10_000;

type Answer = { readonly result: unknown } | { readonly error: string };

/** The thread gave no answer in time, or died of the document. */
class ThreadError extends Error {}

export class DocumentThread {
  readonly #deadlineMs: number;
  #worker: Worker | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | null = null;

  constructor(deadlineMs = DEADLINE_MS) {
    this.#deadlineMs = deadlineMs;
  }

  async read(text: string, format: DocumentFormat, fallbackName: string): Promise<ReadDocument> {
    if (text.length <= SMALL) return readDocument(text, format, fallbackName);
    try {
      return (await this.#run({ work: 'read', text, format, fallbackName })) as ReadDocument;
    } catch (error) {
      const passing = error instanceof ThreadError;
      return { ok: false, name: fallbackName, reason: (error as Error).message, line: null, passing };
    }
  }

  async edit(text: string, format: DocumentFormat, edit: EndpointPatch): Promise<EditResult> {
    try {
      if (text.length <= SMALL) return editDocument(text, format, edit);
      return (await this.#run({ work: 'edit', text, format, edit })) as EditResult;
    } catch (cause) {
      throw new CoraxError('CORAX_STORE', (cause as Error).message, { cause });
    }
  }

  async close(): Promise<void> {
    await this.#queue.catch(() => {});
    await this.#stopWorker();
  }

  #run(job: DocumentJob): Promise<unknown> {
    const run = this.#queue.then(() => this.#ask(job));
    this.#queue = run.catch(() => {});
    return run;
  }

  async #ask(job: DocumentJob): Promise<unknown> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    this.#worker ??= this.#startWorker();
    const worker = this.#worker;
    worker.ref();
    try {
      const answer = await this.#answer(worker, job);
      if ('error' in answer) throw new Error(answer.error);
      return answer.result;
    } catch (error) {
      if (error instanceof ThreadError) await this.#stopWorker();
      throw error;
    } finally {
      worker.unref();
      this.#idle = setTimeout(() => void this.#stopWorker(), IDLE_MS).unref();
    }
  }

  #answer(worker: Worker, job: DocumentJob): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const done = (settle: () => void) => {
        clearTimeout(timer);
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        settle();
      };
      const fail = (reason: string) => done(() => reject(new ThreadError(reason)));
      const onMessage = (answer: Answer) => done(() => resolve(answer));
      const onError = (error: Error) => fail(`it could not be read: ${error.message}`);
      const onExit = () => fail('it could not be read: the thread that reads big files ended');
      const timer = setTimeout(
        () => fail(`it took longer than ${this.#deadlineMs / 1000} s to read; make the file smaller`),
        this.#deadlineMs,
      );
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      worker.postMessage(job);
    });
  }

  #startWorker(): Worker {
    const resourceLimits = { maxOldGenerationSizeMb: 512 };
    if (!import.meta.url.endsWith('.ts')) {
      return new Worker(new URL('./document-worker.js', import.meta.url), { resourceLimits });
    }
    // Run from source (tests, development): the thread has to be taught TypeScript on its own.
    const source = JSON.stringify(new URL('./document-worker.ts', import.meta.url).href);
    const code = `import('tsx/esm/api').then(({ register }) => { register(); return import(${source}); })`;
    return new Worker(code, { eval: true, resourceLimits });
  }

  async #stopWorker(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    if (this.#idle !== null) clearTimeout(this.#idle);
    // Listeners are gone; an error while it ends must not end us.
    worker?.on('error', () => {});
    await worker?.terminate();
  }
}
