import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Case } from '../model.js';
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
