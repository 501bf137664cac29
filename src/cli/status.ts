/** `corax status` */
import Table from 'cli-table3';
import { Command } from 'commander';
import { type PeerStatus, type Status, statusJsonSchema, statusSchema } from '../model/status.js';
import { ask, SOCKET_FLAG, SOCKET_HELP, type SocketOption, socketPath } from './client.js';
import {
  formatAge,
  formatDuration,
  formatLoss,
  formatRtt,
  type Paint,
  paint,
  print,
  printable,
  printJson,
  standardTerminal,
  type Terminal,
  wrap,
} from './output.js';

/** With --check: something in the status wants a person. */
export const EXIT_DEGRADED = 2;

interface StatusOptions extends SocketOption {
  readonly json?: true;
  readonly schema?: true;
  readonly check?: true;
}

export function statusCommand(): Command {
  return new Command('status')
    .description('show this node, its NAT, and the path to every gateway with the reason for it')
    .option(SOCKET_FLAG, SOCKET_HELP)
    .option('--json', 'print it as JSON (stable, see --schema)')
    .option('--schema', 'print the JSON Schema of --json; asks no agent')
    .option('--check', `exit ${EXIT_DEGRADED} where there are errors or a gateway has no path`)
    .addHelpText(
      'after',
      `
Examples:
  corax status
  corax status --json | jq '.peers[] | {gateway, path, reason}'
  corax status --check >/dev/null || echo "look at $(hostname)"

Exit codes: 0 the agent answered, 1 it did not, or wrong usage, ${EXIT_DEGRADED} degraded (with --check)`,
    )
    .action(async (options: StatusOptions) => {
      if (options.schema) return printJson(statusJsonSchema());
      const { value, raw } = await ask(socketPath(options), '/status', statusSchema);
      if (options.json) printJson(raw);
      else print(renderStatus(value, standardTerminal(), Date.now() / 1000));
      if (options.check && isDegraded(value)) process.exitCode = EXIT_DEGRADED;
    });
}

export function isDegraded(status: Status): boolean {
  return status.errors.length > 0 || !status.store.synced || status.peers.some((peer) => peer.path === null);
}

/** `now` in Unix seconds. No line is longer than the terminal is wide (80 at least). */
export function renderStatus(status: Status, terminal: Terminal, now: number): string {
  const parts = [renderHead(status, terminal, now)];
  if (status.peers.length > 0) parts.push(renderPeers(status.peers, terminal, now));
  else parts.push(status.store.synced ? 'no other gateways' : 'no gateways read yet');
  if (status.errors.length > 0) parts.push(renderErrors(status, terminal, now));
  return parts.join('\n\n');
}

function renderHead(status: Status, terminal: Terminal, now: number): string {
  const { nat, store } = status;
  const facts = [
    ['node', `${status.node}, ${status.role ?? 'no role yet'} of ${status.gateway ?? 'no gateway'}`],
    ['agent', `corax ${status.version}, ${status.driver}, up ${formatDuration(Math.max(0, now - status.startedAt))}`],
    ['NAT', describeNat(nat)],
    [
      'store',
      `${store.kind}, ${store.synced ? 'read' : 'not read yet'}${store.lastError ? `, ${store.lastError}` : ''}`,
    ],
  ];
  return facts
    .map(([label = '', value = '']) => wrap(`${label.padEnd(6)} ${printable(value)}`, terminal.columns, ' '.repeat(7)))
    .join('\n');
}

function describeNat(nat: Status['nat']): string {
  if (nat.type === null) return nat.hole === null ? 'not known yet' : `not known yet, hole ${nat.hole}`;
  const behaviour = [
    nat.mapping === null ? null : `mapping ${nat.mapping}`,
    nat.filtering === null ? null : `filtering ${nat.filtering}`,
    nat.hole === null ? null : `hole ${nat.hole}`,
  ];
  return [nat.type, ...behaviour.filter((part) => part !== null)].join(', ');
}

const HEADINGS = ['gateway', 'path', 'state', 'relay ms', 'direct ms', 'loss', 'handshake'];
const WIDTHS = [0, 8, 10, 10, 11, 7, 11];
const NO_LINES = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, '']),
);

/** With so much room the reason stands in the peer's own line. */
const WIDE = 130;
const GATEWAY_MIN = 10;

/** What needs a look comes first. */
function urgency(peer: PeerStatus): number {
  if (peer.path === null) return 0;
  return { punching: 1, relayed: 2, direct: 3 }[peer.state];
}

function renderPeers(peers: readonly PeerStatus[], terminal: Terminal, now: number): string {
  const sorted = [...peers].sort((a, b) => urgency(a) - urgency(b) || (a.gateway < b.gateway ? -1 : 1));
  const columns = Math.max(terminal.columns, 80);
  const wide = columns >= WIDE;
  const fixed = WIDTHS.reduce((sum, width) => sum + width, 0);
  const longest = Math.max(...sorted.map((peer) => printable(peer.gateway).length)) + 2;
  const gatewayWidth = Math.max(GATEWAY_MIN, Math.min(longest, wide ? 40 : columns - fixed));
  const widths = [gatewayWidth, ...WIDTHS.slice(1)];
  const table = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [] },
    colWidths: wide ? [...widths, columns - fixed - gatewayWidth] : widths,
    wordWrap: true,
    wrapOnWordBoundary: true,
  });
  const headings = wide ? [...HEADINGS, 'reason'] : HEADINGS;
  table.push(headings.map((heading) => paint(terminal, 'bold', heading.toUpperCase())));
  for (const peer of sorted) {
    const cells = peerCells(peer, terminal, now, gatewayWidth - 2);
    const reason = printable(peer.reason);
    if (wide) table.push([...cells, reason]);
    else
      table.push(cells, [
        { colSpan: HEADINGS.length, content: paint(terminal, 'dim', reason), style: { 'padding-left': 2 } },
      ]);
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function peerCells(peer: PeerStatus, terminal: Terminal, now: number, room: number): string[] {
  const plane = peer.path === null ? null : peer.planes[peer.path];
  const name = printable(peer.gateway);
  const colors: Record<string, Paint> = { direct: 'green', relay: 'yellow' };
  return [
    name.length > room ? `${name.slice(0, room - 1)}…` : name,
    peer.path === null ? paint(terminal, 'red', 'none') : paint(terminal, colors[peer.path] ?? 'dim', peer.path),
    peer.state,
    formatRtt(peer.planes.relay?.rttMs),
    formatRtt(peer.planes.direct?.rttMs),
    formatLoss(plane?.loss),
    formatAge(plane?.lastHandshake ?? null, now),
  ];
}

function renderErrors(status: Status, terminal: Terminal, now: number): string {
  const lines = status.errors.map((error) => {
    const who = error.gateway === null ? '' : ` ${printable(error.gateway)}`;
    const since = error.since === null ? '' : ` (for ${formatDuration(Math.max(0, now - error.since))})`;
    return wrap(`${printable(error.code)}${who}: ${printable(error.message)}${since}`, terminal.columns - 2, '  ');
  });
  return [paint(terminal, 'red', 'ERRORS'), ...lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}`)].join('\n');
}
