/**
 * Measures corax beside others.
 *   npm run bench [-- NAME …] [OPTION …]
 * NAME picks cases; --quick takes minutes, looks at what the design's bars are about, and fails where one is missed.
 */
import { relative } from 'node:path';
import { CoraxError, messageOf } from '#src/errors.js';
import { findKernel } from '../lab/vm/kernel.js';
import { CASES } from './cases.js';
import { runTasks } from './guest/session.js';
import type { Failure, Figure, Task } from './model.js';
import { parseWishes, USAGE, type Wishes } from './options.js';
import { buildPeers } from './peers/build.js';
import { judge, median, number, verdictText } from './report/figures.js';
import { describeMachine } from './report/machine.js';
import { failureText } from './report/markdown.js';
import { updated, writeReport } from './report/write.js';
import { ROOT } from './root.js';

const started = performance.now();
const say = (line: string): void => {
  const seconds = Math.round((performance.now() - started) / 1000);
  process.stderr.write(
    `${String(Math.floor(seconds / 60)).padStart(3)}:${String(seconds % 60).padStart(2, '0')} ${line}\n`,
  );
};

/** @returns whether all was done, and in the short run every bar met */
async function bench({ cases, quick, wall, update, host, scales, minutes }: Wishes): Promise<boolean> {
  const tasks = cases
    .flatMap((each) => (host ? [] : (each.tasks?.(quick) ?? [])))
    .filter(({ scale }) => scales.length === 0 || scales.includes(scale));
  const asked = new Set(tasks.flatMap(({ who, needs }) => [...who, ...(needs === undefined ? [] : [needs])]));
  const { programs, versions, missing } = await buildPeers(asked, say);
  const figures: Figure[] = [];
  const failed: Failure[] = [];
  for (const each of scales.length > 0 ? [] : cases) {
    if (each.host === undefined) continue;
    say(each.title);
    // One that cannot be done must not cost the others, which take their time.
    await each.host(quick, say).then(
      (taken) => figures.push(...taken),
      (error: unknown) => failed.push({ case: each.name, why: messageOf(error) }),
    );
  }
  const clocks = wall ? (['instructions', 'wall'] as const) : (['instructions'] as const);
  for (const clock of clocks) {
    // Who runs alone is compared with itself, and that needs no other clock.
    const chosen = clock === 'wall' ? tasks.filter(({ who }) => who.length > 1).map(interleaved) : tasks;
    if (chosen.length > 0) say(`${clock} clock`);
    const done = await runTasks(chosen, { clock, programs, progress: say, timeoutMs: minutes * 60_000 });
    figures.push(...done.figures);
    failed.push(...done.failed);
  }
  const verdicts = judge(
    cases.flatMap(({ bars }) => bars),
    figures,
  );
  const { version } = await findKernel(say);
  const machine = await describeMachine(version, versions);
  const taken = figures.map((figure) => ({ ...figure, commit: machine.commit }));
  const results = { machine, quick, figures: taken, verdicts, missing, failed };
  const whole = !quick && !host && cases.length === CASES.length && scales.length === 0;
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
  for (const failure of failed) process.stdout.write(`failed  ${failureText(failure)}\n`);
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
  const wishes = parseWishes(words);
  if (typeof wishes !== 'string') return (await bench(wishes)) ? 0 : 1;
  if (wishes === '') process.stdout.write(`${USAGE}\n`);
  else process.stderr.write(`bench: ${wishes}\n${USAGE}\n`);
  return wishes === '' ? 0 : 2;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof CoraxError)) throw error;
  process.stderr.write(`bench: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
