/** Addresses and prefixes: text that was checked once and brought to its one canonical form. */
import { Address6 } from 'ip-address';

declare const ipBrand: unique symbol;
declare const prefixBrand: unique symbol;

/** An IPv4 or IPv6 address in canonical text (RFC 5952 for IPv6; IPv4-mapped IPv6 is brought to IPv4). */
export type Ip = string & { readonly [ipBrand]: true };
/** A CIDR prefix in canonical text, host bits zero. */
export type Prefix = string & { readonly [prefixBrand]: true };

/** A transport address. */
export interface HostPort {
  readonly ip: Ip;
  /** 1–65535 */
  readonly port: number;
}

const IPV4 = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const IPV6 = /^[0-9a-f.]*:[0-9a-f:.]*$/i;

/** Null where the text is no address: zones, ports, prefixes and IPv4 with leading zeros are none. */
export function parseIp(text: string): Ip | null {
  const bytes = parseBytes(text);
  return bytes === null ? null : ipFromBytes(bytes);
}

/** 4 or 16 bytes as the text has them: IPv4-mapped IPv6 stays 16. */
function parseBytes(text: string): Uint8Array | null {
  if (text.length > 45) return null;
  if (IPV4.test(text)) {
    const octets = text.split('.');
    const valid = octets.every((octet) => Number(octet) <= 255 && String(Number(octet)) === octet);
    return valid ? Uint8Array.from(octets.map(Number)) : null;
  }
  if (!IPV6.test(text) || !Address6.isValid(text)) return null;
  return Uint8Array.from(new Address6(text).toUnsignedByteArray());
}

/** RFC 4291 2.5.5.2: ten bytes of zero, two of ff, and the IPv4 address. */
function isMapped(bytes: Uint8Array): boolean {
  return bytes.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff && bytes.subarray(0, 10).every((b) => b === 0);
}

export function isIpv4(ip: Ip | Prefix): boolean {
  return !ip.includes(':');
}

/** Null where the text is no prefix. "10.0.0.1/24" becomes "10.0.0.0/24". */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  if (slash < 0) return null;
  const bytes = parseBytes(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (bytes === null || !/^(?:0|[1-9]\d{0,2})$/.test(lengthText)) return null;
  const length = Number(lengthText);
  if (length > bytes.length * 8) return null;
  // A mapped prefix of 96 bits or more is an IPv4 prefix; a shorter one holds more than IPv4.
  return isMapped(bytes) && length >= 96 ? formatPrefix(bytes.subarray(12), length - 96) : formatPrefix(bytes, length);
}

export function prefixLength(prefix: Prefix): number {
  return Number(prefix.slice(prefix.indexOf('/') + 1));
}

export function prefixAddress(prefix: Prefix): Ip {
  return prefix.slice(0, prefix.indexOf('/')) as Ip;
}

/** The prefix that holds this one address. */
export function hostPrefix(ip: Ip): Prefix {
  return `${ip}/${isIpv4(ip) ? 32 : 128}` as Prefix;
}

/** 4 or 16 bytes, network order. */
export function ipToBytes(ip: Ip): Uint8Array {
  if (isIpv4(ip)) return ipv4Bytes(ip);
  return Uint8Array.from(new Address6(ip).toUnsignedByteArray());
}

/** Asked for by the ten thousand: split() and Number() take ten times as long. */
function ipv4Bytes(ip: Ip): Uint8Array {
  const bytes = new Uint8Array(4);
  let at = 0;
  for (let index = 0; index < ip.length; index++) {
    const code = ip.charCodeAt(index);
    if (code === 0x2e) at += 1;
    else bytes[at] = (bytes[at] as number) * 10 + code - 0x30;
  }
  return bytes;
}

/** From 4 or 16 bytes, network order. */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` as Ip;
  if (isMapped(bytes)) return ipFromBytes(bytes.subarray(12));
  return Address6.fromUnsignedByteArray(Array.from(bytes)).correctForm() as Ip;
}

function formatPrefix(bytes: Uint8Array, length: number): Prefix {
  const masked = bytes.map((byte, index) => {
    const bits = Math.min(8, Math.max(0, length - index * 8));
    return byte & (0xff00 >> bits);
  });
  const text =
    masked.length === 4 ? masked.join('.') : Address6.fromUnsignedByteArray(Array.from(masked)).correctForm();
  return `${text}/${length}` as Prefix;
}

/** Does the prefix hold the address? False across families. */
export function contains(prefix: Prefix, ip: Ip): boolean {
  return overlaps(prefix, hostPrefix(ip));
}

/** Do two prefixes share an address? False across families. */
export function overlaps(a: Prefix, b: Prefix): boolean {
  if (isIpv4(a) !== isIpv4(b)) return false;
  const length = Math.min(prefixLength(a), prefixLength(b));
  const [left, right] = [ipToBytes(prefixAddress(a)), ipToBytes(prefixAddress(b))];
  for (let bit = 0; bit < length; bit += 8) {
    const mask = length - bit >= 8 ? 0xff : 0xff00 >> (length - bit);
    if (((left[bit / 8] as number) & mask) !== ((right[bit / 8] as number) & mask)) return false;
  }
  return true;
}

/**
 * Blocks that are no unicast address on the public Internet (RFC 6890 and successors). A hole or a relay
 * must not lie in them; RFC 1918, RFC 6598 and ULA space is told apart, because labs and private clouds
 * have their relays there.
 */
const NEVER_UNICAST = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '169.254.0.0/16',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
];
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'];

const GLOBAL_IPV6 = '2000::/3' as Prefix;

const neverUnicast = NEVER_UNICAST.map((text) => parsePrefix(text) as Prefix);
const privateUse = PRIVATE.map((text) => parsePrefix(text) as Prefix);

/** Global or private unicast: an address that a packet can be sent to. */
export function isUnicast(ip: Ip): boolean {
  return !neverUnicast.some((prefix) => contains(prefix, ip));
}

/** The block of addresses that are not unicast (loopback, multicast …) in which the prefix has a part, or null. */
export function nonUnicastPart(prefix: Prefix): Prefix | null {
  return neverUnicast.find((block) => overlaps(block, prefix)) ?? null;
}

/** RFC 1918, RFC 6598 (shared) or RFC 4193 (unique local). */
export function isPrivate(ip: Ip): boolean {
  return privateUse.some((prefix) => contains(prefix, ip));
}

/** Of the block that global unicast addresses are given out from (RFC 3513 4, IANA): no ULA, no translated IPv4. */
export function isGlobalIpv6(ip: Ip): boolean {
  return contains(GLOBAL_IPV6, ip);
}

/** 127.0.0.0/8 or ::1 (RFC 1122 3.2.1.3, RFC 4291 2.5.3), as Node gives it too. */
export function isLoopback(host: string): boolean {
  return /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/.test(host) || host === '::1';
}

export function isPort(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
}

/** "192.0.2.1:4500", "[2001:db8::1]:4500" */
export function formatHostPort({ ip, port }: HostPort): string {
  return isIpv4(ip) ? `${ip}:${port}` : `[${ip}]:${port}`;
}

/** What {@link formatHostPort} gives; null where the text is anything else. */
export function parseHostPort(text: string): HostPort | null {
  const [, v6, v4, digits = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const [ip, port] = [parseIp(v6 ?? v4 ?? ''), Number(digits)];
  return ip === null || isIpv4(ip) !== (v6 === undefined) || !isPort(port) ? null : { ip, port };
}

export function sameHostPort(a: HostPort | null, b: HostPort | null): boolean {
  return a === b || (a !== null && b !== null && a.ip === b.ip && a.port === b.port);
}
