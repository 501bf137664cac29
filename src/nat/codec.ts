/**
 * STUN messages as values. The only importer of `@msimerson/stun`, of which only the codec is used:
 * sockets, timing and every check of who said what are ours.
 */
import stun from '@msimerson/stun';
import { type HostPort, ipFromBytes, ipToBytes, isIpv4, isPort, parseIp } from '../model/address.js';

/** RFC 8489 5 */
export const MAGIC_COOKIE = 0x2112a442;
export const HEADER_BYTES = 20;
export const TRANSACTION_ID_BYTES = 12;
/** What fits one unfragmented packet; real answers have about 100 bytes. */
export const MAX_MESSAGE_BYTES = 1472;

/** Binding messages: method 1 with the class bits of RFC 8489 5. */
const TYPES = { request: 0x0001, success: 0x0101, error: 0x0111 } as const;

/** RFC 8489 18.3, RFC 5780 9.1 */
const ATTRIBUTE = {
  mappedAddress: 0x0001,
  changeRequest: 0x0003,
  errorCode: 0x0009,
  xorMappedAddress: 0x0020,
  responsePort: 0x0027,
  software: 0x8022,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
} as const;

/**
 * Comprehension-required attributes (below 0x8000) that a message may hold: those above, those that mean
 * nothing without credentials, PADDING, and RFC 3489's names that old servers still add.
 */
const UNDERSTOOD = new Set<number>([
  ...Object.values(ATTRIBUTE),
  ...[0x0006, 0x0008, 0x000a, 0x0014, 0x0015, 0x001c, 0x001d, 0x001e, 0x0026],
  ...[0x0002, 0x0004, 0x0005, 0x000b],
]);

/** CHANGE-REQUEST's flags (RFC 5780 7.2) */
const CHANGE_IP = 0x4;
const CHANGE_PORT = 0x2;

export interface ChangeRequest {
  readonly ip: boolean;
  readonly port: boolean;
}

/** A Binding request, success or error response. */
export interface StunMessage {
  readonly kind: keyof typeof TYPES;
  /** 12 bytes */
  readonly transactionId: Uint8Array;
  readonly mappedAddress?: HostPort | undefined;
  readonly xorMappedAddress?: HostPort | undefined;
  readonly otherAddress?: HostPort | undefined;
  readonly responseOrigin?: HostPort | undefined;
  readonly changeRequest?: ChangeRequest | undefined;
  /** Where the answer is to go instead, at the address that the request came from (RFC 5780 7.5). */
  readonly responsePort?: number | undefined;
  readonly error?: { readonly code: number; readonly reason: string } | undefined;
  readonly software?: string | undefined;
}

export interface DecodedMessage extends StunMessage {
  /** Comprehension-required attributes that nobody here understands. */
  readonly unknownRequired: readonly number[];
}

export function encodeMessage(message: StunMessage): Uint8Array {
  const out = stun.createMessage(TYPES[message.kind], Buffer.from(message.transactionId));
  const add = (type: number, address: HostPort | undefined) =>
    address && out.addAttribute(type, address.ip, address.port);
  if (message.changeRequest) {
    const { ip, port } = message.changeRequest;
    out.addAttribute(ATTRIBUTE.changeRequest, (ip ? CHANGE_IP : 0) | (port ? CHANGE_PORT : 0));
  }
  if (message.responsePort !== undefined) out.addAttribute(ATTRIBUTE.responsePort, message.responsePort);
  if (message.error) out.addAttribute(ATTRIBUTE.errorCode, message.error.code, message.error.reason);
  add(ATTRIBUTE.xorMappedAddress, message.xorMappedAddress);
  add(ATTRIBUTE.mappedAddress, message.mappedAddress);
  add(ATTRIBUTE.responseOrigin, message.responseOrigin);
  add(ATTRIBUTE.otherAddress, message.otherAddress);
  if (message.software !== undefined) out.addAttribute(ATTRIBUTE.software, message.software);
  return Uint8Array.from(stun.encode(out));
}

/** Null where the bytes are no well-formed Binding message with the magic cookie. Never throws. */
export function decodeMessage(bytes: Uint8Array): DecodedMessage | null {
  if (!hasStunHeader(bytes)) return null;
  try {
    return readMessage(asBuffer(bytes));
  } catch {
    // The codec throws RangeError, TypeError and its reader's own errors: all of them mean "malformed".
    return null;
  }
}

/** The transaction id of what looks like a STUN message, as a key for a map; null for anything else. */
export function transactionKey(bytes: Uint8Array): string | null {
  return hasStunHeader(bytes) ? asBuffer(bytes).toString('latin1', 8, HEADER_BYTES) : null;
}

/** RFC 8489 5 and 6.3: two zero bits, the cookie, and a length that is true and a multiple of four. */
function hasStunHeader(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_MESSAGE_BYTES || bytes.length % 4 !== 0) return false;
  const view = asBuffer(bytes);
  return (
    view.readUInt16BE(0) < 0x4000 &&
    view.readUInt16BE(2) === bytes.length - HEADER_BYTES &&
    view.readUInt32BE(4) === MAGIC_COOKIE
  );
}

function readMessage(bytes: Buffer): DecodedMessage | null {
  const message = stun.decode(bytes);
  const kind = (Object.keys(TYPES) as Array<keyof typeof TYPES>).find((name) => TYPES[name] === message.type);
  if (kind === undefined) return null;
  const value = (type: number) => message.getAttribute(type)?.value;
  return {
    kind,
    transactionId: Uint8Array.from(message.transactionId),
    mappedAddress: readAddress(value(ATTRIBUTE.mappedAddress)),
    xorMappedAddress: undoXor(readAddress(value(ATTRIBUTE.xorMappedAddress)), message.transactionId),
    otherAddress: readAddress(value(ATTRIBUTE.otherAddress)),
    responseOrigin: readAddress(value(ATTRIBUTE.responseOrigin)),
    changeRequest: readChange(value(ATTRIBUTE.changeRequest)),
    responsePort: readPort(value(ATTRIBUTE.responsePort)),
    error: readError(value(ATTRIBUTE.errorCode)),
    software: readText(value(ATTRIBUTE.software)),
    unknownRequired: Array.from(message, ({ type }) => type).filter((type) => type < 0x8000 && !UNDERSTOOD.has(type)),
  };
}

function readAddress(value: unknown): HostPort | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { address, port } = value as { address?: unknown; port?: unknown };
  const ip = typeof address === 'string' ? parseIp(address) : null;
  return ip !== null && isPort(port) ? { ip, port } : undefined;
}

/**
 * The codec decodes attributes before it knows the transaction id, so of an IPv6 address only the cookie's
 * four bytes come out right (RFC 8489 14.2 XORs the other twelve with the transaction id). A test holds
 * the codec to this.
 */
function undoXor(address: HostPort | undefined, transactionId: Uint8Array): HostPort | undefined {
  if (address === undefined || isIpv4(address.ip)) return address;
  const bytes = ipToBytes(address.ip).map((byte, index) => byte ^ (index < 4 ? 0 : (transactionId[index - 4] ?? 0)));
  return { ip: ipFromBytes(bytes), port: address.port };
}

function readChange(value: unknown): ChangeRequest | undefined {
  if (typeof value !== 'number') return undefined;
  return { ip: (value & CHANGE_IP) !== 0, port: (value & CHANGE_PORT) !== 0 };
}

function readPort(value: unknown): number | undefined {
  return isPort(value) ? value : undefined;
}

function readError(value: unknown): { code: number; reason: string } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { code, reason } = value as { code?: unknown; reason?: unknown };
  if (typeof code !== 'number' || code < 300 || code > 699) return undefined;
  return { code, reason: printable(reason) };
}

function readText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return printable(Buffer.isBuffer(value) ? value.toString('utf8') : value);
}

/** These words end up on terminals and in logs: no escape sequences, no novels. */
function printable(value: unknown): string {
  return typeof value === 'string' ? value.replace(/[^\x20-\x7e]/g, '').slice(0, 120) : '';
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
