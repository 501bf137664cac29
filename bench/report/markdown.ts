/** The report that a person reads; the JSON beside it has every run. */
import type { Case, Clock, Failure, Figure, Subject, Taken } from '../model.js';
import { FLOOR } from '../model.js';
import { median, number, spread, type Verdict, verdictText } from './figures.js';
import type { Machine } from './machine.js';

export interface Results {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly figures: readonly Taken[];
  readonly verdicts: readonly Verdict[];
  readonly missing: Readonly<Record<string, string>>;
  readonly failed: readonly Failure[];
}

/** Whom the others' figures are divided by. */
const FLOORS: readonly string[] = [FLOOR, 'bare WireGuard'];

const CLOCKS: Readonly<Record<Clock, string>> = {
  instructions:
    'instruction clock: the time of a guest in which every instruction takes 2 ns (QEMU -icount, one processor). The ' +
    'same work takes the same time however busy the machine is, so ratios of it are gates. It counts instructions, ' +
    'not cycles: 1 ms here is 500,000 instructions, and no millisecond of anybody’s machine. Programs that are forked ' +
    'wait for their files, and stay noisy',
  wall: 'wall clock: contenders in turn, round by round',
  processor: 'processor time of the process, as the host’s kernel accounts for it',
  count: 'counted, not timed',
};

export function markdown(results: Results, cases: readonly Case[], plots: ReadonlyMap<string, string>): string {
  const { machine, figures, verdicts, quick, missing, failed } = results;
  const clocks = [...new Set(figures.map(({ clock }) => clock))];
  const lines = [
    '# Benchmarks',
    '',
    `Made by \`npm run bench${quick ? ' -- --quick' : ''}\`; [how it works](../README.md). Every run is in report.json.`,
    '',
    `- Machine: ${machine.processor}, ${machine.memoryGiB} GiB, ${machine.distribution}, Linux ${machine.kernel}`,
    `- Guest: Linux ${machine.guestKernel} in QEMU ${machine.qemu}; Node ${machine.node}`,
    `- corax: ${machine.commit}`,
    `- Others: ${Object.entries(machine.versions)
      .map(([who, version]) => `${who} ${version}`)
      .join('; ')}`,
    ...Object.entries(missing).map(([who, why]) => `- Not there: ${who}: ${why}`),
    ...failed.map((failure) => `- Not done: ${failureText(failure)}`),
    ...(quick ? [] : cases.flatMap((each) => notBegun(each, results)).map((line) => `- Not measured: ${line}`)),
    '',
    'Clocks:',
    '',
    ...clocks.map((clock) => `- ${CLOCKS[clock]}`),
    '',
    '## The bars',
    '',
    ...table(
      ['bar', 'measured', ''],
      verdicts.map((verdict) => {
        const { bar, value, met } = verdictText(verdict);
        return [bar, value, met];
      }),
    ),
  ];
  for (const each of cases) {
    const own = figures.filter((figure) => figure.case === each.name);
    if (own.length === 0) continue;
    lines.push('', `## ${each.title}`, '', each.method);
    const commits = commitsOf(own);
    if (commits !== machine.commit) lines.push('', `Taken of corax ${commits}.`);
    for (const group of groups(own)) lines.push('', ...section(group, plots));
  }
  return `${lines.join('\n')}\n`;
}

/** What a whole run would have. */
function notBegun({ name, tasks, host }: Case, { figures, failed }: Results): string[] {
  const own = figures.filter((figure) => figure.case === name);
  const broken = failed.filter((failure) => failure.case === name);
  const same = (a: Pick<Subject, 'what' | 'scale'>, b?: Pick<Subject, 'what' | 'scale'>): boolean =>
    a.what === b?.what && a.scale === b.scale;
  const left = (tasks?.(false) ?? []).filter(
    (task) =>
      !own.some((figure) => figure.clock === 'instructions' && same(task, figure)) &&
      !broken.some((failure) => same(task, failure.task)),
  );
  const onHost = own.some(({ clock }) => clock !== 'instructions') || broken.some(({ task }) => task === undefined);
  return [
    ...left.map(({ what, scale }) => `${name}: ${what}, ${scale.toLocaleString('en')}`),
    ...(host === undefined || onHost ? [] : [`${name}: what is measured on the host`]),
  ];
}

/** One, or several and the scales that each was measured at. */
function commitsOf(figures: readonly Taken[]): string {
  const scalesOf = new Map<string, Set<number>>();
  for (const { commit, scale } of figures) scalesOf.set(commit, (scalesOf.get(commit) ?? new Set()).add(scale));
  if (scalesOf.size === 1) return [...scalesOf.keys()].join('');
  return [...scalesOf]
    .map(([commit, scales]) => `${commit} (${[...scales].map((scale) => scale.toLocaleString('en')).join(', ')})`)
    .join(', ');
}

export function failureText({ case: name, task, why }: Failure): string {
  return `${name}: ${task === undefined ? '' : `${task.what}, ${task.scale.toLocaleString('en')}: `}${why.replaceAll('\n', ' ')}`;
}

/** Figures of one piece of work on one clock. */
export function groups(figures: readonly Figure[]): Figure[][] {
  const found = new Map<string, Figure[]>();
  for (const figure of figures) {
    const key = groupName(figure);
    found.set(key, [...(found.get(key) ?? []), figure]);
  }
  return [...found.values()];
}

/** As a file may be called. */
export function groupName({ case: name, what, clock, unit }: Figure): string {
  return [name, what === name ? '' : what, clock, unit]
    .filter((word) => word !== '')
    .join('-')
    .replaceAll(/[^a-zA-Z0-9]+/g, '-')
    .toLowerCase();
}

function section(group: readonly Figure[], plots: ReadonlyMap<string, string>): string[] {
  const [first] = group as [Figure];
  const scales = [...new Set(group.map(({ scale }) => scale))].sort((a, b) => a - b);
  const rows = scales.flatMap((scale) => {
    const here = group.filter((figure) => figure.scale === scale);
    const floor = here.find(({ who }) => FLOORS.includes(who));
    return here.map((figure) => [
      scale.toLocaleString('en'),
      figure.who,
      number(median(figure.values)),
      number(Math.min(...figure.values)),
      figure.values.length > 1 ? `${number(spread(figure.values) * 100)} %` : '',
      floor === undefined ? '' : `${number(median(figure.values) / median(floor.values))} ×`,
      String(figure.values.length),
    ]);
  });
  const plot = plots.get(groupName(first));
  return [
    `### ${first.what} (${first.clock === 'count' ? 'counted' : `${first.clock} clock`})`,
    '',
    ...table(
      [
        'scale',
        'who',
        `median ${first.unit}`,
        'least',
        'spread',
        `÷ ${group.find(({ who }) => FLOORS.includes(who))?.who ?? ''}`,
        'runs',
      ],
      rows,
    ),
    ...(plot === undefined ? [] : ['', `![${first.what}](${plot})`]),
  ];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const kept = head.map((_, column) => rows.some((row) => row[column] !== ''));
  const only = <T>(row: readonly T[]): T[] => row.filter((_, column) => kept[column]);
  const line = (row: readonly string[]): string => `| ${only(row).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
