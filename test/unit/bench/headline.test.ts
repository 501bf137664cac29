/** README's table of figures says what the committed report says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Clock, Figure } from '../../../bench/model.js';
import { median } from '../../../bench/report/figures.js';
import type { Results } from '../../../bench/report/markdown.js';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8');
const { figures } = JSON.parse(read('bench/results/report.json')) as Results;
const readme = read('README.md');
/** README rounds to two digits. */
const ROUNDED = 0.06;

function value(what: string, who: string, scale = 10_000, clock: Clock = 'instructions'): number {
  const is = (figure: Figure): boolean => figure.what === what && figure.who === who && figure.scale === scale;
  const found = figures.find((figure) => is(figure) && figure.clock === clock);
  assert.ok(found, `the report has ${what}, ${scale}: ${who}`);
  return median(found.values);
}

/** The number that the pattern finds in the table's row. */
function told(row: string, pattern: RegExp): number {
  const line = readme.split('\n').find((candidate) => candidate.startsWith(`| ${row}`));
  const number = pattern.exec(line ?? '')?.[1];
  assert.ok(number, `README: ${row} says ${pattern}`);
  return Number(number);
}

const RATIOS: Array<[row: string, what: string]> = [
  ['read a device into memory', 'snapshot'],
  ['program new peers', 'program new'],
  ['program the same again', 'program again'],
];
const OTHERS: Array<[who: string, pattern: RegExp]> = [
  ['corax', /\| ([\d.]+) × raw C/],
  ['wireguard-control', /wireguard-control ([\d.]+) ×/],
  ['wgctrl-go', /wgctrl-go ([\d.]+) ×/],
  ['forked wg', /forked `wg` ([\d.]+) ×/],
];
const ALONE: Array<[row: string, pattern: RegExp, what: string, who: string, scale: number, clock: Clock]> = [
  ['a scrape', /\| ([\d.]+) ms/, 'scrape', 'corax', 10_000, 'processor'],
  ['a scrape', /prom-client ([\d.]+) ms/, 'scrape', 'prom-client', 10_000, 'processor'],
  ['event loop held', /at most ([\d.]+) ms/, 'longest of 99 turns in 100', 'corax', 10_000, 'processor'],
  ['100 libreswan connections', /\| ([\d.]+) ms/, 'add connections', 'corax', 100, 'wall'],
  ['100 libreswan connections', /for each ([\d.]+) ms/, 'add connections', 'forked whack', 100, 'wall'],
];

function near(said: number, is: number, what: string): void {
  assert.ok(Math.abs(said - is) <= is * ROUNDED, `${what}: README says ${said}, the report ${is}`);
}

for (const [row, what] of RATIOS) {
  test(`README, ${row}: as in the report`, () => {
    for (const [who, pattern] of OTHERS) {
      near(told(row, pattern), value(what, who) / value(what, 'raw C'), `${row}, ${who}`);
    }
  });
}

test('README, what has no floor: as in the report', () => {
  for (const [row, pattern, what, who, scale, clock] of ALONE) {
    near(told(row, pattern), value(what, who, scale, clock), `${row}, ${who}`);
  }
});

test('README, one change: costs among 10,000 no more than among 100', () => {
  for (const what of ['hole moved', 'traffic begins']) {
    assert.ok(value(what, 'corax') <= value(what, 'corax', 100) * 1.5, what);
  }
});
