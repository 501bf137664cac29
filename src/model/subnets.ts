/** Sets of prefixes as few as can be. */
import { ipFromBytes, ipToBytes, isIpv4, type Prefix, prefixAddress, prefixLength } from './address.js';

interface Block {
  /** The prefix's address as a number. */
  readonly start: bigint;
  readonly length: number;
}

/**
 * The fewest prefixes that cover exactly the same addresses: duplicates and contained ones dropped, adjacent
 * halves joined (RFC 4632 2.1). IPv4 before IPv6, each by address. raven merges a gateway's subnets the same
 * way, and libreswan connection names are made of the result, so both have to come out alike.
 */
export function mergePrefixes(prefixes: Iterable<Prefix>): Prefix[] {
  const families: Record<4 | 6, Block[]> = { 4: [], 6: [] };
  for (const prefix of prefixes) {
    const block = { start: toNumber(ipToBytes(prefixAddress(prefix))), length: prefixLength(prefix) };
    families[isIpv4(prefix) ? 4 : 6].push(block);
  }
  return [...mergeBlocks(families[4], 32), ...mergeBlocks(families[6], 128)];
}

function mergeBlocks(blocks: Block[], bits: 32 | 128): Prefix[] {
  const size = (block: Block) => 1n << BigInt(bits - block.length);
  blocks.sort((a, b) => (a.start === b.start ? a.length - b.length : a.start < b.start ? -1 : 1));
  const merged: Block[] = [];
  for (const block of blocks) {
    const last = merged.at(-1);
    if (last !== undefined && block.start < last.start + size(last)) continue;
    merged.push(block);
    // Joining two halves may complete the half of a larger block.
    for (;;) {
      const [left, right] = [merged.at(-2), merged.at(-1)];
      if (left === undefined || right === undefined || left.length !== right.length) break;
      if (left.start + size(left) !== right.start || left.start % (size(left) * 2n) !== 0n) break;
      merged.splice(-2, 2, { start: left.start, length: left.length - 1 });
    }
  }
  return merged.map(({ start, length }) => `${ipFromBytes(toBytes(start, bits / 8))}/${length}` as Prefix);
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function toBytes(value: bigint, length: number): Uint8Array {
  return Uint8Array.from(Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex'));
}
