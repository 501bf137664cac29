/** What is made of figures, and the file that all contenders are given. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CASES } from '../../../bench/cases.js';
import type { Bar, Failure, Figure, Taken } from '../../../bench/model.js';
import { parseWishes } from '../../../bench/options.js';
import { encode, peer, RECORD_BYTES } from '../../../bench/peers/records.js';
import { judge, median, number, spread, verdictText } from '../../../bench/report/figures.js';
import { groupName, groups, markdown, type Results } from '../../../bench/report/markdown.js';
import { plot } from '../../../bench/report/svg.js';
import { merged } from '../../../bench/report/write.js';
import { readDirect, readFirstPacket, saidOfDirect, saidOfFirstPacket } from '../../../lab/traffic/direct-times.js';

const subject = { case: 'c', what: 'work', scale: 10 } as const;
const figure = (who: string, values: readonly number[], more: Partial<Figure> = {}): Figure => ({
  ...{ ...subject, who, clock: 'instructions', unit: 'ms', values },
  ...more,
});
const bar = (limit: Bar['limit'], more: Partial<Bar> = {}): Bar => ({
  ...{ ...subject, who: 'corax', clock: 'instructions', against: { who: 'raw C' }, limit },
  ...more,
});

test('median and spread', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.equal(spread([2, 3, 4]), 1);
});

test('three digits, no exponents', () => {
  for (const [value, text] of [
    [0, '0'],
    [0.0449, '0.0449'],
    [1, '1'],
    [1.0049, '1'],
    [6.543, '6.54'],
    [61.64, '61.6'],
    [719.8, '720'],
    [7231.4, '7,230'],
    [Number.NaN, '–'],
  ] as const) {
    assert.equal(number(value), text);
  }
});

test('bars: met, missed, and left out where a figure is missing', () => {
  const figures = [figure('raw C', [10, 10, 99]), figure('corax', [12]), figure('corax', [5], { scale: 1 })];
  const cases: Array<[Bar, boolean | null, number]> = [
    [bar({ kind: 'at most times', value: 1.2 }), true, 1.2],
    [bar({ kind: 'at most times', value: 1.1 }), false, 1.2],
    [bar({ kind: 'at least times faster', value: 0.8 }), true, 10 / 12],
    [bar({ kind: 'at least times faster', value: 1 }), false, 10 / 12],
    [bar({ kind: 'at most ms more', value: 2 }), true, 2],
    [bar({ kind: 'at most ms more', value: 1 }), false, 2],
    [bar({ kind: 'at most times', value: 3 }, { against: { who: 'corax', scale: 1 } }), true, 2.4],
    [bar({ kind: 'at most times', value: 3 }, { against: { who: 'nobody' } }), null, 0],
    [bar({ kind: 'at most times', value: 3 }, { clock: 'wall' }), null, 0],
  ];
  for (const [wanted, met, value] of cases) {
    const [verdict] = judge([wanted], figures);
    assert.equal(verdict?.met ?? null, met);
    if (verdict !== undefined) assert.equal(verdict.value, value);
  }
  const [alone] = judge(
    [{ ...subject, who: 'corax', clock: 'instructions', limit: { kind: 'at most', value: 12 } }],
    figures,
  );
  assert.ok(alone?.met);
  assert.deepEqual(verdictText(alone), { bar: 'work, 10: ≤ 12', value: '12', met: 'met' });
});

test('every case has a name of its own, and bars are about what it measures', () => {
  assert.equal(new Set(CASES.map(({ name }) => name)).size, CASES.length);
  for (const { name, tasks, bars } of CASES) {
    const quick = tasks?.(true) ?? [];
    for (const { case: of, what, scale, who, clock, against } of bars) {
      assert.equal(of, name);
      if (clock !== 'instructions') continue;
      for (const each of [{ who, scale }, ...(against ? [{ scale, ...against }] : [])]) {
        const found = quick.find((task) => task.what === (against?.what ?? what) && task.scale === each.scale);
        assert.ok(found?.who.includes(each.who), `${what}, ${each.scale}: ${each.who} is not in the short run`);
      }
    }
  }
});

test('what the lab says of pairs that went direct is read again', () => {
  const times = { pair: 'linux with linux', seconds: [0.5, 12.25], sent: 90, lost: 2 };
  assert.deepEqual(readDirect(saidOfDirect(times)), times);
  assert.deepEqual(readFirstPacket(saidOfFirstPacket([1.5, 2])), [1.5, 2]);
  for (const read of [readDirect, readFirstPacket]) assert.equal(read('direct in 40 ms'), null);
  assert.equal(readFirstPacket(saidOfFirstPacket([Number.NaN, 2])), null, 'one end did not get there');
});

test('what is asked for', () => {
  const wishes = parseWishes(['snapshot', 'edges', '--scale', '10', '--scale', '100', '--update', '--no-wall']);
  assert.ok(typeof wishes !== 'string');
  const { cases, ...more } = wishes;
  assert.deepEqual(
    cases.map(({ name }) => name),
    ['snapshot', 'edges'],
  );
  assert.deepEqual(more, { quick: false, wall: false, update: true, host: false, scales: [10, 100], minutes: 180 });
  assert.deepEqual(parseWishes([]), {
    ...{ cases: CASES, quick: false, wall: true, update: false, host: false },
    ...{ scales: [], minutes: 180 },
  });
  for (const words of [
    ['nothing'],
    ['--nothing'],
    ['--scale', 'x'],
    ['--minutes', '0'],
    ['--quick', '--update'],
    ['--host', '--scale', '1'],
  ]) {
    assert.ok(typeof parseWishes(words) === 'string', words.join(' '));
  }
  assert.equal(parseWishes(['--help']), '');
});

function results(figures: readonly Figure[], more: Partial<Results> = {}, commit = 'c'): Results {
  const machine = { ...{ commit, processor: 'p', memoryGiB: 1, kernel: 'k', guestKernel: 'g' } };
  const where = { ...machine, distribution: 'd', node: 'n', qemu: 'q', versions: { 'raw C': '1' } };
  const missing = { 'wgctrl-go': 'no go' };
  const taken: Taken[] = figures.map((each) => ({ ...each, commit }));
  return { ...{ machine: where, quick: true, figures: taken, verdicts: [], missing, failed: [] }, ...more };
}

test('a report made in several runs: what was measured anew is in place of what was there, and says of which corax', () => {
  const of = (name: string, values: readonly number[], scale = 10) => figure('corax', values, { case: name, scale });
  const failure = (name: string, scale: number): Failure => ({
    ...{ case: name, task: { what: 'work', scale, clock: 'instructions' }, why: 'it broke' },
  });
  const before = results(
    [of('snapshot', [1]), of('snapshot', [7], 20), of('delta', [2]), of('program', [9])],
    { failed: [failure('snapshot', 10), failure('delta', 20), { case: 'scrape', why: 'no' }] },
    'old',
  );
  const scrape = figure('corax', [5], { case: 'scrape', clock: 'processor' });
  const anew = results([of('snapshot', [3]), scrape], { failed: [failure('program', 10)] });
  const after = merged(before, anew, [
    { ...subject, case: 'delta', who: 'corax', clock: 'instructions', limit: { kind: 'at most', value: 1 } },
  ]);
  assert.deepEqual(
    after.figures.map(({ case: name, scale, values, commit }) => [name, scale, values, commit]),
    [
      ['snapshot', 20, [7], 'old'],
      ['delta', 10, [2], 'old'],
      ['snapshot', 10, [3], 'c'],
      ['scrape', 10, [5], 'c'],
    ],
  );
  assert.deepEqual(after.failed, [failure('delta', 20), failure('program', 10)]);
  assert.deepEqual(
    after.verdicts.map(({ met }) => met),
    [false],
  );
  const since = results([], { missing: {}, machine: { ...anew.machine, versions: { 'wgctrl-go': '2' } } });
  const { machine, missing } = merged(after, since, []);
  assert.deepEqual([machine.versions, missing], [{ 'raw C': '1', 'wgctrl-go': '2' }, {}]);
  const text = markdown(after, CASES, new Map());
  assert.equal(text.match(/Taken of corax old\./g)?.length, 1);
  assert.equal(text.match(/Taken of corax old \(20\), c \(10\)\./g)?.length, 1);
  assert.match(text, /Not done: program: work, 10: it broke/);
});

test('a whole report says by itself what it does not have', () => {
  const program = CASES.filter(({ name }) => name === 'delta' || name === 'scrape');
  const taken = figure('corax', [1], { case: 'delta', what: 'delta', scale: 100 });
  const broken: Failure = { case: 'delta', task: { what: 'delta', scale: 1_000, clock: 'instructions' }, why: 'late' };
  const text = markdown(results([taken], { quick: false, failed: [broken] }), program, new Map());
  assert.deepEqual(text.match(/(?<=Not measured: )delta.*/g), ['delta: delta, 10,000']);
  assert.match(text, /Not done: delta: delta, 1,000: late/);
  assert.match(text, /Not measured: scrape: what is measured on the host/);
  assert.doesNotMatch(markdown(results([taken]), program, new Map()), /Not measured/);
});

test('report and plots are made of whatever figures there are', () => {
  const figures = [
    figure('raw C', [1]),
    figure('corax', [2, 3]),
    figure('<b>', [1e6], { scale: 1000, case: 'snapshot' }),
  ];
  assert.deepEqual(
    groups(figures).map((group) => group.length),
    [2, 1],
  );
  assert.equal(groupName(figure('x', [], { what: 'move 1 %' })), 'c-move-1-instructions-ms');
  const svg = plot('a & b', figures);
  assert.match(svg, /a &amp; b/);
  assert.doesNotMatch(svg, /<b>|NaN/);
  const text = markdown(results(figures), CASES, new Map());
  assert.match(text, /Not there: wgctrl-go: no go/);
  assert.match(text, /\| 1,000 \| <b> \| 1,000,000 /);
});

test('a record is 80 bytes with everything where raw.c looks for it', () => {
  const each = peer(513);
  const put = encode([peer(0), each], 'put').subarray(RECORD_BYTES);
  assert.equal(put.length, RECORD_BYTES);
  assert.deepEqual(new Uint8Array(put.subarray(0, 32)), new Uint8Array(each.key));
  assert.deepEqual(new Uint8Array(put.subarray(32, 64)), new Uint8Array(each.presharedKey));
  assert.deepEqual([...put.subarray(64, 68)], [8 | 16 | 32, 24, 5, 0]);
  assert.equal(put.readUInt16LE(68), each.port);
  assert.deepEqual([...put.subarray(72)], [198, 18, 2, 1, 10, 2, 1, 0]);
  assert.deepEqual([...encode([each], 'remove').subarray(32)], [...new Array(32).fill(0), 1, ...new Array(15).fill(0)]);
  assert.equal(encode([each], 'move')[64], 4 | 8);
});
