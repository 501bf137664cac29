/** A status as a person reads it on a terminal. */
import Table from 'cli-table3';
import { lifetimeWords, poolingWords, portWords } from '../model/profile-words.js';
import type { PeerStatus, Status } from '../model/status.js';
import { byUrgency, type Urgency, urgencyOf } from '../model/urgency.js';
import { describeNat } from '../model/words.js';
import { layOut } from './columns.js';
import { formatDuration, paint, printable, type Terminal, wrap } from './output.js';

/** Narrower terminals get lines that the terminal breaks. */
const LEAST_COLUMNS = 56;
const LABEL_WIDTH = 7;

/** `now` in Unix seconds. No line is longer than the terminal is wide. */
export function renderStatus(status: Status, terminal: Terminal, now: number): string {
  const fitted = { ...terminal, columns: Math.max(terminal.columns, LEAST_COLUMNS) };
  const parts = [renderHead(status, fitted, now)];
  if (status.errors.length > 0) parts.push(renderErrors(status, fitted, now));
  if (status.peers.length > 0) parts.push(renderPeers(status.peers, fitted, now));
  else parts.push(status.store.synced ? 'no other gateways' : 'no gateways read yet');
  return parts.join('\n\n');
}

function renderHead(status: Status, terminal: Terminal, now: number): string {
  const { nat, store, peers } = status;
  const up = formatDuration(Math.max(0, now - status.startedAt));
  const lines: [string, string][] = [
    ['node', `${status.node}, ${status.role ?? 'no role yet'} of ${status.gateway ?? 'no gateway'}`],
    ['agent', `corax ${status.version}, ${status.driver}, up ${up}`],
    ['NAT', describeNat(nat)],
    ...profileLines(nat.profile),
  ];
  if (nat.portMapping) lines.push(['router', describeMapping(nat.portMapping)]);
  for (const remark of status.remarks ?? []) lines.push(['note', remark]);
  const indent = ' '.repeat(LABEL_WIDTH);
  const line = (label: string, value: string) =>
    wrap(`${label.padEnd(LABEL_WIDTH - 1)} ${value}`, terminal.columns, indent);
  const sick = !store.synced || store.lastError !== null;
  const health = `${store.kind}, ${store.synced ? 'read' : 'not read yet'}${store.lastError ? `, ${store.lastError}` : ''}`;
  const text = lines.map(([label, value]) => line(label, printable(value)));
  const storeLine = line('store', printable(health));
  text.push(sick ? paint(terminal, 'red', storeLine) : storeLine);
  if (peers.length > 0) text.push(line('paths', summary(peers)));
  return text.join('\n');
}

function describeMapping({ external, inForce, reason }: NonNullable<Status['nat']['portMapping']>): string {
  return external === null || inForce ? reason : `${reason}, which is not the published hole`;
}

function profileLines(profile: Status['nat']['profile']): [string, string][] {
  if (profile === null) return [];
  const parts = [portWords(profile)];
  if (profile.pooling === 'arbitrary') parts.push(poolingWords(profile));
  if (profile.lifetime !== null) parts.push(lifetimeWords(profile.lifetime));
  return [['ports', parts.join('; ')]];
}

const COUNTED: readonly (readonly [Urgency, string, string])[] = [
  ['silent', 'does not answer', 'do not answer'],
  ['punching', 'is punching', 'are punching'],
  ['relayed', 'relayed that may be direct', 'relayed that may be direct'],
  ['waiting', 'has not answered yet', 'have not answered yet'],
];

/** "12 gateways: 1 does not answer, 2 relayed that may be direct, 8 direct" */
function summary(peers: readonly PeerStatus[]): string {
  const count = (fits: (peer: PeerStatus) => boolean) => peers.filter(fits).length;
  const parts = COUNTED.flatMap(([urgency, one, many]) => {
    const number = count((peer) => urgencyOf(peer) === urgency);
    return number === 0 ? [] : [`${number} ${number === 1 ? one : many}`];
  });
  const well = (path: PeerStatus['path']) => count((peer) => urgencyOf(peer) === 'well' && peer.path === path);
  for (const [number, word] of [
    [well('relay'), 'on the relay'],
    [well('direct'), 'direct'],
  ] as const) {
    if (number > 0) parts.push(`${number} ${word}`);
  }
  return `${peers.length} gateway${peers.length === 1 ? '' : 's'}: ${parts.join(', ')}`;
}

const NO_LINES = Object.fromEntries(
  ['top', 'bottom', 'left', 'mid', 'right']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('middle')
    .map((part) => [part, '']),
);

const REASON_INDENT = 4;

function renderPeers(peers: readonly PeerStatus[], terminal: Terminal, now: number): string {
  const sorted = [...peers].sort(byUrgency);
  const longest = Math.max(...sorted.map((peer) => printable(peer.gateway).length));
  const { columns, widths, left, inLine } = layOut(terminal.columns, longest);
  // Too narrow for anything, a column would show that it was cut
  const beside = left > 2;
  const blank = beside ? [''] : [];
  const table = new Table({
    chars: NO_LINES,
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [] },
    colWidths: beside ? [...widths, left] : [...widths],
    colAligns: [...columns.map(({ align }) => align), 'left'],
    truncate: '…',
  });
  const headings = columns.map(({ heading }) => paint(terminal, 'dim', heading));
  table.push([...headings, ...(inLine ? [paint(terminal, 'dim', 'WHY')] : blank)]);
  for (const peer of sorted) {
    const cells = columns.map((column) => column.cell(peer, terminal, now));
    const why = { content: printable(peer.reason), wordWrap: true, wrapOnWordBoundary: true };
    if (inLine) table.push([...cells, why]);
    else {
      const style = { 'padding-left': REASON_INDENT, 'padding-right': 0 };
      const below = {
        ...why,
        content: paint(terminal, 'dim', why.content),
        colSpan: columns.length + blank.length,
        style,
      };
      table.push([...cells, ...blank], [below]);
    }
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function renderErrors(status: Status, terminal: Terminal, now: number): string {
  const lines = status.errors.map((error) => {
    const who = error.gateway === null ? '' : ` ${printable(error.gateway)}`;
    const since = error.since === null ? '' : ` (for ${formatDuration(Math.max(0, now - error.since))})`;
    return wrap(`${printable(error.code)}${who}: ${printable(error.message)}${since}`, terminal.columns - 2, '  ');
  });
  return [paint(terminal, 'red', 'ERRORS'), ...lines.map((line) => `  ${line.replaceAll('\n', '\n  ')}`)].join('\n');
}
