/**
 * Which gateways may be installed. A gateway comes from whoever can write one, so what it claims is checked
 * against what others hold and against what must never be routed into a tunnel.
 */
import { formatHostPort, type HostPort, hostPrefix, type Ip, type Prefix, sameHostPort } from '../model/address.js';
import type { Gateway } from '../model/gateway.js';
import type { PublicKey } from '../model/key.js';
import { byAge, sameClaims } from './claims.js';
import { Holes, holeOf } from './holes.js';
import { drained } from './pieces.js';
import { PrefixIndex } from './prefix-index.js';
import { relayOf } from './relations.js';
import { RelayAddresses } from './relay-addresses.js';

/** Addresses that no gateway's subnets may cover, and what each of them is. */
export type ProtectedAddresses = ReadonlyMap<Ip, string>;

export interface AdmissionChange {
  /** Names of gateways that were admitted, changed, dropped, or refused for another reason than before. */
  readonly changed: ReadonlySet<string>;
}

/** What one update did so far. */
interface Update {
  readonly changed: Set<string>;
  /** Those that were admitted before it and had to leave their place: they have a better claim to it than others. */
  readonly incumbents: Set<string>;
  readonly entered: Set<string>;
}

const newUpdate = (): Update => ({ changed: new Set(), incumbents: new Set(), entered: new Set() });

/** Prefixes that tunnel peers carry in the kernel, and the keys of those peers (one a plane). */
export type Carried = ReadonlyMap<Prefix, ReadonlySet<PublicKey>>;

/**
 * Who holds a contested claim: the own gateway, then whoever was admitted first, then whoever has its claims in
 * the kernel from before a restart, then the older object, then the first by name in byte order. So a newcomer
 * can never take over what somebody else has, and somebody who changes keeps what was there already.
 */
export class Admission {
  readonly #known = new Map<string, Gateway>();
  readonly #admitted = new Map<string, Gateway>();
  readonly #refused = new Map<string, string>();
  readonly #prefixes = new PrefixIndex();
  readonly #keys = new Map<string, string>();
  readonly #relays = new RelayAddresses();
  /** Of admitted edges, but for those that say they are where a relay was already. */
  readonly #holes = new Holes();
  readonly #claimsNode: (gateway: Gateway) => boolean;
  /** Known gateways that say this node is theirs; one of them is believed. */
  readonly #claimants = new Set<string>();
  #own: string | null = null;
  #carried: Carried = new Map();
  #protected: ProtectedAddresses = new Map();
  #protectedIndex = new PrefixIndex();

  /** @param claimsNode does the gateway say that this node is its own? */
  constructor(claimsNode: (gateway: Gateway) => boolean) {
    this.#claimsNode = claimsNode;
  }

  get admitted(): ReadonlyMap<string, Gateway> {
    return this.#admitted;
  }

  /** Refused gateways with the reason for each. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused;
  }

  /** The gateway that this node belongs to. */
  get own(): Gateway | null {
    return this.#own === null ? null : (this.#admitted.get(this.#own) ?? null);
  }

  /** Whose subnets hold the address, or null. */
  holderOf(ip: Ip): string | null {
    return this.#prefixes.holderOf(hostPrefix(ip));
  }

  /** What stood when the agent started: it counts for the first gateways that come. */
  adopt(carried: Carried): void {
    this.#carried = carried;
  }

  update(upserted: readonly Gateway[], removed: readonly string[]): AdmissionChange {
    return drained(this.updating(upserted, removed));
  }

  /** As {@link update}, in pieces, between which others may have a turn; they see it half done. */
  *updating(upserted: readonly Gateway[], removed: readonly string[]): Generator<void, AdmissionChange> {
    const update = newUpdate();
    const waiting = new Set<string>();
    let released = false;
    for (const name of removed) {
      this.#known.delete(name);
      this.#claimants.delete(name);
      this.#refused.delete(name);
      released = this.#release(name, update) || released;
    }
    for (const gateway of upserted) {
      yield;
      const { name } = gateway;
      this.#known.set(name, gateway);
      const claimed = this.#claimants.delete(name);
      if (this.#claimsNode(gateway)) this.#claimants.add(name);
      const before = this.#admitted.get(name);
      // A gateway that keeps its claims keeps its place: it is not made to compete for it again.
      if (before !== undefined && sameClaims(before, gateway) && claimed === this.#claimants.has(name)) {
        this.#admitted.set(name, gateway);
        update.changed.add(name);
        released = this.#moveHole(before, gateway) || released;
        continue;
      }
      released = this.#release(name, update) || released;
      waiting.add(name);
    }
    released = this.#electOwn(waiting, update) || released;
    // Who was refused can come in only when something became free.
    const evicted = yield* this.#settle(released ? [...waiting, ...this.#refused.keys()] : waiting, update);
    if (evicted) yield* this.#settle(this.#refused.keys(), update);
    if (upserted.length > 0) this.#carried = new Map();
    return update;
  }

  /** Replaces the protected addresses and looks at everybody again. */
  protect(addresses: ProtectedAddresses): AdmissionChange {
    const update = newUpdate();
    this.#protected = addresses;
    this.#protectedIndex = new PrefixIndex();
    for (const address of addresses.keys()) this.#protectedIndex.add(hostPrefix(address), address);
    const waiting = new Set(this.#refused.keys());
    for (const gateway of [...this.#admitted.values()]) {
      if (this.#covers(gateway) === null) continue;
      this.#release(gateway.name, update);
      waiting.add(gateway.name);
    }
    drained(this.#settle(waiting, update));
    return update;
  }

  /** One gateway at most is this node's, and it stays so for as long as it says so. */
  #electOwn(waiting: Set<string>, update: Update): boolean {
    if (this.#own !== null && this.#claimants.has(this.#own)) return false;
    const candidates = [...this.#claimants].map((name) => this.#known.get(name) as Gateway).sort(byAge);
    this.#own = candidates[0]?.name ?? null;
    if (this.#own === null) return false;
    waiting.add(this.#own);
    return this.#release(this.#own, update);
  }

  /** Lets in whoever of them may come in. @returns whether somebody had to go for the own gateway, and has no reason yet */
  *#settle(names: Iterable<string>, update: Update): Generator<void, boolean> {
    const waiting = [...new Set(names)].map((name) => this.#known.get(name) as Gateway);
    let evicted = false;
    const relays = new RelayAddresses();
    for (const gateway of waiting) relays.add(gateway);
    const rank = new Map<string, number>();
    for (const gateway of waiting) {
      yield;
      rank.set(gateway.name, this.#rank(gateway, relays, update));
    }
    const rankOf = (gateway: Gateway) => rank.get(gateway.name) as number;
    waiting.sort((a, b) => rankOf(a) - rankOf(b) || byAge(a, b));
    let equals: Gateway[] = [];
    for (const gateway of waiting) {
      yield;
      // A hole is an edge's word only: it stands against relays that come later, and not against its equals.
      if (equals[0] !== undefined && rankOf(equals[0]) !== rankOf(gateway)) {
        for (const edge of equals) this.#keepHole(edge);
        equals = [];
      }
      if (gateway.name === this.#own) evicted = this.#evict(gateway, update);
      const reason = this.#covers(gateway) ?? this.#contested(gateway);
      if (reason === null) {
        this.#admit(gateway, update);
        equals.push(gateway);
      } else this.#refuse(gateway.name, reason, update);
    }
    for (const edge of equals) this.#keepHole(edge);
    return evicted;
  }

  #rank(gateway: Gateway, relays: RelayAddresses, { incumbents }: Update): number {
    if (gateway.name === this.#own) return 0;
    if (incumbents.has(gateway.name)) return 1;
    // Whoever claims more than it had may be after what another had.
    const held = gateway.subnets.filter((prefix) => this.#hasCarried(gateway, prefix)).length;
    if (held > 0) return held === gateway.subnets.length ? 1 : 2;
    // Who covers a relay's address comes after the relay, and then may not.
    return relays.coveredBy(gateway) === null ? 3 : 4;
  }

  #hasCarried({ active }: Gateway, prefix: Prefix): boolean {
    return active?.publicKey != null && this.#carried.get(prefix)?.has(active.publicKey) === true;
  }

  #keepHole(gateway: Gateway): void {
    const hole = holeOf(gateway);
    if (hole !== null && this.#admitted.has(gateway.name) && !this.#isRelayAt(hole)) {
      this.#holes.set(gateway.name, hole);
    }
  }

  /** @returns whether a place became free */
  #moveHole(before: Gateway, after: Gateway): boolean {
    if (sameHostPort(holeOf(before), holeOf(after))) return false;
    this.#holes.delete(after.name);
    this.#keepHole(after);
    return true;
  }

  #isRelayAt(place: HostPort): boolean {
    return this.#relays.at(place.ip).some((name) => {
      const gateway = this.#admitted.get(name);
      return gateway !== undefined && sameHostPort(relayOf(gateway)?.address ?? null, place);
    });
  }

  #admit(gateway: Gateway, { changed, entered }: Update): void {
    for (const prefix of gateway.subnets) this.#prefixes.add(prefix, gateway.name);
    const key = gateway.active?.publicKey;
    if (key) this.#keys.set(key, gateway.name);
    this.#relays.add(gateway);
    this.#admitted.set(gateway.name, gateway);
    this.#refused.delete(gateway.name);
    changed.add(gateway.name);
    entered.add(gateway.name);
  }

  #refuse(name: string, reason: string, { changed }: Update): void {
    if (this.#refused.get(name) !== reason) changed.add(name);
    this.#refused.set(name, reason);
  }

  #release(name: string, { changed, incumbents, entered }: Update): boolean {
    const gateway = this.#admitted.get(name);
    if (gateway === undefined) return false;
    for (const prefix of gateway.subnets) this.#prefixes.delete(prefix);
    const key = gateway.active?.publicKey;
    if (key) this.#keys.delete(key);
    this.#relays.delete(gateway);
    this.#holes.delete(name);
    this.#admitted.delete(name);
    changed.add(name);
    if (!entered.has(name)) incumbents.add(name);
    return true;
  }

  /** The own gateway does not compete for what it claims. @returns whether somebody has to be judged again */
  #evict(own: Gateway, update: Update): boolean {
    let evicted = false;
    const evict = (holder: string) => {
      evicted = this.#release(holder, update);
      this.#refused.set(holder, '');
    };
    for (const prefix of own.subnets) {
      for (let holder = this.#prefixes.holderOf(prefix); holder !== null; holder = this.#prefixes.holderOf(prefix)) {
        evict(holder);
      }
    }
    const relay = relayOf(own);
    const covering = relay === null ? null : this.#prefixes.holderOf(hostPrefix(relay.address.ip));
    if (covering !== null) evict(covering);
    const key = own.active?.publicKey;
    const thief = key ? this.#keys.get(key) : undefined;
    if (thief !== undefined) evict(thief);
    return evicted;
  }

  #contested(gateway: Gateway): string | null {
    if (gateway.name === this.#own) return null;
    if (this.#claimants.has(gateway.name)) {
      return `claims this node, which is gateway ${this.#own}'s`;
    }
    for (const prefix of gateway.subnets) {
      const holder = this.#prefixes.holderOf(prefix);
      if (holder !== null) return `claims ${prefix}, which is gateway ${holder}'s`;
      const relay = this.#relays.within(prefix);
      if (relay !== null)
        return `claims ${prefix}, which holds ${relay.address}, the address of relay ${relay.names[0]}`;
    }
    const key = gateway.active?.publicKey;
    const holder = key ? this.#keys.get(key) : undefined;
    if (holder !== undefined) return `has the public key of gateway ${holder}`;
    return this.#misplaced(gateway);
  }

  /** A tunnel must not run through itself, nor through another's. */
  #misplaced(gateway: Gateway): string | null {
    const relay = relayOf(gateway);
    if (relay === null) return null;
    const { ip } = relay.address;
    // Everybody would take what comes from there for the relay's, and the edge would have no direct path any more.
    const edge = this.#holes.at(relay.address);
    if (edge !== null) return `is a relay at ${formatHostPort(relay.address)}, where gateway ${edge} is reached`;
    const holder = this.#prefixes.holderOf(hostPrefix(ip));
    // What is local to this node does not go through a tunnel.
    if (holder !== null && holder !== this.#own) return `is a relay at ${ip}, which is in gateway ${holder}'s subnets`;
    const own = new PrefixIndex();
    for (const prefix of gateway.subnets) own.add(prefix, gateway.name);
    return own.holderOf(hostPrefix(ip)) === null ? null : `is a relay at ${ip}, which is in its own subnets`;
  }

  #covers(gateway: Gateway): string | null {
    if (gateway.name === this.#own) return null;
    for (const prefix of gateway.subnets) {
      const address = this.#protectedIndex.holderOf(prefix) as Ip | null;
      if (address !== null) return `claims ${prefix}, which holds ${address}, ${this.#protected.get(address)}`;
    }
    return null;
  }
}
