/** Test events on their way from the setting where labs are built to the host's test runner. */

export const EVENT_PREFIX = '\u0001corax test ';

export type GuestEvent =
  | { readonly type: 'file'; readonly file: string }
  /** error: the file failed as a whole, not just a test in it */
  | { readonly type: 'end'; readonly file: string; readonly error: string | null }
  | { readonly type: 'start'; readonly file: string; readonly name: string; readonly nesting: number }
  | {
      readonly type: 'pass';
      readonly file: string;
      readonly name: string;
      readonly nesting: number;
      readonly skipped: boolean;
    }
  | {
      readonly type: 'fail';
      readonly file: string;
      readonly name: string;
      readonly nesting: number;
      readonly error: string;
    }
  | { readonly type: 'note'; readonly file: string; readonly text: string };

export function parseEvent(line: string): GuestEvent | null {
  return line.startsWith(EVENT_PREFIX) ? (JSON.parse(line.slice(EVENT_PREFIX.length)) as GuestEvent) : null;
}
