/** The NAT vocabulary: behaviour in the words of RFC 4787, types in raven's strings, and what a discovery found. */
import type { HostPort } from './address.js';

export const NAT_BEHAVIOURS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;

/** RFC 4787 4.1: which outside port a second destination gets from the same inside address and port. */
export type Mapping = (typeof NAT_BEHAVIOURS)[number];
/** RFC 4787 5: whose packets pass inwards through a mapping. */
export type Filtering = (typeof NAT_BEHAVIOURS)[number];

/** The strings that raven reads and writes; `Undefined` is "no NAT, or unknown". */
export const NAT_TYPES = [
  'Full cone NAT',
  'Restricted cone NAT',
  'Port Restricted cone NAT',
  'Symmetric NAT',
  'Undefined',
] as const;

export type NatType = (typeof NAT_TYPES)[number];

/** Null where the text is none of raven's strings. */
export function parseNatType(text: string): NatType | null {
  return NAT_TYPES.find((type) => type === text) ?? null;
}

/**
 * The classic type of a NAT. An unknown filtering counts as the strictest one, so that a pair which
 * cannot work is not tried for ever; an unknown mapping is `Undefined`.
 */
export function natTypeOf(mapping: Mapping | null, filtering: Filtering | null): NatType {
  if (mapping === null) return 'Undefined';
  if (mapping !== 'endpoint-independent') return 'Symmetric NAT';
  if (filtering === 'endpoint-independent') return 'Full cone NAT';
  if (filtering === 'address-dependent') return 'Restricted cone NAT';
  return 'Port Restricted cone NAT';
}

/** What one STUN server had to say. */
export interface StunServerOutcome {
  /** As the user wrote it. */
  readonly server: string;
  /** Where it was asked; null when the name gave no address. */
  readonly address: HostPort | null;
  readonly status: 'answered' | 'refused' | 'no-answer' | 'unresolved';
  /** Where it saw the probing socket. */
  readonly mapped: HostPort | null;
  /** Its second address and port (RFC 5780 7.4), where it has one that can be used. */
  readonly otherAddress: HostPort | null;
  /** Milliseconds; null also where a retransmission makes it ambiguous (RFC 6298 3). */
  readonly rttMs: number | null;
  /** Why not, in a few words; null when all is well. */
  readonly detail: string | null;
}

export interface NatReport {
  /** Null when nothing is known: no server answered. */
  readonly type: NatType | null;
  /** Null when unknown, also when it is only known not to be endpoint-independent (type Symmetric NAT). */
  readonly mapping: Mapping | null;
  readonly filtering: Filtering | null;
  /** Null when nobody answered or the caller did not say which addresses are local. */
  readonly underNat: boolean | null;
  /** The probing socket as seen from outside. Its port is not the tunnel's. */
  readonly publicAddress: HostPort | null;
  /** Requests were sent and no server answered. */
  readonly udpBlocked: boolean;
  /** How the mapping was found: RFC 5780 tests, or by comparing what several servers saw; null = not at all. */
  readonly method: 'behaviour-tests' | 'two-servers' | null;
  readonly servers: readonly StunServerOutcome[];
  /** Unix time in milliseconds. */
  readonly measuredAtMs: number;
}
