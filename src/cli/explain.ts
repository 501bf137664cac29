/** `corax explain GATEWAY` */
import { Command } from 'commander';
import { type Explanation, explanationSchema } from '../model/status.js';
import { ask, SOCKET_FLAG, SOCKET_HELP, type SocketOption, socketPath } from './client.js';
import { paint, print, printable, printJson, standardTerminal, type Terminal, wrap } from './output.js';

interface ExplainOptions extends SocketOption {
  readonly json?: true;
}

export function explainCommand(): Command {
  return new Command('explain')
    .description('show every fact and rule behind the path to one gateway, in order, and what would change it')
    .argument('<gateway>', 'name of the other gateway')
    .option(SOCKET_FLAG, SOCKET_HELP)
    .option('--json', 'print {"gateway", "facts": [[label, value]], "reason", "wouldChange": []}')
    .addHelpText(
      'after',
      `
Examples:
  corax explain gw-b
  corax explain gw-b --json | jq -r .reason

Exit codes: 0 the agent answered, 1 it did not, does not know the gateway, or wrong usage`,
    )
    .action(async (gateway: string, options: ExplainOptions) => {
      const path = `/explain/${encodeURIComponent(gateway)}`;
      const { value, raw } = await ask(socketPath(options), path, explanationSchema);
      if (options.json) printJson(raw);
      else print(renderExplanation(value, standardTerminal()));
    });
}

export function renderExplanation(explanation: Explanation, terminal: Terminal): string {
  const facts = explanation.facts.map(([label, value]) => [printable(label), printable(value)] as const);
  const width = Math.min(32, Math.max(0, ...facts.map(([label]) => label.length)));
  const indent = ' '.repeat(width + 4);
  const lines = [
    paint(terminal, 'bold', printable(explanation.gateway)),
    ...facts.map(([label, value]) => wrap(`  ${label.padEnd(width)}  ${value}`, terminal.columns, indent)),
    '',
    wrap(`so: ${printable(explanation.reason)}`, terminal.columns, '    '),
  ];
  if (explanation.wouldChange.length > 0) {
    lines.push('', 'what would change it:');
    lines.push(...explanation.wouldChange.map((what) => wrap(`  - ${printable(what)}`, terminal.columns, '    ')));
  }
  return lines.join('\n');
}
