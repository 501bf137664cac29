/** `corax controller` */
import { Command, Option } from 'commander';
import type { Flags } from '../config.js';
import { CONTROLLER_OPTIONS, loadControllerConfig } from '../controller/config.js';
import type { Preview } from '../controller/run.js';
import { createLogger } from '../telemetry/log.js';
import { collectOften } from './memory.js';
import { print, printable, printJson } from './output.js';
import { untilStopped } from './signals.js';

export function controllerCommand(): Command {
  const command = new Command('controller').description(
    'fill the status of Gateways, in a Kubernetes cluster without yurt-manager',
  );
  for (const { flag, argument, env, help } of Object.values(CONTROLLER_OPTIONS)) {
    const variables = env.length === 0 ? '' : ` [${env.join(', ')}]`;
    command.addOption(new Option(`${flag} <${argument}>`, help + variables));
  }
  return command
    .option('--dry-run', 'read everything once, print who would be active where, and write nothing')
    .option('--json', 'with --dry-run: print JSON')
    .addHelpText(
      'after',
      `
Nodes of a gateway are those with the label raven.openyurt.io/gateway=NAME and those that its
spec.nodeSelector takes. The first tunnel endpoint by name whose node is Ready becomes active, and stays so
while its node is Ready; spec.tunnelConfig.Replicas says how many are. Several replicas may run: one leads.
While yurt-manager runs it fills the status, and the controller idles.

Examples:
  corax controller --metrics-addr :10265 --health-addr :10275        in a Pod
  corax controller --kubeconfig ~/.kube/config --dry-run

Exit codes: 0 stopped by SIGTERM, or printed; 1 error or wrong usage; 130 stopped by SIGINT`,
    )
    .action(async (flags: Flags) => {
      if (flags.dryRun === true) await preview(flags);
      else process.exit(await startController(flags));
    });
}

async function preview(flags: Flags): Promise<void> {
  const config = loadControllerConfig(flags, process.env);
  const { previewController } = await import('../controller/run.js');
  const result = await previewController(config, createLogger({ level: 'silent' }));
  if (flags.json === true) printJson(result);
  else print(renderPreview(result));
}

export function renderPreview({ gateways, refused, yurtManager }: Preview): string {
  const rows = [
    ['GATEWAY', 'ACTIVE', 'NODES', 'STATUS'],
    ...gateways.map(({ gateway, active, nodes, change }) => [
      printable(gateway),
      active.join(', ') || '–',
      String(nodes.length),
      change ? 'would be written' : 'as it is',
    ]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
  return [
    gateways.length === 0 ? 'there are no Gateways' : lines.join('\n'),
    ...gateways.flatMap(({ gateway, leftOut }) => leftOut.map((each) => `${gateway}: left out: ${printable(each)}`)),
    ...refused.map(({ gateway, reason }) => `${printable(gateway)}: cannot be read: ${printable(reason)}`),
    ...(yurtManager === null ? [] : [`yurt-manager runs (${printable(yurtManager)}): nothing would be written`]),
  ].join('\n');
}

/** Checks all that can be checked, then runs. Resolves to the exit code. */
async function startController(flags: Flags): Promise<number> {
  const config = loadControllerConfig(flags, process.env);
  const logger = createLogger({ level: config.logLevel });
  collectOften();
  const { runController } = await import('../controller/run.js');
  return untilStopped(logger, (signal) => runController(config, logger, signal));
}
