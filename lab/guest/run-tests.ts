/**
 * Runs the lab's test files, one after the other, each in a process of its own, and prints every test
 * event as a line of JSON for the host (test/lab maps them to its own subtests).
 * Arguments: seconds that a file may take, then the files.
 */
import { resolve } from 'node:path';
import { run } from 'node:test';
import { EVENT_PREFIX, type GuestEvent } from './events.js';

interface EventData {
  readonly name?: string;
  readonly nesting: number;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details?: { readonly duration_ms?: number; readonly error?: unknown };
  readonly message?: string;
}

/** The summary at the end of each file. */
const RUNNERS_OWN = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) \d/;

const say = (event: GuestEvent): void => {
  process.stdout.write(`${EVENT_PREFIX}${JSON.stringify(event)}\n`);
};

/** The assertion's own words and place, not the runner's wrapping. */
function describe(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof Error) return cause.stack ?? cause.message;
  return typeof cause === 'string' ? cause : JSON.stringify(cause);
}

async function runFile(file: string, timeoutMs: number): Promise<void> {
  say({ type: 'file', file });
  const stream = run({ files: [file], concurrency: 1, timeout: timeoutMs });
  let failure: string | null = null;
  for await (const event of stream as AsyncIterable<{ type: string; data: EventData }>) {
    const { name, nesting, details, skip, message } = event.data;
    const skipped = skip !== undefined && skip !== false;
    // The file counts as a test too, and is heard of where it fails as a whole.
    if (name !== undefined && isFile(name, file)) {
      if (event.type === 'test:fail') failure = describe(details?.error);
      continue;
    }
    // "dequeue" is when a test begins; "start" is when its turn in the report comes, which may be its end.
    if (event.type === 'test:dequeue') say({ type: 'start', file, name: name ?? '', nesting });
    if (event.type === 'test:pass') say({ type: 'pass', file, name: name ?? '', nesting, skipped });
    if (event.type === 'test:fail')
      say({ type: 'fail', file, name: name ?? '', nesting, error: describe(details?.error) });
    if (event.type === 'test:diagnostic' && message !== undefined && !RUNNERS_OWN.test(message)) {
      say({ type: 'note', file, text: message });
    }
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      for (const text of (message ?? '').split('\n')) if (text !== '') say({ type: 'note', file, text });
    }
  }
  say({ type: 'end', file, error: failure });
}

function isFile(name: string, file: string): boolean {
  return name === file || name === resolve(file);
}

const [seconds = '300', ...files] = process.argv.slice(2);
for (const file of files) await runFile(file, Number(seconds) * 1000);
