import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bar, Case, Failure, Figure } from '../model.js';
import { judge } from './figures.js';
import { groupName, groups, markdown, type Results } from './markdown.js';
import { plot } from './svg.js';

/** Writes report.json, report.md and the plots; resolves to nothing half-written. */
export function writeReport(folder: string, results: Results, cases: readonly Case[]): string {
  mkdirSync(folder, { recursive: true });
  const write = (name: string, text: string): void => {
    const aside = join(folder, `.${name}.${process.pid}`);
    writeFileSync(aside, text);
    renameSync(aside, join(folder, name));
  };
  const plots = new Map<string, string>();
  for (const group of groups(results.figures)) {
    const [first] = group;
    if (first === undefined || first.clock === 'count') continue;
    const name = `${groupName(first)}.svg`;
    write(name, plot(`${first.what} (${first.clock} clock, ${first.unit})`, group));
    plots.set(groupName(first), name);
  }
  write('report.json', `${JSON.stringify(results, null, 1)}\n`);
  write('report.md', markdown(results, cases, plots));
  return join(folder, 'report.md');
}

/** The report in that folder, with these results in place of what it has of the same work. */
export function updated(folder: string, results: Results, bars: readonly Bar[]): Results {
  const path = join(folder, 'report.json');
  return existsSync(path) ? merged(JSON.parse(readFileSync(path, 'utf8')) as Results, results, bars) : results;
}

export function merged(before: Results, results: Results, bars: readonly Bar[]): Results {
  const tried = new Set([...results.figures.map(workOf), ...results.failed.map(failedWorkOf)]);
  const onHost = new Set(results.figures.filter(({ clock }) => clock !== 'instructions').map((figure) => figure.case));
  const stillFailed = (failure: Failure): boolean =>
    failure.task === undefined ? !onHost.has(failure.case) : !tried.has(failedWorkOf(failure));
  // What is done anew takes the place of what was done before, whether it comes to an end or not.
  const figures = [...before.figures.filter((figure) => !tried.has(workOf(figure))), ...results.figures];
  const failed = [...before.failed.filter(stillFailed), ...results.failed];
  const versions = { ...before.machine.versions, ...results.machine.versions };
  const stillMissing = Object.entries(before.missing).filter(([who]) => !(who in results.machine.versions));
  return {
    ...{ machine: { ...results.machine, versions }, quick: results.quick, figures, failed },
    missing: { ...Object.fromEntries(stillMissing), ...results.missing },
    verdicts: judge(bars, figures),
  };
}

type Work = Pick<Figure, 'case' | 'what' | 'scale' | 'clock'>;

function workOf({ case: name, what, scale, clock }: Work): string {
  return JSON.stringify([name, what, scale, clock]);
}

function failedWorkOf({ case: name, task }: Failure): string {
  return task === undefined ? name : workOf({ case: name, ...task });
}
