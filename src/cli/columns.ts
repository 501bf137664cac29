/** Which columns the table of peers has on a terminal of a given width. */
import type { PeerStatus, PlaneStatus } from '../model/status.js';
import { type Urgency, urgencyOf } from '../model/urgency.js';
import { formatAge, formatLoss, formatRtt, type Paint, paint, printable, type Terminal } from './output.js';

export interface Column {
  readonly heading: string;
  /** Characters, with the gap to the next column; 0: as wide as its widest cell. */
  readonly width: number;
  readonly align: 'left' | 'right';
  cell(peer: PeerStatus, terminal: Terminal, now: number): string;
}

/** Never by colour alone: a mark for whoever sees none. */
const MARKS: Record<Urgency, readonly [string, Paint]> = {
  silent: ['!', 'red'],
  punching: ['~', 'yellow'],
  relayed: ['-', 'yellow'],
  waiting: ['?', 'dim'],
  well: [' ', 'green'],
};

const GAP = 2;
const MARK_WIDTH = 2;

/** Of the plane that carries traffic. */
function carrying(peer: PeerStatus): PlaneStatus | null {
  return peer.path === null ? null : peer.planes[peer.path];
}

function describePath(peer: PeerStatus): string {
  if (peer.path === null) return 'none';
  return peer.state === 'punching' ? 'relay, punching' : peer.path;
}

function rtt(plane: PlaneStatus | null): string {
  if (plane?.alive === false) return 'silent';
  return plane === null || plane.rttMs === null ? '–' : `${formatRtt(plane.rttMs)} ms`;
}

const GATEWAY: Column = {
  heading: '  GATEWAY',
  width: 0,
  align: 'left',
  cell: (peer, terminal) => {
    const [mark, color] = MARKS[urgencyOf(peer)];
    return `${paint(terminal, color, mark)} ${paint(terminal, 'bold', printable(peer.gateway))}`;
  },
};

const PATH: Column = {
  heading: 'PATH',
  width: 15 + GAP,
  align: 'left',
  cell: (peer, terminal) => {
    const urgency = urgencyOf(peer);
    const color = urgency === 'well' && peer.path !== 'direct' ? 'dim' : MARKS[urgency][1];
    return paint(terminal, color, describePath(peer));
  },
};

const planeColumn = (plane: 'relay' | 'direct'): Column => ({
  heading: plane.toUpperCase(),
  width: 9 + GAP,
  align: 'right',
  cell: (peer, terminal) => {
    const text = rtt(peer.planes[plane]);
    if (peer.planes[plane]?.alive === false) return paint(terminal, 'red', text);
    return peer.path === plane ? text : paint(terminal, 'dim', text);
  },
});

const LOSS: Column = {
  heading: 'LOSS',
  width: 5 + GAP,
  align: 'right',
  cell: (peer) => formatLoss(carrying(peer)?.loss),
};

const HANDSHAKE: Column = {
  heading: 'HANDSHAKE',
  width: 9 + GAP,
  align: 'right',
  cell: (peer, _, now) => formatAge(carrying(peer)?.lastHandshake ?? null, now),
};

const SINCE: Column = {
  heading: 'SINCE',
  width: 7 + GAP,
  align: 'right',
  cell: (peer, _, now) => formatAge(peer.since, now),
};

const NODE: Column = {
  heading: 'NODE',
  width: 22 + GAP,
  align: 'left',
  cell: (peer) => printable(peer.node ?? '–'),
};

const ENDPOINT: Column = {
  heading: 'ENDPOINT',
  width: 21 + GAP,
  align: 'left',
  cell: (peer) => printable(carrying(peer)?.endpoint ?? '–'),
};

/** In the order of the table; those with a smaller number stay longer when there is little room. */
const COLUMNS: readonly (readonly [Column, number])[] = [
  [GATEWAY, 0],
  [NODE, 5],
  [PATH, 0],
  [planeColumn('relay'), 0],
  [planeColumn('direct'), 0],
  [LOSS, 1],
  [HANDSHAKE, 3],
  [SINCE, 2],
  [ENDPOINT, 4],
];

const GATEWAY_LEAST = 10;
const GATEWAY_MOST = 40;
/** A reason that has less than this beside the others has a line of its own. */
const REASON_LEAST = 44;
const RANK_BEFORE_REASON = 2;

export interface Layout {
  readonly columns: readonly Column[];
  readonly widths: readonly number[];
  /** Characters beside the columns. */
  readonly left: number;
  /** The reason has its place there; else it has a line of its own. */
  readonly inLine: boolean;
}

/** @param longest characters of the longest gateway name */
export function layOut(room: number, longest: number): Layout {
  const wanted = MARK_WIDTH + Math.min(Math.max(longest, GATEWAY_LEAST), GATEWAY_MOST) + GAP;
  const widthOf = (column: Column) => (column === GATEWAY ? wanted : column.width);
  const chosen = new Set(COLUMNS.filter(([, rank]) => rank === 0).map(([column]) => column));
  let used = [...chosen].reduce((sum, column) => sum + widthOf(column), 0);
  const ranked = COLUMNS.filter(([, rank]) => rank > 0).sort(([, a], [, b]) => a - b);
  for (const [column, rank] of ranked) {
    // Where the reason fits into the line, what nobody misses much does not take its place
    const reserve = rank > RANK_BEFORE_REASON && room - used >= REASON_LEAST ? REASON_LEAST : 0;
    if (used + column.width + reserve > room) continue;
    chosen.add(column);
    used += column.width;
  }
  const columns = COLUMNS.map(([column]) => column).filter((column) => chosen.has(column));
  // A name that is too long for a narrow terminal gives way, not the numbers
  const gateway = Math.max(GATEWAY_LEAST, Math.min(wanted, wanted - (used - room)));
  const widths = columns.map((column) => (column === GATEWAY ? gateway : column.width));
  return { columns, widths, left: Math.max(0, room - used), inLine: room - used >= REASON_LEAST };
}
