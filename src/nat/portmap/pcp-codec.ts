/** PCP (RFC 6887) as bytes: requests for UDP mappings and announcements; answers are checked whole or refused. */
import { type HostPort, type Ip, ipFromBytes, ipToBytes, isIpv4, isPort, isUnicast } from '../../model/address.js';

export const PCP_VERSION = 2;
/** RFC 6887 11.1: in the nonce's bytes it is known who may change a mapping. */
export const NONCE_BYTES = 12;

/** RFC 6887 19 */
const OPCODE = { announce: 0, map: 1 } as const;
const ANSWER_BIT = 0x80;
const UDP = 17;
/** RFC 6887 7.1 and 7.2 */
const HEADER_BYTES = 24;
/** RFC 6887 11.1 */
const MAP_BYTES = 36;
/** RFC 6887 7: longer ones are no PCP. */
const MAX_BYTES = 1100;

/** RFC 6887 7.4 */
const RESULTS = [
  'SUCCESS',
  'UNSUPP_VERSION',
  'NOT_AUTHORIZED',
  'MALFORMED_REQUEST',
  'UNSUPP_OPCODE',
  'UNSUPP_OPTION',
  'MALFORMED_OPTION',
  'NETWORK_FAILURE',
  'NO_RESOURCES',
  'UNSUPP_PROTOCOL',
  'USER_EX_QUOTA',
  'CANNOT_PROVIDE_EXTERNAL',
  'ADDRESS_MISMATCH',
  'EXCESSIVE_REMOTE_PEERS',
] as const;

export interface MapRequest {
  /** The source address of the request, as RFC 6887 8.1 wants it in the header too. */
  readonly client: Ip;
  readonly nonce: Uint8Array;
  readonly internalPort: number;
  /** Seconds; 0 takes the mapping back (RFC 6887 15). */
  readonly lifetime: number;
  /** What this end would like; null ip: any. */
  readonly suggested: { readonly ip: Ip | null; readonly port: number };
}

/** All of them say the server's epoch time, RFC 6887 8.5. */
export type PcpAnswer =
  | {
      readonly kind: 'map';
      readonly nonce: Uint8Array;
      readonly internalPort: number;
      readonly external: HostPort;
      readonly lifetime: number;
      readonly epoch: number;
    }
  | { readonly kind: 'announce'; readonly epoch: number }
  | {
      readonly kind: 'error';
      /** The operation that failed. */
      readonly of: 'map' | 'announce';
      readonly name: string;
      /** Null where the answer has no more than its header. */
      readonly nonce: Uint8Array | null;
      /** Seconds that it will go on failing, RFC 6887 7.2. */
      readonly lifetime: number;
      readonly epoch: number;
    }
  /** RFC 6887 9: the server speaks another version; NAT-PMP is 0. */
  | { readonly kind: 'other-version'; readonly version: number };

export function mapRequest(request: MapRequest): Uint8Array {
  const bytes = header(OPCODE.map, request.lifetime, request.client, HEADER_BYTES + MAP_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(request.nonce, HEADER_BYTES);
  view.setUint8(HEADER_BYTES + 12, UDP);
  view.setUint16(HEADER_BYTES + 16, request.internalPort);
  view.setUint16(HEADER_BYTES + 18, request.suggested.port);
  // RFC 6887 11.1: all zeros, as the family has them, are "any".
  bytes.set(mapped(request.suggested.ip), HEADER_BYTES + 20);
  return bytes;
}

/** RFC 6887 14.1: asks for nothing but the epoch time. */
export function announceRequest(client: Ip): Uint8Array {
  return header(OPCODE.announce, 0, client, HEADER_BYTES);
}

/** Null where the bytes are no PCP answer. Never throws. */
export function parsePcpAnswer(bytes: Uint8Array): PcpAnswer | null {
  // RFC 6887 8.3; one of another version may be as short as that version has it.
  if (bytes.length < 4 || bytes.length > MAX_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const opcode = view.getUint8(1);
  if ((opcode & ANSWER_BIT) === 0) return null;
  const version = view.getUint8(0);
  if (version !== PCP_VERSION) return { kind: 'other-version', version };
  if (bytes.length < HEADER_BYTES || bytes.length % 4 !== 0) return null;
  const [result, lifetime, epoch] = [view.getUint8(3), view.getUint32(4), view.getUint32(8)];
  const of = opcode === (ANSWER_BIT | OPCODE.map) ? 'map' : opcode === ANSWER_BIT ? 'announce' : null;
  if (of === null) return null;
  if (result !== 0) {
    const nonce = of === 'map' && bytes.length >= HEADER_BYTES + MAP_BYTES ? nonceOf(bytes) : null;
    return { kind: 'error', of, name: RESULTS[result] ?? `result ${result}`, nonce, lifetime, epoch };
  }
  if (of === 'announce') return { kind: 'announce', epoch };
  if (bytes.length < HEADER_BYTES + MAP_BYTES || view.getUint8(HEADER_BYTES + 12) !== UDP) return null;
  const [internalPort, port] = [view.getUint16(HEADER_BYTES + 16), view.getUint16(HEADER_BYTES + 18)];
  const ip = ipFromBytes(bytes.subarray(HEADER_BYTES + 20, HEADER_BYTES + MAP_BYTES));
  // Taken back, a mapping may have no outside any more (RFC 6887 15).
  const isPlace = isIpv4(ip) && isUnicast(ip) && isPort(port);
  if (!isPort(internalPort) || (!isPlace && lifetime !== 0)) return null;
  return { kind: 'map', nonce: nonceOf(bytes), internalPort, external: { ip, port }, lifetime, epoch };
}

function header(opcode: number, lifetime: number, client: Ip, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, PCP_VERSION);
  view.setUint8(1, opcode);
  view.setUint32(4, lifetime);
  bytes.set(mapped(client), 8);
  return bytes;
}

/** RFC 6887 5: IPv4 as an IPv4-mapped IPv6 address. */
function mapped(ip: Ip | null): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  if (ip !== null) bytes.set(ipToBytes(ip), 12);
  return bytes;
}

function nonceOf(bytes: Uint8Array): Uint8Array {
  return bytes.slice(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
}
