/**
 * The vocabulary of a pair whose NATs let no packet in first: one end opens many mappings (a fan of sockets), the other
 * probes ports of that end's NAT until one of them is hit. The two agree by messages inside the tunnel, on the relay plane.
 */
import type { HostPort, Ip } from './address.js';
import type { NatPorts } from './nat-profile.js';
import type { PortRange } from './ports.js';

/** `fan`: behind the NAT whose ports are to be found; `spray`: the other end, which looks for them. */
export type OpeningRole = 'fan' | 'spray';

/** Why an end does not take part, or no longer; the order is the wire's. */
export const REFUSALS = ['pair', 'off', 'busy', 'spent', 'direct', 'near', 'place', 'missed', 'ports', 'odds'] as const;
export type Refusal = (typeof REFUSALS)[number];

/** Of one try; chosen at random by the end that asks: 16 hexadecimal digits. */
export type OpeningToken = string;

export type RendezvousMessage =
  /** The fan's end: would you probe for me? */
  | { readonly kind: 'ask'; readonly token: OpeningToken; readonly sockets: number }
  /** The other: yes; my hole is this, and I would send so many. */
  | { readonly kind: 'ready'; readonly token: OpeningToken; readonly hole: HostPort; readonly probes: number }
  /** The fan stands: probe now, in this range. */
  | { readonly kind: 'open'; readonly token: OpeningToken; readonly ports: PortRange }
  /** The probe to this port arrived: no more of them. */
  | { readonly kind: 'hit'; readonly token: OpeningToken; readonly port: number }
  /** From either end, before it asks or answers: so does my NAT give out ports. */
  | { readonly kind: 'nat'; readonly token: OpeningToken; readonly ports: NatPorts }
  /** From either end: this try is over. */
  | { readonly kind: 'no'; readonly token: OpeningToken; readonly why: Refusal };

export type OpeningEvent =
  | { readonly type: 'message'; readonly message: RendezvousMessage }
  /** Ports are 0 where no probe came. */
  | { readonly type: 'fan'; readonly id: number; readonly localPort: number; readonly outsidePort: number }
  | { readonly type: 'spray'; readonly id: number; readonly sent: number; readonly failed: number }
  /** The latest of the own NAT's mappings; null where nobody told. */
  | { readonly type: 'sample'; readonly token: OpeningToken; readonly latest: HostPort | null };

/** A way that was found: it holds for these two addresses and ports and no others. */
export interface Opened {
  /** Where the other end is reached. */
  readonly target: HostPort;
  /** From which local port, where it is not the tunnel's own. */
  readonly localPort: number | null;
}

/** What an end remembers of its openings towards one remote. Times are Unix milliseconds. */
export interface OpeningMemory {
  /** `closing`: given up, but the other end may still be sending by it. */
  readonly phase: 'idle' | 'asking' | 'sampling' | 'fanned' | 'spraying' | 'opened' | 'closing';
  /** Empty while idle. */
  readonly token: OpeningToken;
  readonly since: number;
  /** The latest that this end's spray has ended with: what is still said of it comes late. */
  readonly ended: OpeningToken;
  /** When the latest message of this phase was said, and how often. */
  readonly saidAt: number;
  readonly said: number;
  /** Of what tries were based on: another one starts over at once. */
  readonly fingerprint: string;
  readonly failures: number;
  readonly nextTryAt: number;
  /** Why the latest try came to nothing; null where none did since. */
  readonly failure: string | null;
  /** How the other end's NAT gives out ports, as it says; null where it did not. */
  readonly theirs: NatPorts | null;
  /** It has answered a question since what tries are based on changed: it has been told as much. */
  readonly answered: boolean;
  /** Where the fan's packets go. */
  readonly aim: HostPort | null;
  /** Where its mappings lie at the own NAT, as far as is known. */
  readonly window: PortRange | null;
  readonly opened: Opened | null;
  /** The outside port that was hit; 0 = none, or not this end's. */
  readonly outsidePort: number;
  /** Traffic has gone by what was opened. */
  readonly proven: boolean;
}

/** What an end may spend now. */
export interface Allowance {
  readonly probes: number;
  /** As many tries are going on as may at once. */
  readonly busy: boolean;
}

/** What decide has to know of a remote beside what is observed of it. */
export interface OpeningFacts {
  readonly memory: OpeningMemory;
  /** Since the last decision, oldest first. */
  readonly events: readonly OpeningEvent[];
  readonly allowance: Allowance;
  /** For a try that begins now. */
  readonly token: OpeningToken;
}

export type OpeningDeed =
  | { readonly op: 'say'; readonly gateway: string; readonly to: Ip; readonly message: RendezvousMessage }
  | {
      readonly op: 'fan';
      readonly gateway: string;
      readonly token: OpeningToken;
      readonly to: HostPort;
      readonly sockets: number;
      readonly ttl: number;
      readonly lifeMs: number;
    }
  | {
      readonly op: 'spray';
      readonly gateway: string;
      readonly token: OpeningToken;
      readonly to: Ip;
      readonly ports: PortRange;
      readonly count: number;
    }
  /** Makes a mapping and asks where it is: a sequential NAT's next ones follow. */
  | { readonly op: 'sample'; readonly gateway: string; readonly token: OpeningToken }
  /** Ends a fan or a spray; none is no error. */
  | { readonly op: 'end-opening'; readonly gateway: string; readonly token: OpeningToken };

/** By which the engine knows the fan or spray of a try. */
export function openingId(token: OpeningToken): number {
  return Number.parseInt(token.slice(0, 8), 16);
}
