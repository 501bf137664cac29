/** The gateways as the store tells of them: admitted or refused, the own one, the relays, the remotes. */
import { Admission, type Carried, type ProtectedAddresses } from '../decide/admission.js';
import type { NodeAddresses } from '../decide/node-addresses.js';
import { drained } from '../decide/pieces.js';
import { relayOf } from '../decide/relations.js';
import type { Ip } from '../model/address.js';
import type { Relay } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { DriverName } from '../model/names.js';
import type { StoreBatch } from '../store/store.js';
import { keyedByName } from './name-keys.js';
import type { Remotes } from './remotes.js';

export class Gateways {
  readonly #admission: Admission;
  readonly #node: string;
  readonly #remotes: Remotes;
  readonly #driver: DriverName;
  readonly #nodeAddresses: NodeAddresses | null;
  #protected: ProtectedAddresses = new Map();
  readonly #relays = new Map<string, Relay>();
  /** Admitted gateways whose active endpoint is under NAT. */
  readonly #edges = new Set<string>();
  synced = false;
  /** See {@link StoreBatch.unread}. */
  unread = false;

  /**
   * `driver`: libreswan's ends have no keys, and are told by their nodes' names.
   *
   * @param nodeAddresses carry nodes' own addresses too (`--forward-node-ip`)
   */
  constructor(
    node: string,
    remotes: Remotes,
    driver: DriverName = 'wireguard',
    nodeAddresses: NodeAddresses | null = null,
  ) {
    this.#node = node;
    this.#driver = driver;
    this.#remotes = remotes;
    this.#nodeAddresses = nodeAddresses;
    this.#admission = new Admission((gateway) => claims(gateway, node));
  }

  /** The gateway that this node belongs to. */
  get own(): Gateway | null {
    return this.#admission.own;
  }

  get relays(): Iterable<Relay> {
    return this.#relays.values();
  }

  get remoteEdges(): number {
    const { own } = this;
    return this.#edges.size - (own !== null && this.#edges.has(own.name) ? 1 : 0);
  }

  /** Refused for what they claim; those that cannot be read at all are the store's. */
  get refused(): ReadonlyMap<string, string> {
    return this.#admission.refused;
  }

  /** Whose subnets hold the address, or null. */
  holderOf(ip: Ip): string | null {
    return this.#admission.holderOf(ip);
  }

  /** @returns names of gateways that are not as they were */
  take(batch: StoreBatch): ReadonlySet<string> {
    return drained(this.taking(batch));
  }

  /**
   * As {@link take}, in pieces, between which others may have a turn. For the first batch, which has all that there
   * are: `synced` is not set until it is done, so that nobody decides from a part of it.
   */
  *taking(batch: StoreBatch): Generator<void, ReadonlySet<string>> {
    const extended = this.#extended(batch);
    const upserted = this.#driver === 'libreswan' ? extended.map(keyedByName) : extended;
    const { changed } = yield* this.#admission.updating(upserted, batch.removed);
    for (const name of changed) {
      this.#follow(name);
      yield;
    }
    this.synced ||= batch.synced;
    this.unread = batch.unread;
    return changed;
  }

  /** With nodes' own addresses, where these are carried. */
  #extended({ upserted, removed }: StoreBatch): readonly Gateway[] {
    const addresses = this.#nodeAddresses;
    if (addresses === null) return upserted;
    for (const name of removed) addresses.release(name);
    return upserted.map((it) => addresses.extend(it, claims(it, this.#node), (ip) => this.#protected.has(ip)));
  }

  /** What stands when the agent starts says who had what before. */
  adopt(carried: Carried): void {
    this.#admission.adopt(carried);
  }

  protect(addresses: ProtectedAddresses): ReadonlySet<string> {
    this.#protected = addresses;
    const { changed } = this.#admission.protect(addresses);
    for (const name of changed) this.#follow(name);
    return changed;
  }

  #follow(name: string): void {
    const gateway = this.#admission.admitted.get(name);
    this.#relays.delete(name);
    this.#edges.delete(name);
    if (gateway === undefined) {
      this.#remotes.delete(name);
      return;
    }
    const relay = relayOf(gateway);
    if (relay !== null) this.#relays.set(name, relay);
    if (gateway.active?.underNat) this.#edges.add(name);
    if (gateway === this.#admission.own) this.#remotes.delete(name);
    else this.#remotes.put(gateway);
  }
}

function claims(gateway: Gateway, node: string): boolean {
  const has = ({ nodeName }: { readonly nodeName: string }) => nodeName === node;
  return gateway.endpoints.some(has) || gateway.nodes.some(has);
}
