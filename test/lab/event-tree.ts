/** Test events from elsewhere, turned into subtests here while they happen. */
import type { TestContext } from 'node:test';
import type { GuestEvent } from '../../lab/guest/events.js';

/** One test that runs elsewhere. */
interface Running {
  readonly name: string;
  /** Settles when the subtest here has begun. */
  readonly context: Promise<TestContext>;
  readonly finish: (outcome: Outcome) => void;
  /** The subtests here of those below it. */
  readonly below: Promise<void>[];
  /** The subtest here. */
  readonly done: Promise<void>;
}

type Outcome = { readonly ok: true; readonly skipped: boolean } | { readonly ok: false; readonly error: string };

/** How much of what a file printed is shown with a failure. */
const NOTES = 60;

export class EventTree {
  readonly #root: TestContext;
  readonly #title: (file: string) => string;
  /** The file that runs, then its open tests by nesting. */
  #open: Running[] = [];
  #notes: string[] = [];
  readonly #all: Promise<void>[] = [];
  readonly filesEnded: string[] = [];

  /** `title` names a file's subtest. */
  constructor(root: TestContext, title: (file: string) => string) {
    this.#root = root;
    this.#title = title;
  }

  take(event: GuestEvent): void {
    switch (event.type) {
      case 'file':
        this.#notes = [];
        this.#open = [this.#begin(this.#title(event.file), Promise.resolve(this.#root))];
        break;
      case 'start': {
        const parent = this.#open[event.nesting];
        if (!parent) break;
        const running = this.#begin(event.name, parent.context);
        parent.below.push(running.done);
        this.#open = [...this.#open.slice(0, event.nesting + 1), running];
        break;
      }
      case 'pass':
        this.#open[event.nesting + 1]?.finish({ ok: true, skipped: event.skipped });
        break;
      case 'fail':
        this.#open[event.nesting + 1]?.finish({ ok: false, error: this.#withNotes(event.error) });
        break;
      case 'note':
        this.note(event.text);
        this.#root.diagnostic(event.text);
        break;
      case 'end': {
        const [file, ...tests] = this.#open;
        const error = event.error ?? (file?.below.length === 0 ? 'The file ran no test' : null);
        // A test that is still open at the end of its file was cut off; one that ended does not mind.
        for (const test of tests.reverse()) test.finish({ ok: false, error: this.#withNotes(error ?? 'not finished') });
        file?.finish(error === null ? { ok: true, skipped: false } : { ok: false, error: this.#withNotes(error) });
        this.filesEnded.push(event.file);
        this.#open = [];
        break;
      }
    }
  }

  /** Something that was printed. */
  note(text: string): void {
    this.#notes = [...this.#notes.slice(-NOTES), text];
  }

  end(): void {
    this.abort(new Error('The test runner ended in the middle of this'));
  }

  /** Whatever is open has failed. */
  abort(cause: unknown): void {
    const error = this.#withNotes(cause instanceof Error ? cause.message : String(cause));
    for (const test of this.#open.reverse()) test.finish({ ok: false, error });
    this.#open = [];
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#all);
  }

  #withNotes(error: string): string {
    return this.#notes.length === 0 ? error : `${error}\n--- last output ---\n${this.#notes.join('\n')}`;
  }

  #begin(name: string, parent: Promise<TestContext>): Running {
    let begun: (context: TestContext) => void = () => {};
    const context = new Promise<TestContext>((resolve) => {
      begun = resolve;
    });
    let finish: (outcome: Outcome) => void = () => {};
    const outcome = new Promise<Outcome>((resolve) => {
      finish = resolve;
    });
    const below: Promise<void>[] = [];
    const done = parent.then((above) =>
      above.test(name, async (here) => {
        begun(here);
        const result = await outcome;
        await Promise.allSettled(below);
        if (!result.ok) throw new Error(result.error);
        if (result.skipped) here.skip();
      }),
    );
    this.#all.push(done);
    return { name, context, finish, done, below };
  }
}
