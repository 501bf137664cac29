/** How a NAT gives out addresses and ports, and for how long (RFC 4787 4): what a mapping to come will look like. */
import type { HostPort, Ip } from './address.js';
import type { PortRange } from './ports.js';

/**
 * RFC 4787 4.2: the port that a new mapping gets. Port-preserving: the inside port itself. Sequential: the last one
 * given out plus a step. Random: any of the range.
 */
export const PORT_ASSIGNMENTS = ['port-preserving', 'sequential', 'random'] as const;
export type PortAssignment = (typeof PORT_ASSIGNMENTS)[number];

/** RFC 4787 4.1: does every mapping of an inside address get the same public address? */
export const POOLINGS = ['paired', 'arbitrary'] as const;
export type Pooling = (typeof POOLINGS)[number];

/** One new mapping, as a server saw it. */
export interface MappingSample {
  readonly localPort: number;
  readonly mapped: HostPort;
}

/** Where the time-out of an idle mapping lies, in seconds: it lived so long, and was gone after so long. */
export interface MappingLifetime {
  readonly livedS: number | null;
  readonly goneS: number | null;
}

/** What of a profile lasts from one mapping to the next, and the other end of a pair may want to know. */
export type NatPorts = Pick<NatProfile, 'assignment' | 'step' | 'between' | 'ports' | 'block'>;

/** Null where it is not known how the NAT gives out ports. */
export function portsOf(profile: NatProfile | null): NatPorts | null {
  if (profile === null || profile.assignment === null) return null;
  const { assignment, step, between, ports, block } = profile;
  return { assignment, step, between, ports, block };
}

export interface NatProfile {
  /** How many mappings this was told from. */
  readonly samples: number;
  /** Null where they are too few, or fit nothing. */
  readonly assignment: PortAssignment | null;
  /** Of sequential ports: from one mapping to the next, negative where they fall; null otherwise. */
  readonly step: number | null;
  /** Of sequential ports: how many mappings of others came between two of ours, nine times in ten at most so many. */
  readonly between: number | null;
  /** Where the ports lie, as far as they show it; null where they show nothing (a sequence that has not wrapped). */
  readonly ports: PortRange | null;
  /** The ports are a part of a public address's, as a carrier's NAT gives each subscriber (RFC 7422); null: unknown. */
  readonly block: boolean | null;
  /** Null with less than two mappings. */
  readonly pooling: Pooling | null;
  /** Public addresses seen, in the order in which they came. */
  readonly addresses: readonly Ip[];
  /** The latest mapping: where a sequence goes on from. */
  readonly latest: HostPort | null;
  /** Null until measured, and where it cannot be. */
  readonly lifetime: MappingLifetime | null;
}
