/** Between the columns of the native contract and the model. */
import {
  type HostPort,
  type Ip,
  ipFromBytes,
  ipToBytes,
  type Prefix,
  prefixAddress,
  prefixLength,
} from '../model/address.js';
import { KEY_BYTES, type PublicKey, publicKeyToBytes } from '../model/key.js';
import { type PeerColumns, PeerFlag, type WgSnapshot } from '../native.js';

const ADDRESS_BYTES = 16;
const ALLOWED_IP_BYTES = 18;
const MAPPED_PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** What is to be done to one peer. */
export interface PeerChange {
  readonly key: PublicKey;
  readonly remove?: boolean;
  /** Not created where it is missing. */
  readonly updateOnly?: boolean;
  readonly endpoint?: HostPort | null;
  readonly presharedKey?: Uint8Array;
  readonly keepaliveS?: number;
  /** Added to what the peer has; a prefix moves here from whichever peer had it. */
  readonly allowedIps?: readonly Prefix[];
}

export function packPeers(changes: readonly PeerChange[]): PeerColumns {
  const count = changes.length;
  const prefixes = changes.reduce((sum, change) => sum + (change.allowedIps?.length ?? 0), 0);
  const columns = {
    count,
    publicKeys: new Uint8Array(count * KEY_BYTES),
    flags: new Uint8Array(count),
    presharedKeys: new Uint8Array(count * KEY_BYTES),
    endpointAddresses: new Uint8Array(count * ADDRESS_BYTES),
    endpointPorts: new Uint16Array(count),
    keepalives: new Uint16Array(count),
    allowedIpOffsets: new Uint32Array(count + 1),
    allowedIps: new Uint8Array(prefixes * ALLOWED_IP_BYTES),
  };
  let next = 0;
  changes.forEach((change, index) => {
    columns.publicKeys.set(publicKeyToBytes(change.key), index * KEY_BYTES);
    columns.flags[index] = flagsOf(change);
    if (change.presharedKey) columns.presharedKeys.set(change.presharedKey, index * KEY_BYTES);
    if (change.endpoint) {
      columns.endpointAddresses.set(to16(change.endpoint.ip), index * ADDRESS_BYTES);
      columns.endpointPorts[index] = change.endpoint.port;
    }
    columns.keepalives[index] = change.keepaliveS ?? 0;
    for (const prefix of change.allowedIps ?? []) packPrefix(columns.allowedIps, next++, prefix);
    columns.allowedIpOffsets[index + 1] = next;
  });
  return columns;
}

function flagsOf(change: PeerChange): number {
  let flags = 0;
  if (change.remove) flags |= PeerFlag.Remove;
  if (change.updateOnly) flags |= PeerFlag.UpdateOnly;
  if (change.endpoint) flags |= PeerFlag.Endpoint;
  if (change.presharedKey) flags |= PeerFlag.PresharedKey;
  if (change.keepaliveS !== undefined) flags |= PeerFlag.Keepalive;
  return flags;
}

function packPrefix(into: Uint8Array, index: number, prefix: Prefix): void {
  const address = prefixAddress(prefix);
  const at = index * ALLOWED_IP_BYTES;
  into[at] = address.includes(':') ? 6 : 4;
  into[at + 1] = prefixLength(prefix);
  into.set(to16(address), at + 2);
}

function to16(ip: Ip): Uint8Array {
  const bytes = ipToBytes(ip);
  if (bytes.length === ADDRESS_BYTES) return bytes;
  const mapped = new Uint8Array(ADDRESS_BYTES);
  mapped.set(MAPPED_PREFIX);
  mapped.set(bytes, MAPPED_PREFIX.length);
  return mapped;
}

function from16(bytes: Uint8Array): Ip {
  const mapped = MAPPED_PREFIX.every((byte, index) => bytes[index] === byte);
  return ipFromBytes(mapped ? bytes.subarray(MAPPED_PREFIX.length) : bytes);
}

export function keyAt(columns: Pick<WgSnapshot, 'publicKeys'>, index: number): PublicKey {
  const bytes = columns.publicKeys.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64') as PublicKey;
}

export function endpointAt(
  columns: Pick<WgSnapshot, 'endpointAddresses' | 'endpointPorts'>,
  index: number,
): HostPort | null {
  const port = columns.endpointPorts[index] as number;
  if (port === 0) return null;
  const at = index * ADDRESS_BYTES;
  return { ip: from16(columns.endpointAddresses.subarray(at, at + ADDRESS_BYTES)), port };
}

export function prefixesAt(columns: Pick<WgSnapshot, 'allowedIpOffsets' | 'allowedIps'>, index: number): Prefix[] {
  const [from, to] = [columns.allowedIpOffsets[index] as number, columns.allowedIpOffsets[index + 1] as number];
  const prefixes: Prefix[] = [];
  for (let entry = from; entry < to; entry++) {
    const at = entry * ALLOWED_IP_BYTES;
    const address = columns.allowedIps.subarray(at + 2, at + ALLOWED_IP_BYTES);
    prefixes.push(`${from16(address)}/${columns.allowedIps[at + 1]}` as Prefix);
  }
  return prefixes;
}
