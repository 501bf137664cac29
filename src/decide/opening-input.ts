/** What an opening is decided from, and what is decided. */
import type { HostPort } from '../model/address.js';
import type { OpeningDeed, OpeningFacts, OpeningMemory, OpeningRole, PortRange, Refusal } from '../model/opening.js';

export interface OpeningInput extends OpeningFacts {
  readonly now: number;
  readonly pair: string;
  /** Null: none, this pair needs no opening or can have none. */
  readonly role: OpeningRole | null;
  /** This end's, where that is its role. */
  readonly fan: { readonly sockets: number; readonly ports: PortRange };
  /** Why not, though there is a role; null where nothing stands against it. */
  readonly against: Refusal | null;
  readonly ownHole: HostPort | null;
  readonly hole: HostPort | null;
  readonly fingerprint: string;
  /** Remote gateways. */
  readonly scale: number;
  /** The path's, before this decision. */
  readonly state: 'relayed' | 'punching' | 'direct';
  /** The direct plane has a peer; it has a session. */
  readonly peer: boolean;
  readonly session: boolean;
}

/** Without whom it is about. */
export type Act = DistributiveOmit<OpeningDeed, 'gateway' | 'to'> & { readonly to?: HostPort };
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export interface OpeningDecision {
  readonly memory: OpeningMemory;
  readonly acts: readonly Act[];
  /** Unix milliseconds; Infinity = only when something happens. */
  readonly wakeAt: number;
}

export const NO_OPENING: OpeningMemory = {
  phase: 'idle',
  token: '',
  since: 0,
  saidAt: 0,
  said: 0,
  fingerprint: '',
  failures: 0,
  nextTryAt: 0,
  failure: null,
  aim: null,
  opened: null,
  outsidePort: 0,
  proven: false,
};

/** Is something of this end's going on that costs? */
export function isActive({ phase }: OpeningMemory): boolean {
  return phase === 'asking' || phase === 'fanned' || phase === 'spraying';
}
