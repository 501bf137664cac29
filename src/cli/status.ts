/** `corax status` */
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Status, statusJsonSchema, statusSchema } from '../model/status.js';
import { ask, SOCKET_FLAG, SOCKET_HELP, type SocketOption, socketPath } from './client.js';
import { print, printJson, standardTerminal } from './output.js';
import { renderStatus } from './status-view.js';
import { type Output, watch } from './watch.js';
import { asJson, onPipe, onTerminal } from './watch-output.js';

/** With --check: something in the status wants a person. */
export const EXIT_DEGRADED = 2;

const DEFAULT_INTERVAL_S = 1;

interface StatusOptions extends SocketOption {
  readonly json?: true;
  readonly schema?: true;
  readonly check?: true;
  /** Seconds, or true where none were given. */
  readonly watch?: number | true;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('show this node, its NAT, and the path to every gateway with the reason for it, the worst first')
    .option(SOCKET_FLAG, SOCKET_HELP)
    .option('--json', 'print it as JSON (stable, see --schema)')
    .option('--schema', 'print the JSON Schema of --json; asks no agent')
    .option('--check', `exit ${EXIT_DEGRADED} where there are errors or a gateway has no path`)
    .addOption(
      new Option('--watch [seconds]', `show it again every second, or every so many, until Ctrl-C`)
        .argParser(parseSeconds)
        .conflicts(['check', 'schema']),
    )
    .addHelpText(
      'after',
      `
Before a gateway's name: ! does not answer, ~ punching, - relayed though it may be direct, ? has not answered yet.
RELAY and DIRECT are round trips of both planes; LOSS and HANDSHAKE are the plane's that carries traffic.
--watch redraws a terminal in place; into a pipe it prints page after page, with --json a line each.

Examples:
  corax status
  corax status --watch
  corax status --json | jq '.peers[] | {gateway, path, reason}'
  corax status --check >/dev/null || echo "look at $(hostname)"

Exit codes: 0 the agent answered, 1 it did not, or wrong usage, ${EXIT_DEGRADED} degraded (with --check),
130 --watch was ended by Ctrl-C`,
    )
    .action(async (options: StatusOptions) => {
      if (options.schema) return printJson(statusJsonSchema());
      if (options.watch !== undefined) return watchUntilStopped(options, options.watch);
      const { value, raw } = await ask(socketPath(options), '/status', statusSchema);
      if (options.json) printJson(raw);
      else print(renderStatus(value, standardTerminal(), Date.now() / 1000));
      if (options.check && isDegraded(value)) process.exitCode = EXIT_DEGRADED;
    });
}

export function isDegraded(status: Status): boolean {
  return status.errors.length > 0 || !status.store.synced || status.peers.some((peer) => peer.path === null);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== '' && seconds >= 0.1 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError('expected seconds, from 0.1 to 3600');
}

async function watchUntilStopped(options: StatusOptions, every: number | true): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    process.exitCode = signal === 'SIGINT' ? 130 : 143;
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const intervalMs = (every === true ? DEFAULT_INTERVAL_S : every) * 1000;
    const output = outputOf(options, intervalMs);
    await watch({ socket: socketPath(options), intervalMs, output, signal: stop.signal });
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

function outputOf({ json }: StatusOptions, intervalMs: number): Output {
  const write = (text: string) => process.stdout.write(text);
  if (json) return asJson(write, (text) => process.stderr.write(text));
  return process.stdout.isTTY ? onTerminal(process.stdout, intervalMs) : onPipe(write);
}
