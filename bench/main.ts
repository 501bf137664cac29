/**
 * Measures corax beside others.
 *   npm run bench [-- NAME …] [--quick] [--no-wall] [--update]
 * NAME picks cases; --quick takes minutes, looks at what the design's bars are about, and fails where one is missed.
 */
import { relative } from 'node:path';
import { CoraxError, messageOf } from '#src/errors.js';
import { findKernel } from '../lab/vm/kernel.js';
import { CASES } from './cases.js';
import { runTasks } from './guest/session.js';
import type { Case, Figure, Task } from './model.js';
import { buildPeers } from './peers/build.js';
import { judge, median, number, verdictText } from './report/figures.js';
import { describeMachine } from './report/machine.js';
import { updated, writeReport } from './report/write.js';
import { ROOT } from './root.js';

const USAGE = `usage: npm run bench [-- NAME …] [--quick] [--no-wall] [--update]

${CASES.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n')}

  --quick      minutes instead of an hour; exit code 1 where a bar is missed; the report goes to bench/results/tmp
  --no-wall    leaves out the wall clock, which wants a machine that does nothing else
  --update     puts the cases' figures into bench/results, in place of theirs there`;

const started = performance.now();
const say = (line: string): void => {
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stderr.write(
    `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')} ${line}\n`,
  );
};

interface Wishes {
  readonly quick: boolean;
  readonly wall: boolean;
  readonly update: boolean;
}

/** @returns whether all was done, and in the short run every bar met */
async function bench(cases: readonly Case[], { quick, wall, update }: Wishes): Promise<boolean> {
  const { programs, versions, missing } = await buildPeers(say);
  const figures: Figure[] = [];
  const failed: string[] = [];
  for (const each of cases) {
    if (each.host === undefined) continue;
    say(each.title);
    // One that cannot be done must not cost the others, which take their time.
    await each.host(quick, say).then(
      (taken) => figures.push(...taken),
      (error: unknown) => failed.push(`${each.name}: ${messageOf(error)}`),
    );
  }
  const tasks = cases.flatMap((each) => each.tasks?.(quick) ?? []);
  const clocks = wall ? (['instructions', 'wall'] as const) : (['instructions'] as const);
  for (const clock of clocks) {
    // Who runs alone is compared with itself, and that needs no other clock.
    const chosen = clock === 'wall' ? tasks.filter(({ who }) => who.length > 1).map(interleaved) : tasks;
    if (chosen.length > 0) say(`${clock} clock`);
    const done = await runTasks(chosen, { clock, programs, progress: say });
    figures.push(...done.figures);
    failed.push(...done.failed);
  }
  const verdicts = judge(
    cases.flatMap(({ bars }) => bars),
    figures,
  );
  const { version } = await findKernel(say);
  const machine = await describeMachine(version, versions);
  const commits = Object.fromEntries(cases.map(({ name }) => [name, machine.commit]));
  const results = { machine, quick, figures, verdicts, missing, failed, commits };
  const whole = !quick && cases.length === CASES.length;
  const kept = `${ROOT}/bench/results`;
  const all = CASES.flatMap(({ bars }) => bars);
  const report = update
    ? writeReport(kept, updated(kept, results, all), CASES)
    : writeReport(whole ? kept : `${kept}/tmp`, results, cases);
  for (const figure of figures) say(summary(figure));
  for (const verdict of verdicts) {
    const { bar, value, met } = verdictText(verdict);
    process.stdout.write(`${met.replaceAll('*', '').padEnd(7)} ${bar}: ${value}\n`);
  }
  process.stdout.write(`The report is ${relative(process.cwd(), report)}\n`);
  for (const line of failed) process.stdout.write(`failed  ${line}\n`);
  return failed.length === 0 && (!quick || verdicts.every(({ met }) => met));
}

/** What others do to the machine meanwhile strikes all alike, where rounds are many and short. */
function interleaved(task: Task): Task {
  const once = task.what === 'program new' || task.what === 'remove 1 %';
  return { ...task, rounds: once ? task.rounds : Math.max(5, task.rounds), times: once ? task.times : 3 };
}

function summary({ what, scale, who, clock, unit, values }: Figure): string {
  return `${what}, ${scale.toLocaleString('en')}, ${who}: ${number(median(values))} ${unit} (${clock})`;
}

async function main(words: readonly string[]): Promise<number> {
  if (words.includes('--help')) {
    process.stdout.write(`${USAGE}\n`);
    return 0;
  }
  const quick = words.includes('--quick');
  const options = ['--quick', '--no-wall', '--update', '--'];
  const names = words.filter((word) => !options.includes(word));
  const unknown = names.find((name) => !CASES.some((each) => each.name === name));
  if (unknown !== undefined) {
    process.stderr.write(`bench: no case is called ${unknown}\n${USAGE}\n`);
    return 2;
  }
  const cases = names.length === 0 ? CASES : CASES.filter(({ name }) => names.includes(name));
  const update = words.includes('--update');
  if (update && quick) {
    process.stderr.write(`bench: the report is not made of short runs\n${USAGE}\n`);
    return 2;
  }
  return (await bench(cases, { quick, wall: !quick && !words.includes('--no-wall'), update })) ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CoraxError)) throw error;
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
