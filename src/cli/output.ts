/** Words for a person: how values, tables and colours come out on a terminal, a pipe or a file. */
import { styleText } from 'node:util';
import { printable as escapeUnsafe } from '../model/quote.js';

export { formatAge, formatBytes, formatDuration, formatLoss, formatRtt } from '../model/words.js';

export interface Terminal {
  /** Columns to fill at most. */
  readonly columns: number;
  readonly color: boolean;
}

const DEFAULT_COLUMNS = 80;

/** Colours only where a person looks, and not where NO_COLOR says no (no-color.org). */
export function standardTerminal(): Terminal {
  const { isTTY, columns } = process.stdout;
  return { columns: isTTY && columns > 0 ? columns : DEFAULT_COLUMNS, color: isTTY === true && !process.env.NO_COLOR };
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

export type Paint = 'bold' | 'dim' | 'green' | 'yellow' | 'red';

export function paint(terminal: Terminal, format: Paint, text: string): string {
  // The terminal was looked at already
  return terminal.color ? styleText(format, text, { validateStream: false }) : text;
}

/** Names and reasons come from files of others: nothing in them may move the cursor or change colours. */
export function printable(text: string): string {
  return escapeUnsafe(text, Number.POSITIVE_INFINITY);
}

/** A space where a line may end: not before a unit. */
const BREAK = /(?<=\S) (?!(?<=\d )(?:ms|s|min|h|d|%|B|[KMGT]iB)(?![\w%]))/;

/** Breaks a text at spaces so that no line is longer than `columns`; the lines after the first are indented. */
export function wrap(text: string, columns: number, indent: string): string {
  const lines: string[] = [];
  const [first = '', ...words] = text.split(BREAK);
  let line = first;
  for (const word of words) {
    if (line.length + 1 + word.length > columns) {
      lines.push(line);
      line = indent + word.trimStart();
    } else {
      line = `${line} ${word}`;
    }
  }
  return [...lines, line].join('\n');
}

/** The names that a person may have meant, nearest first. */
export function nearest(name: string, known: readonly string[], count = 5): string[] {
  return known
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .sort((a, b) => a.distance - b.distance || (a.candidate < b.candidate ? -1 : 1))
    .slice(0, count)
    .map(({ candidate }) => candidate);
}

/** Levenshtein's distance. */
export function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
