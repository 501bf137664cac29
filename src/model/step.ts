/** What decide asks for: items to put or delete, and deeds that leave no item behind. */
import type { HostPort, Ip, Prefix } from './address.js';
import type { Item, PeerItem } from './item.js';
import type { NatType } from './nat.js';
import type { OpeningDeed } from './opening.js';

/** Fields of one `Gateway.spec.endpoints[]`, by their names there; `config` keys are merged. */
export interface EndpointFields {
  readonly natType?: NatType;
  readonly publicIP?: Ip;
  readonly publicPort?: number;
  readonly config?: Readonly<Record<string, string>>;
}

export type ItemStep = PutStep | DeleteStep;

export interface PutStep<I extends Item = Item> {
  readonly op: 'put';
  readonly item: I;
  /** What is in force under the item's key now. */
  readonly present: I | null;
}

export interface DeleteStep<I extends Item = Item> {
  readonly op: 'delete';
  readonly item: I;
}

export type Deed = PunchDeed | PeerDeed | PublishDeed | OpeningDeed;

/** A packet from the tunnel's port that opens the own NAT towards `to` and dies on the way (TTL). */
export interface PunchDeed {
  readonly op: 'punch';
  readonly gateway: string;
  readonly to: HostPort;
  readonly ttl: number;
}

/**
 * `re-add`: remove and add an idle direct peer, which gets round WireGuard's 5 s between initiations
 * (REKEY_TIMEOUT). `aim`: give an idle peer another endpoint.
 */
export interface PeerDeed {
  readonly op: 're-add' | 'aim';
  readonly peer: PeerItem;
  /** What the peer carries, to be given back to it. */
  readonly carries: readonly Prefix[];
  /** Of the peer when this was decided: one that has received more since then is in use, and left alone. */
  readonly seenRxBytes: number;
}

export interface PublishDeed {
  readonly op: 'publish';
  readonly gateway: string;
  readonly nodeName: string;
  readonly fields: EndpointFields;
}

export type Step = ItemStep | Deed;
