/** `corax agent` */
import { mkdirSync, statSync } from 'node:fs';
import { Command, Option } from 'commander';
import { OPTION_KEYS, OPTIONS } from '../config/options.js';
import { RAVEN_ALIASES, RAVEN_FLAGS } from '../config/raven.js';
import { type Config, type Flags, loadConfig } from '../config.js';
import { CoraxError, messageOf } from '../errors.js';
import { createLogger, type Logger } from '../telemetry/log.js';
import { acquireLock } from './lock.js';
import { collectOften } from './memory.js';
import { checkPermission } from './permission.js';
import { untilStopped } from './signals.js';

/**
 * The loop. Runs until the signal is aborted (SIGTERM, SIGINT: tunnels, routes and rules stay in place),
 * or, with `config.cleanup`, until everything that corax made is gone. Resolves to the exit code.
 */
export type RunAgent = (config: Config, logger: Logger, signal: AbortSignal) => Promise<number>;

export function agentCommand(): Command {
  const command = new Command('agent').description(
    'run the agent of this node (as root, or with NET_ADMIN and NET_RAW)',
  );
  for (const key of OPTION_KEYS) {
    const spec = OPTIONS[key];
    const option = new Option(`${spec.flag} <${spec.argument}>`, `${spec.help} [${spec.env.join(', ')}]`);
    if ('list' in spec) {
      option.argParser((value: string, previous: string[] | undefined) => [...(previous ?? []), value]);
    }
    command.addOption(option);
  }
  command
    .option('--config <FILE>', 'YAML file with the same settings: node, nodeIp, gateways, ... [CORAX_CONFIG]')
    .option('--cleanup', 'remove every device, route, rule and firewall table that corax made here, and exit')
    .addOption(new Option('--psk <KEY>').hideHelp().argParser(refusePsk));
  for (const { flag } of RAVEN_ALIASES.values()) command.addOption(new Option(`${flag} <value>`).hideHelp());
  for (const { flag, boolean } of RAVEN_FLAGS.values()) {
    const option = new Option(`${flag} ${boolean ? '[value]' : '<value>'}`).hideHelp();
    command.addOption(boolean ? option.choices(['true', 'false']).preset('true') : option);
  }
  return command
    .addHelpText(
      'after',
      `
Flags count before environment variables (in brackets), these before the file. raven-agent's flags and
NODE_NAME, NODE_IP and VPN_CONNECTION_PSK are understood.

Examples:
  VPN_CONNECTION_PSK=... corax agent --node edge-a --gateways /srv/gateways --stun stun.example.org:3478
  corax agent --node edge-a --kubeconfig /etc/corax.kubeconfig --psk-file /etc/corax.psk
  corax agent --config /etc/corax.yaml --psk-file /etc/corax.psk
  corax agent --cleanup

Exit codes: 0 stopped by SIGTERM, or cleaned up; 1 error, wrong usage or configuration; 130 stopped by SIGINT`,
    )
    .action(async (flags: Flags) => {
      process.exit(await startAgent(flags, runAgent));
    });
}

/** The loop brings the addon along, which no other command needs, nor one that is used wrongly: loaded late. */
const runAgent: RunAgent = async (config, logger, signal) =>
  (await import('../agent/run.js')).runAgent(config, logger, signal);

function refusePsk(): never {
  throw new CoraxError(
    'CORAX_PSK',
    '--psk: every user of this machine can read command lines (ps); use --psk-file FILE or VPN_CONNECTION_PSK',
  );
}

/** Checks all that can be checked before anything is touched, then runs. Resolves to the exit code. */
export async function startAgent(flags: Flags, runAgent: RunAgent): Promise<number> {
  const { config, warnings } = loadConfig(flags, process.env);
  const logger = createLogger({ level: config.logLevel, ...(config.node === null ? {} : { node: config.node }) });
  checkPermission();
  collectOften();
  prepareStateDir(config.stateDir, warnings);
  const lock = await acquireLock(config.stateDir);
  for (const warning of warnings) logger.warn(warning);
  try {
    return await untilStopped(logger, (signal) => runAgent(config, logger, signal));
  } finally {
    await lock.release();
  }
}

/** Holds the private key: made for the owner only, refused where others could put a key of theirs. */
export function prepareStateDir(folder: string, warnings: string[]): void {
  let mode: number;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    mode = statSync(folder).mode & 0o777;
  } catch (error) {
    throw new CoraxError('CORAX_CONFIG', `--state-dir ${folder} cannot be used: ${messageOf(error)}`, { cause: error });
  }
  if ((mode & 0o022) !== 0) {
    throw new CoraxError('CORAX_CONFIG', `--state-dir ${folder}: others than its owner may write to it: chmod 0700 it`);
  }
  if ((mode & 0o055) !== 0)
    warnings.push(`--state-dir ${folder} is open to others (mode ${mode.toString(8)}): chmod 0700 it`);
}
