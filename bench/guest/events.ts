/** What the guest tells the host, a line each. */
import type { Task } from '../model.js';

const PREFIX = '\u0001corax bench ';

export type GuestEvent =
  | { readonly type: 'begin'; readonly task: Task; readonly round: number; readonly who: string }
  /** Of one turn: milliseconds of the guest's clock, or what the task counts, one a run. */
  | { readonly type: 'values'; readonly task: Task; readonly who: string; readonly values: readonly number[] }
  | { readonly type: 'done'; readonly task: Task }
  | { readonly type: 'failed'; readonly task: Task; readonly why: string };

export function say(event: GuestEvent): void {
  process.stdout.write(`${PREFIX}${JSON.stringify(event)}\n`);
}

export function parseEvent(line: string): GuestEvent | null {
  return line.startsWith(PREFIX) ? (JSON.parse(line.slice(PREFIX.length)) as GuestEvent) : null;
}
