/** A NAT's profile in words, for the terminal. */
import type { MappingLifetime, NatProfile } from './nat-profile.js';
import { type PortRange, sizeOf } from './ports.js';

/** "sequential, step 1, in a block of 512 ports (10240–10751)" */
export function portWords(profile: Omit<NatProfile, 'latest' | 'addresses'>): string {
  const { assignment, step, between, ports, block, samples } = profile;
  if (assignment === null) return `unknown: ${samples} ${samples === 1 ? 'mapping tells' : 'mappings tell'} too little`;
  if (assignment === 'port-preserving') return assignment;
  const parts: string[] = [assignment];
  if (step !== null) parts.push(`step ${step}`);
  if (between !== null && between > 0) parts.push(`up to ${between} of others between two of ours`);
  if (ports !== null) parts.push(rangeWords(ports, block));
  return parts.join(', ');
}

function rangeWords(range: PortRange, block: boolean | null): string {
  const what = `${sizeOf(range)} ports (${range.first}–${range.last})`;
  return block === true ? `in a block of about ${what}` : `of about ${what}`;
}

/** RFC 4787 4.1 */
export function poolingWords({
  pooling,
  addresses,
}: Pick<NatProfile, 'pooling'> & { readonly addresses: readonly string[] }): string {
  if (pooling === null) return 'unknown';
  if (pooling === 'paired') return 'paired: every mapping has the same public address';
  return `arbitrary: mappings have ${addresses.length} public addresses (${addresses.join(', ')})`;
}

export function lifetimeWords(lifetime: MappingLifetime | null): string {
  const { livedS = null, goneS = null } = lifetime ?? {};
  if (livedS !== null && goneS !== null) return `idle mappings live more than ${livedS} s and less than ${goneS} s`;
  if (livedS !== null) return `idle mappings live more than ${livedS} s`;
  return goneS === null ? 'not measured' : `idle mappings live less than ${goneS} s`;
}
