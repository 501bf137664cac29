/** What the keeper of a mapping needs of a protocol, whichever it is. */
import type { HostPort, Ip } from '../../model/address.js';
import type { MappingProtocol } from '../../model/port-mapping.js';

export interface Wish {
  /** The tunnel's. */
  readonly internalPort: number;
  /** The outside port that this node would like to have, and to keep. */
  readonly externalPort: number;
}

export type MapOutcome =
  | { readonly kind: 'granted'; readonly external: HostPort; readonly lifetimeS: number }
  /** It was understood, and refused. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** The router does not speak this protocol: it says so, or its port is closed. */
  | { readonly kind: 'unsupported'; readonly closed: boolean }
  | { readonly kind: 'silent' };

/** Of one router, for one port; it remembers what the router said of itself. */
export interface MappingClient {
  readonly name: MappingProtocol;
  /** It is spoken at {@link ROUTER_PORT}: where that is closed, nobody there speaks another. */
  readonly atRouterPort: boolean;
  /** How often the router may be asked whether it still has what it granted. */
  readonly checkEveryMs: number;
  /** Asks for a mapping, or for more time for the one that stands. Never rejects. */
  map(wish: Wish, signal: AbortSignal): Promise<MapOutcome>;
  /** Does the router still have it? Never rejects. */
  check(wish: Wish, signal: AbortSignal): Promise<'kept' | 'lost' | 'silent'>;
  /** Takes it back. Never rejects; nobody waits for it for long. */
  release(wish: Wish): Promise<void>;
  /** The router told everybody something (RFC 6887 14.1, RFC 6886 3.2.1). @returns whether mappings are lost */
  announced(bytes: Uint8Array): boolean;
}

/** RFC 6887 19.1: both PCP's and NAT-PMP's. */
export const ROUTER_PORT = 5351;

/** RFC 6335 6: nobody's by assignment, so what is asked for takes no other service of the router away. */
export const DYNAMIC_PORTS = { first: 49_152, count: 16_384 } as const;

export interface RouterLink {
  readonly router: Ip;
  /** Milliseconds on a clock that is never set. */
  readonly now: () => number;
}
