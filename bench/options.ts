/** The words after `npm run bench --`. */
import { parseArgs } from 'node:util';
import { messageOf } from '#src/errors.js';
import { CASES } from './cases.js';
import type { Case } from './model.js';

export const USAGE = `usage: npm run bench [-- NAME …] [--quick] [--no-wall] [--update] [--scale N … | --host] [--minutes N]

${CASES.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n')}

  --quick      minutes instead of an hour; exit code 1 where a bar is missed; the report goes to bench/results/tmp
  --no-wall    leaves out the wall clock, which wants a machine that does nothing else
  --update     puts the figures into bench/results, in place of those of the same work there
  --scale N    only with so many peers or edges, and nothing of what is measured on the host; may be given again
  --host       only what is measured on the host
  --minutes N  ends each clock's run after so many (180); the report says what it did not come to`;

export interface Wishes {
  readonly cases: readonly Case[];
  readonly quick: boolean;
  readonly wall: boolean;
  readonly update: boolean;
  readonly host: boolean;
  /** Empty = all. */
  readonly scales: readonly number[];
  readonly minutes: number;
}

/** @returns what is wished, or what is wrong with it ('' = help was asked for) */
export function parseWishes(words: readonly string[]): Wishes | string {
  const flag = { type: 'boolean', default: false } as const;
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        ...{ quick: flag, 'no-wall': flag, update: flag, host: flag, help: flag },
        scale: { type: 'string', multiple: true, default: [] },
        minutes: { type: 'string', default: '180' },
      },
    });
    if (values.help) return '';
    const unknown = positionals.find((name) => !CASES.some((each) => each.name === name));
    if (unknown !== undefined) return `no case is called ${unknown}`;
    const [scales, minutes] = [values.scale.map(Number), Number(values.minutes)];
    if (![...scales, minutes].every((value) => Number.isSafeInteger(value) && value > 0)) {
      return '--scale and --minutes take whole numbers';
    }
    const { quick, update, host } = values;
    if (host && scales.length > 0) return 'what is measured on the host has one size';
    if (update && quick) return 'the report is not made of short runs';
    const cases = positionals.length === 0 ? CASES : CASES.filter(({ name }) => positionals.includes(name));
    return { cases, quick, update, host, scales, minutes, wall: !quick && !values['no-wall'] };
  } catch (error) {
    return messageOf(error);
  }
}
