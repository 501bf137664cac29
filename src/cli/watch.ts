/** `corax status --watch`: the same again and again, through the agent's restarts too. */
import { messageOf } from '../errors.js';
import { type Status, statusSchema } from '../model/status.js';
import { type Answer, ask } from './client.js';
import { formatDuration, paint, printable, type Terminal } from './output.js';
import { renderStatus } from './status-view.js';

/** How long a restart is told of; seconds. */
const NEWS_S = 60;

/** What was heard, and since when nothing is. Times are Unix seconds. */
export interface Heard {
  readonly status: Status;
  readonly raw: unknown;
  readonly at: number;
  /** When it was noticed that the agent is another process; null: it never was. */
  readonly restartedAt: number | null;
  readonly lost: { readonly since: number; readonly why: string } | null;
}

export function heard(before: Heard | null, { value, raw }: Answer<Status>, now: number): Heard {
  const restarted = before !== null && before.status.startedAt !== value.startedAt;
  return { status: value, raw, at: now, restartedAt: restarted ? now : (before?.restartedAt ?? null), lost: null };
}

export function notHeard(before: Heard, error: unknown, now: number): Heard {
  return { ...before, lost: { since: before.lost?.since ?? now, why: messageOf(error) } };
}

/** What a person should know beside the status, in one line; null: nothing. */
export function notice({ at, restartedAt, lost, status }: Heard, now: number): string | null {
  if (lost !== null) {
    return `the agent does not answer since ${clock(lost.since)} (${printable(lost.why)}); what it said at ${clock(at)}:`;
  }
  if (restartedAt === null || now - restartedAt > NEWS_S) return null;
  return `the agent was restarted: noticed at ${clock(restartedAt)}, up ${formatDuration(Math.max(0, now - status.startedAt))}`;
}

/** Local time, 24 hours: it is compared with logs. */
export function clock(at: number): string {
  return new Date(at * 1000).toLocaleTimeString('en-GB');
}

/** One page of the terminal: cut at its end, for the worst stands first. */
export function renderFrame(known: Heard, terminal: Terminal, rows: number, intervalMs: number, now: number): string[] {
  const title = `corax status, ${clock(now)}, every ${intervalMs / 1000} s; Ctrl-C ends`;
  const news = notice(known, now);
  const lines = [
    paint(terminal, 'dim', title),
    ...(news === null ? [] : [paint(terminal, known.lost === null ? 'yellow' : 'red', news)]),
    '',
    ...renderStatus(known.status, terminal, now).split('\n'),
  ];
  if (lines.length <= rows) return lines;
  const shown = lines.slice(0, Math.max(1, rows - 1));
  return [...shown, paint(terminal, 'dim', `… ${lines.length - shown.length} more lines: corax status | less`)];
}

/** Where the pages go: a terminal, a pipe, or lines of JSON. */
export interface Output {
  show(known: Heard, now: number): void;
  /** Puts back what was changed. */
  end(): void;
}

export interface WatchOptions {
  readonly socket: string;
  readonly intervalMs: number;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** Until the signal is aborted. Throws as {@link ask} does where the agent does not answer even once. */
export async function watch({ socket, intervalMs, output, signal }: WatchOptions): Promise<void> {
  const now = () => Date.now() / 1000;
  const look = () => ask(socket, '/status', statusSchema);
  let known = heard(null, await look(), now());
  try {
    while (!signal.aborted) {
      output.show(known, now());
      await pause(intervalMs, signal);
      if (signal.aborted) break;
      try {
        known = heard(known, await look(), now());
      } catch (error) {
        known = notHeard(known, error, now());
      }
    }
  } finally {
    output.end();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
