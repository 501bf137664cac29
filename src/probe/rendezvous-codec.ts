/**
 * Rendezvous messages on the wire, version 1: always 32 bytes, in network byte order. What a kind does not use is zero, and
 * what is not exactly as it should be is no message.
 *
 *   0 "CXRV"  4 version  5 kind  6 assignment  7 block  8 token (8)
 *   16 address (4)  20 port (2)  22 first port (2)  24 last port (2)  26 count (2)  28 zero (4)
 *
 * A kind that came later (`nat`) is passed over by who does not know it. It has the step (signed) at 20, what comes between
 * at 26, and zeros for a range that is not known.
 */
import { type Ip, ipFromBytes, isUnicast } from '../model/address.js';
import { isPort } from '../model/names.js';
import { type NatPorts, PORT_ASSIGNMENTS } from '../model/nat-profile.js';
import { REFUSALS, type RendezvousMessage } from '../model/opening.js';

export const MESSAGE_BYTES = 32;
const MAGIC = 0x43585256;
const VERSION = 1;
const KINDS = ['ask', 'ready', 'open', 'hit', 'no', 'nat'] as const satisfies readonly RendezvousMessage['kind'][];
/** No end opens or probes more, whatever the other says. */
const MOST = 4_096;
const MOST_BETWEEN = 0xffff;

/** Of a block: not known, no, yes. */
const BLOCKS = [null, false, true] as const;

interface Fields {
  readonly assignment: number;
  readonly block: number;
  readonly ip: Uint8Array;
  readonly port: number;
  readonly first: number;
  readonly last: number;
  readonly count: number;
}

const NONE: Fields = { assignment: 0, block: 0, ip: new Uint8Array(4), port: 0, first: 0, last: 0, count: 0 };

export function encodeMessage(message: RendezvousMessage): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, VERSION);
  view.setUint8(5, KINDS.indexOf(message.kind) + 1);
  view.setBigUint64(8, BigInt(`0x${message.token}`));
  const { assignment, block, ip, port, first, last, count } = { ...NONE, ...fieldsOf(message) };
  bytes.set([assignment, block], 6);
  bytes.set(ip, 16);
  view.setUint16(20, port);
  view.setUint16(22, first);
  view.setUint16(24, last);
  view.setUint16(26, count);
  return bytes;
}

function fieldsOf(message: RendezvousMessage): Partial<Fields> {
  switch (message.kind) {
    case 'ask':
      return { count: message.sockets };
    case 'ready':
      return { ip: octets(message.hole.ip), port: message.hole.port, count: message.probes };
    case 'open':
      return message.ports;
    case 'hit':
      return { port: message.port };
    case 'no':
      return { count: REFUSALS.indexOf(message.why) + 1 };
    case 'nat':
      return natFields(message.ports);
  }
}

function natFields({ assignment, step, between, ports, block }: NatPorts): Partial<Fields> {
  return {
    ...ports,
    assignment: assignment === null ? 0 : PORT_ASSIGNMENTS.indexOf(assignment) + 1,
    block: BLOCKS.indexOf(block),
    // setUint16() takes it modulo 2^16.
    port: step ?? 0,
    count: Math.min(between ?? 0, MOST_BETWEEN),
  };
}

/** Null for what is no message of this version, whoever sent it. */
export function parseMessage(bytes: Uint8Array): RendezvousMessage | null {
  if (bytes.length !== MESSAGE_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== VERSION) return null;
  if (view.getUint32(28) !== 0) return null;
  const kind = KINDS[view.getUint8(5) - 1];
  const token = view.getBigUint64(8).toString(16).padStart(16, '0');
  const [port, first, last, count] = [20, 22, 24, 26].map((at) => view.getUint16(at)) as [
    number,
    number,
    number,
    number,
  ];
  const [assignment, block] = [view.getUint8(6), view.getUint8(7)];
  const fields = { assignment, block, ip: bytes.subarray(16, 20), port, first, last, count };
  const message = kind === undefined ? null : read(kind, token, fields);
  // Nothing may hide in what the kind does not use.
  return message !== null && encodeMessage(message).every((byte, at) => byte === bytes[at]) ? message : null;
}

function read(kind: RendezvousMessage['kind'], token: string, fields: Fields): RendezvousMessage | null {
  const { port, first, last, count } = fields;
  const counted = count >= 1 && count <= MOST;
  switch (kind) {
    case 'ask':
      return counted ? { kind, token, sockets: count } : null;
    case 'ready': {
      const ip: Ip = ipFromBytes(fields.ip);
      return counted && isPort(port) && isUnicast(ip) ? { kind, token, hole: { ip, port }, probes: count } : null;
    }
    case 'open':
      return isPort(first) && first <= last ? { kind, token, ports: { first, last } } : null;
    case 'hit':
      return isPort(port) ? { kind, token, port } : null;
    case 'no': {
      const why = REFUSALS[count - 1];
      return why === undefined ? null : { kind, token, why };
    }
    case 'nat': {
      const ports = readPorts(fields);
      return ports === null ? null : { kind, token, ports };
    }
  }
}

function readPorts({ port, first, last, count, ...codes }: Fields): NatPorts | null {
  const assignment = PORT_ASSIGNMENTS[codes.assignment - 1];
  const block = BLOCKS[codes.block];
  const isSequential = assignment === 'sequential';
  if (assignment === undefined || block === undefined || isSequential !== port > 0 || first > last) return null;
  return {
    assignment,
    step: isSequential ? (port << 16) >> 16 : null,
    between: isSequential ? count : null,
    ports: first === 0 ? null : { first, last },
    block,
  };
}

function octets(ip: Ip): Uint8Array {
  return Uint8Array.from(ip.split('.').map(Number));
}
