/** `corax lab`: NATs, relays and edges in network namespaces, to watch and to learn from. */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { DriverName } from '#src/model/names.js';
import { demoCommand } from './demo/command.js';
import { natTypesCommand } from './demo/nat-types.js';
import { DEMO_NATS, parseNatKind } from './demo/pairs.js';
import type { NatKind } from './net/nat.js';

interface DemoFlags {
  readonly natA: NatKind;
  readonly natB: NatKind;
  readonly keep?: boolean;
  readonly json?: string;
  readonly driver: DriverName;
}

/** `words` are what follows "corax lab"; resolves to the exit code. Errors are CoraxErrors, for the caller to tell. */
export async function main(words: readonly string[]): Promise<number> {
  let code = 0;
  const program = new Command('corax lab')
    .description('Builds NATs, relays and edges in network namespaces, on this kernel or in a micro-VM.')
    .addHelpText(
      'after',
      `
Examples:
  corax lab demo
  corax lab demo --nat-a symmetric --nat-b full-cone --json report.json
  corax lab demo --driver libreswan
  corax lab demo --keep
  corax lab nat-types

Environment: CORAX_LAB=host or vm says where; else this kernel is used if it has WireGuard and netem.

Exit codes: 0 all went as these NATs allow, 1 it did not, or an error, 130 stopped by SIGINT`,
    )
    .exitOverride();
  program
    .command('demo')
    .description('two edges behind NATs find each other through their harvested holes and go direct')
    .option('--nat-a <kind>', `edge-a's NAT: ${DEMO_NATS.join(', ')}`, natKind, 'port-restricted')
    .option('--nat-b <kind>', "edge-b's NAT, likewise", natKind, 'restricted-cone')
    .option('--keep', 'stay at the end, with a shell beside the lab')
    .option('--json <file>', 'write a report: {"pairs": [...]}')
    .addOption(
      new Option('--driver <driver>', 'tunnel driver').choices(['wireguard', 'libreswan']).default('wireguard'),
    )
    .addHelpText(
      'after',
      '\nExit code: 0 the path went direct, or these NATs allow none and the relay carries the traffic; 1 else.',
    )
    .action(async ({ natA, natB, keep = false, json, driver }: DemoFlags) => {
      code = await demoCommand({ natA, natB, keep, json: json ?? null, driver });
    });
  program
    .command('nat-types')
    .description('what "corax netcheck" finds behind every kind of NAT')
    .option('--json', 'print JSON')
    .action(async ({ json = false }: { json?: boolean }) => {
      code = await natTypesCommand(json);
    });
  for (const command of program.commands) command.exitOverride();
  try {
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    throw error;
  }
  return code;
}

function natKind(text: string): NatKind {
  const kind = parseNatKind(text);
  if (kind === null) throw new InvalidArgumentError(`Kinds are ${DEMO_NATS.join(', ')}.`);
  return kind;
}
