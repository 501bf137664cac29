/** The command line: `corax SUBCOMMAND`. */
import { Command, CommanderError } from 'commander';
import { CoraxError, codeOf, ERROR_CODES, messageOf } from '../errors.js';
import { VERSION } from '../version.js';
import { agentCommand } from './agent.js';
import { controllerCommand } from './controller.js';
import { explainCommand } from './explain.js';
import { labCommand } from './lab.js';
import { netcheckCommand } from './netcheck.js';
import { peersCommand } from './peers.js';
import { statusCommand } from './status.js';

export const EXIT_ERROR = 1;

export function buildProgram(): Command {
  const program = new Command('corax')
    .description('Direct edge-to-edge tunnels through NAT, with the relay as the way back.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command')
    .addHelpText(
      'after',
      `
Examples:
  corax agent --node edge-a --gateways /srv/gateways --psk-file /etc/corax.psk
  corax status
  corax explain gw-b
  corax netcheck --stun stun.example.org:3478

Exit codes: 0 done, ${EXIT_ERROR} error or wrong usage, 2 done, but what was found is not well
(status --check, netcheck), 130 stopped by SIGINT`,
    );
  program.addCommand(agentCommand());
  program.addCommand(controllerCommand());
  program.addCommand(statusCommand());
  program.addCommand(peersCommand());
  program.addCommand(explainCommand());
  program.addCommand(netcheckCommand());
  program.addCommand(labCommand());
  // Once here, for commander hands these down only to commands that it makes itself
  for (const command of [program, ...program.commands])
    command.exitOverride().showHelpAfterError('(--help shows more)');
  return program;
}

/** Runs one command. Sets process.exitCode and never throws: what goes wrong is told on standard error. */
export async function run(words: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync(words, { from: 'user' });
  } catch (error) {
    process.exitCode = tell(error);
  }
}

/** Says it to a person and gives the exit code. */
export function tell(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_ERROR;
  // The addon's errors carry a code of ours, too
  if (error instanceof CoraxError || Object.hasOwn(ERROR_CODES, codeOf(error) ?? '')) {
    for (const line of messageOf(error).split('\n')) process.stderr.write(`corax: ${line}\n`);
    return EXIT_ERROR;
  }
  const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`corax: unexpected, this is a bug: ${trace}\n`);
  return EXIT_ERROR;
}
