/** `corax netcheck`: which NAT this node is under. Exit code 0 = known, 2 = UDP blocked or unknown. */
import { networkInterfaces } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { netcheck } from '../agent/discovery.js';
import { messageOf } from '../errors.js';
import { type Ip, isIpv4, parseIp } from '../model/address.js';
import type { NatReport } from '../model/nat.js';
import { localAddressesOf } from '../nat/discover.js';
import { formatReport } from '../nat/report.js';
import { parseStunServer } from '../nat/servers.js';

interface NetcheckFlags {
  readonly stun: readonly string[];
  readonly bind?: Ip;
  readonly json?: boolean;
}

export function netcheckCommand(): Command {
  return new Command('netcheck')
    .description('find out which NAT this node is under, and what that means for direct tunnels')
    .requiredOption('--stun <host:port>', 'STUN server to ask; may be repeated, port 3478 if left out', addServer)
    .option('--bind <address>', 'local IPv4 address to probe from', parseBind)
    .option('--json', 'print the report as JSON')
    .addHelpText(
      'after',
      `
As root it looks past this machine's own firewall, which may let in less than the NAT does.

Examples:
  corax netcheck --stun stun.example.org
  corax netcheck --stun stun1.example.org:3478 --stun stun2.example.org:3478 --json | jq .type

Exit codes: 0 the NAT is known, 1 error or wrong usage, 2 UDP is blocked or the NAT stays unknown`,
    )
    .action(async (flags: NetcheckFlags, command: Command) => {
      const { report, untapped, profile } = await netcheck({
        servers: flags.stun,
        localAddresses: localAddressesOf(networkInterfaces()),
        ...(flags.bind === undefined ? {} : { bindAddress: flags.bind }),
      });
      const text = flags.json
        ? `${JSON.stringify({ ...report, profile }, null, 2)}\n`
        : formatReport(report, untapped, profile);
      command.configureOutput().writeOut?.(text);
      process.exitCode = exitCodeOf(report);
    });
}

/** Known: no NAT, or a NAT whose type could be told. */
export function exitCodeOf({ type, underNat }: NatReport): 0 | 2 {
  return type === null || (type === 'Undefined' && underNat !== false) ? 2 : 0;
}

function addServer(text: string, earlier: readonly string[] = []): string[] {
  try {
    parseStunServer(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
  return [...earlier, text];
}

function parseBind(text: string): Ip {
  const ip = parseIp(text);
  if (ip === null || !isIpv4(ip)) throw new InvalidArgumentError('Give an IPv4 address of this node.');
  return ip;
}
