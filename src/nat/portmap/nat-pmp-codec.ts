/** NAT-PMP (RFC 6886) as bytes: requests for UDP mappings and for the public address; answers are checked whole. */
import { type Ip, ipFromBytes, isPort, isUnicast } from '../../model/address.js';

const VERSION = 0;
const OPCODE = { address: 0, udp: 1 } as const;
const ANSWER_BIT = 0x80;
/** RFC 6886 3.2 and 3.3 */
const ADDRESS_ANSWER_BYTES = 12;
const MAP_ANSWER_BYTES = 16;
/** RFC 6886 3.5: an error may come without what it is about. */
const ERROR_BYTES = 8;

/** RFC 6886 3.5 */
const RESULTS = [
  'Success',
  'Unsupported Version',
  'Not Authorized/Refused',
  'Network Failure',
  'Out of resources',
  'Unsupported opcode',
] as const;

/** All of them say the seconds since the router's start of epoch, RFC 6886 3.6. */
export type NatPmpAnswer =
  | { readonly kind: 'address'; readonly ip: Ip; readonly epoch: number }
  | {
      readonly kind: 'map';
      readonly internalPort: number;
      /** 0 where a mapping was taken back. */
      readonly externalPort: number;
      readonly lifetime: number;
      readonly epoch: number;
    }
  | { readonly kind: 'error'; readonly of: 'address' | 'map'; readonly name: string; readonly epoch: number };

/** RFC 6886 3.2 */
export function addressRequest(): Uint8Array {
  return Uint8Array.of(VERSION, OPCODE.address);
}

/** RFC 6886 3.3; 3.4: to take a mapping back, both the outside port and the lifetime are 0. */
export function natPmpMapRequest(internalPort: number, externalPort: number, lifetime: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(1, OPCODE.udp);
  view.setUint16(4, internalPort);
  view.setUint16(6, externalPort);
  view.setUint32(8, lifetime);
  return bytes;
}

/** Null where the bytes are no NAT-PMP answer. Never throws. */
export function parseNatPmpAnswer(bytes: Uint8Array): NatPmpAnswer | null {
  if (bytes.length < ERROR_BYTES || bytes.length > MAP_ANSWER_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const opcode = view.getUint8(1) ^ ANSWER_BIT;
  if (view.getUint8(0) !== VERSION || (opcode !== OPCODE.address && opcode !== OPCODE.udp)) return null;
  const [result, epoch] = [view.getUint16(2), view.getUint32(4)];
  const of = opcode === OPCODE.udp ? 'map' : 'address';
  if (result !== 0) return { kind: 'error', of, name: RESULTS[result] ?? `result ${result}`, epoch };
  if (of === 'address') {
    if (bytes.length !== ADDRESS_ANSWER_BYTES) return null;
    const ip = ipFromBytes(bytes.subarray(8, 12));
    return isUnicast(ip) ? { kind: 'address', ip, epoch } : null;
  }
  if (bytes.length !== MAP_ANSWER_BYTES) return null;
  const [internalPort, externalPort, lifetime] = [view.getUint16(8), view.getUint16(10), view.getUint32(12)];
  if (!isPort(internalPort) || (!isPort(externalPort) && lifetime !== 0)) return null;
  return { kind: 'map', internalPort, externalPort, lifetime, epoch };
}
