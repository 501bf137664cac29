import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Bar, Case } from '../model.js';
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

/** The report in that folder, with these results in place of what it has of the same cases. */
export function updated(folder: string, results: Results, bars: readonly Bar[]): Results {
  return merged(JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')) as Results, results, bars);
}

export function merged(before: Results, results: Results, bars: readonly Bar[]): Results {
  const anew = (name: string): boolean => name in results.commits;
  const figures = [...before.figures.filter((figure) => !anew(figure.case)), ...results.figures];
  const failed = [...before.failed.filter((line) => !anew(line.split(':')[0] ?? '')), ...results.failed];
  const commits = { ...before.commits, ...results.commits };
  return { ...results, figures, failed, commits, verdicts: judge(bars, figures) };
}
