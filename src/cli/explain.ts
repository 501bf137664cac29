/** `corax explain GATEWAY` */
import { Command } from 'commander';
import { type ExplainedFact, type Explanation, explanationSchema } from '../model/status.js';
import { ask, SOCKET_FLAG, SOCKET_HELP, type SocketOption, socketPath } from './client.js';
import {
  formatDuration,
  type Paint,
  paint,
  print,
  printable,
  printJson,
  standardTerminal,
  type Terminal,
  wrap,
} from './output.js';

interface ExplainOptions extends SocketOption {
  readonly json?: true;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('show every fact and rule behind the path to one gateway, in order, and what would change it')
    .argument('<gateway>', 'name of the other gateway')
    .option(SOCKET_FLAG, SOCKET_HELP)
    .option(
      '--json',
      'print {"gateway", "path", "reason", "sections": [{"title", "verdict", "facts"}], "wouldChange", …}',
    )
    .addHelpText(
      'after',
      `
Before a fact: + it is as the path needs it, ! it is not, ? it is still awaited. The rule that it is judged by stands
behind it in brackets.

Examples:
  corax explain gw-b
  corax explain gw-b --json | jq -r .reason

Exit codes: 0 the agent answered, 1 it did not, does not know the gateway, or wrong usage`,
    )
    .action(async (gateway: string, options: ExplainOptions) => {
      const path = `/explain/${encodeURIComponent(gateway)}`;
      const { value, raw } = await ask(socketPath(options), path, explanationSchema);
      if (options.json) printJson(raw);
      else print(renderExplanation(value, standardTerminal(), Date.now() / 1000));
    });
}

const MARKS: Record<NonNullable<ExplainedFact['verdict']>, readonly [string, Paint]> = {
  good: ['+', 'green'],
  bad: ['!', 'red'],
  open: ['?', 'yellow'],
};

/** Longer labels push their value to the right. */
const LABEL_MOST = 22;

/** `now` in Unix seconds. */
export function renderExplanation(explanation: Explanation, terminal: Terminal, now: number): string {
  const { sections } = explanation;
  const labels = sections.flatMap(({ facts }) => facts.map(({ label }) => printable(label).length));
  const width = Math.min(LABEL_MOST, Math.max(0, ...labels));
  const parts = [renderTitle(explanation, terminal, now)];
  for (const { title, verdict, facts } of sections) {
    const heading = paint(terminal, 'bold', printable(title));
    const comesTo = verdict === null ? '' : `  ${printable(verdict)}`;
    parts.push([`${heading}${comesTo}`, ...facts.map((fact) => renderFact(fact, width, terminal))].join('\n'));
  }
  const list = (title: string, items: readonly string[]) => {
    if (items.length === 0) return;
    const lines = items.map((item) => wrap(`  - ${printable(item)}`, terminal.columns, '    '));
    parts.push([paint(terminal, 'bold', title), ...lines].join('\n'));
  };
  list('What would change it', explanation.wouldChange);
  list(
    'Latest changes',
    explanation.changes.map(({ at, from, to, reason }) => `${dateAndTime(at)}  ${from} to ${to}: ${reason}`),
  );
  return parts.join('\n\n');
}

function renderTitle(
  { gateway, node, path, state, since, reason }: Explanation,
  terminal: Terminal,
  now: number,
): string {
  const who = `${printable(gateway)}${node === null ? '' : ` (${printable(node)})`}`;
  const way =
    path === null
      ? 'no path'
      : state === 'punching'
        ? 'on the relay, punching'
        : path === 'relay'
          ? 'on the relay'
          : path;
  const color: Paint = path === null ? 'red' : path === 'direct' ? 'green' : 'yellow';
  const age = since === null ? '' : ` for ${formatDuration(Math.max(0, now - since))}`;
  return [
    `${paint(terminal, 'bold', who)}  ${paint(terminal, color, way)}${age}`,
    wrap(`  ${printable(reason)}`, terminal.columns, '  '),
  ].join('\n');
}

function renderFact({ label, value, rule, verdict }: ExplainedFact, width: number, terminal: Terminal): string {
  const [mark, color] = verdict === null ? [' ', 'dim' as const] : MARKS[verdict];
  const indent = ' '.repeat(width + 6);
  const start = `  ${mark} ${printable(label).padEnd(width)}  ${printable(value)}`;
  const text = wrap(rule === null ? start : `${start}  [${printable(rule)}]`, terminal.columns, indent);
  // Painted last, so that what is counted is what is seen
  return text.replace(`  ${mark} `, `  ${paint(terminal, color, mark)} `);
}

/** Local time; the date too, for at night yesterday is near. */
function dateAndTime(at: number): string {
  const date = new Date(at * 1000);
  const two = (number: number) => String(number).padStart(2, '0');
  return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${date.toLocaleTimeString('en-GB')}`;
}
