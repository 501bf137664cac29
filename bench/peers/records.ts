/**
 * The peers that every contender gets, in a file that every language can read: 80 bytes a peer. Public key and
 * pre-shared key of 32 bytes, flags (PeerFlag), prefix length (0 = no allowed IP), keepalive, port, two unused bytes,
 * IPv4 endpoint, IPv4 allowed IP; numbers are little-endian, addresses as they are on the wire.
 */
import { createHash } from 'node:crypto';
import { ipFromBytes, type Prefix, parsePrefix } from '#src/model/address.js';
import { type PublicKey, publicKeyFromBytes, publicKeyToBytes } from '#src/model/key.js';
import { PeerFlag } from '#src/native.js';
import type { PeerChange } from '#src/tunnel/columns.js';
import { publicKeyOf as publicKeyOfPrivate } from '#src/tunnel/keys.js';

export const RECORD_BYTES = 80;
export const KEEPALIVE_S = 5;
export const PRESHARED_KEY: Uint8Array = createHash('sha256').update('corax bench').digest();

/** As the relay has them: an edge each, with its hole and its pod subnet. */
export interface Peer {
  readonly key: Uint8Array;
  readonly presharedKey: Uint8Array;
  readonly address: readonly [number, number, number, number];
  readonly port: number;
  /** 10.x.y.0/24 */
  readonly subnet: readonly [number, number, number, number];
}

/** Number `index` of a population; `move` gives it another hole. */
export function peer(index: number, move = 0): Peer {
  const digest = (what: string): Uint8Array => createHash('sha256').update(`corax bench ${what} ${index}`).digest();
  return {
    key: digest('key'),
    presharedKey: PRESHARED_KEY,
    address: [198, 18 + (index >> 16), (index >> 8) & 255, index & 255],
    port: 1024 + ((index * 7 + move * 13) % 60_000),
    subnet: [10, index >> 8, index & 255, 0],
  };
}

/** One that bench/peers/load can speak for: it has a private key. Dear to make, and the same each time. */
export function livingPeer(index: number): Peer {
  const known = living.get(index);
  if (known !== undefined) return known;
  const privateKey = createHash('sha256').update(`corax bench private ${index}`).digest();
  const made = { ...peer(index), key: publicKeyToBytes(publicKeyOfPrivate(privateKey)) };
  living.set(index, made);
  return made;
}

const living = new Map<number, Peer>();

export function population(count: number): Peer[] {
  return Array.from({ length: count }, (_, index) => peer(index));
}

/** One in a hundred of them, spread over all. */
export function hundredth(count: number): number[] {
  return Array.from({ length: Math.max(1, Math.floor(count / 100)) }, (_, index) => index * 100);
}

/** What is asked for: all of a peer, its endpoint alone, or that it goes. */
export type Deed = 'put' | 'move' | 'remove';

export function encode(peers: readonly Peer[], deed: Deed): Buffer {
  const data = Buffer.alloc(peers.length * RECORD_BYTES);
  peers.forEach((each, index) => {
    const at = index * RECORD_BYTES;
    data.set(each.key, at);
    data[at + 64] = flags(deed);
    if (deed === 'remove') return;
    data.writeUInt16LE(each.port, at + 68);
    data.set(each.address, at + 72);
    if (deed === 'move') return;
    data.set(each.presharedKey, at + 32);
    data[at + 65] = 24;
    data.writeUInt16LE(KEEPALIVE_S, at + 66);
    data.set(each.subnet, at + 76);
  });
  return data;
}

function flags(deed: Deed): number {
  switch (deed) {
    case 'put':
      return PeerFlag.Endpoint | PeerFlag.PresharedKey | PeerFlag.Keepalive;
    case 'move':
      return PeerFlag.UpdateOnly | PeerFlag.Endpoint;
    case 'remove':
      return PeerFlag.Remove;
  }
}

export function publicKeyOf(each: Peer): PublicKey {
  return publicKeyFromBytes(each.key) as PublicKey;
}

export function subnetOf(each: Peer): Prefix {
  return parsePrefix(`${each.subnet.join('.')}/24`) as Prefix;
}

export function endpointOf(each: Peer) {
  return { ip: ipFromBytes(Uint8Array.from(each.address)), port: each.port };
}

/** As the driver asks the engine for it. */
export function changeOf(each: Peer, deed: Deed): PeerChange {
  const key = publicKeyOf(each);
  if (deed === 'remove') return { key, remove: true };
  const endpoint = endpointOf(each);
  if (deed === 'move') return { key, updateOnly: true, endpoint };
  const { presharedKey } = each;
  return { key, endpoint, presharedKey, keepaliveS: KEEPALIVE_S, allowedIps: [subnetOf(each)] };
}

/** As a person writes it for wg(8): a configuration file, or the words of `wg set`. */
export function wgText(each: Peer): string {
  const { address, port, subnet } = each;
  const lines = [
    '[Peer]',
    `PublicKey = ${publicKeyOf(each)}`,
    `PresharedKey = ${Buffer.from(each.presharedKey).toString('base64')}`,
    `AllowedIPs = ${subnet.join('.')}/24`,
    `Endpoint = ${address.join('.')}:${port}`,
    `PersistentKeepalive = ${KEEPALIVE_S}`,
  ];
  return `${lines.join('\n')}\n`;
}

export function wgWords(each: Peer, deed: Exclude<Deed, 'put'>): string[] {
  const words = ['peer', publicKeyOf(each)];
  return deed === 'remove' ? [...words, 'remove'] : [...words, 'endpoint', `${each.address.join('.')}:${each.port}`];
}
