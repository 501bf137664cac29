/** The peers that are wanted and what they carry; and what there is to be told of each, from its connections' SAs. */
import { type HostPort, sameHostPort } from '../../model/address.js';
import type { CarryItem, PeerItem } from '../../model/item.js';
import type { PublicKey } from '../../model/key.js';
import type { Plane } from '../../model/names.js';
import type { PeerUpdate } from '../driver.js';
import type { SaFacts } from './sa-ledger.js';

type PeerKey = string;

export function peerKey(plane: Plane, key: PublicKey): PeerKey {
  return `${plane} ${key}`;
}

export class Roster {
  readonly #peers = new Map<PeerKey, PeerItem>();
  readonly #carries = new Map<string, CarryItem>();
  /** As told last. */
  readonly #told = new Map<PeerKey, PeerUpdate>();
  /** To be looked at when their plane is asked for next. */
  readonly #stale = new Set<PeerKey>();
  /** Counts changes of what is wanted. */
  revision = 0;

  get peers(): Iterable<PeerItem> {
    return this.#peers.values();
  }

  get carries(): Iterable<CarryItem> {
    return this.#carries.values();
  }

  peer(plane: Plane, key: PublicKey): PeerItem | undefined {
    return this.#peers.get(peerKey(plane, key));
  }

  /** A peer that stands keeps its endpoint, which is but a hint; see {@link aim}. */
  put(peer: PeerItem): void {
    const key = peerKey(peer.plane, peer.key);
    const endpoint = this.#peers.get(key)?.endpoint ?? peer.endpoint;
    this.#peers.set(key, { ...peer, endpoint });
    this.revision += 1;
    this.#stale.add(key);
  }

  aim(peer: PeerItem): void {
    const key = peerKey(peer.plane, peer.key);
    if (this.#peers.has(key)) this.#peers.set(key, peer);
    this.revision += 1;
    this.#stale.add(key);
  }

  delete(plane: Plane, key: PublicKey): void {
    this.#peers.delete(peerKey(plane, key));
    this.revision += 1;
    this.#told.delete(peerKey(plane, key));
  }

  carry(item: CarryItem): void {
    this.#carries.set(`${item.plane} ${item.prefix}`, item);
    this.revision += 1;
  }

  /** Not where another peer has taken it over. */
  uncarry({ plane, prefix, peer }: CarryItem): void {
    const key = `${plane} ${prefix}`;
    if (this.#carries.get(key)?.peer === peer) this.#carries.delete(key);
    this.revision += 1;
  }

  /** All that hangs on the plane's device. */
  clear(plane: Plane): void {
    for (const peer of [...this.peers]) if (peer.plane === plane) this.delete(plane, peer.key);
    for (const item of [...this.carries]) if (item.plane === plane) this.uncarry(item);
  }

  /** Something of its SAs changed. */
  touch(plane: Plane, key: PublicKey): void {
    this.#stale.add(peerKey(plane, key));
  }

  /** News of the plane's peers since the last call. `factsOf`: of each of a peer's connections. */
  *news(plane: Plane, factsOf: (peer: PeerItem) => readonly SaFacts[]): Generator<PeerUpdate> {
    for (const key of [...this.#stale]) {
      const peer = this.#peers.get(key);
      if (peer !== undefined && peer.plane !== plane) continue;
      this.#stale.delete(key);
      if (peer === undefined) continue;
      const before = this.#told.get(key);
      const update = updateOf(peer, summary(factsOf(peer)), before);
      if (before !== undefined && sameUpdate(before, update)) continue;
      this.#told.set(key, update);
      yield update;
    }
  }
}

/** Of all of a peer's connections: it has a session when all have. */
export function summary(all: readonly SaFacts[]): SaFacts {
  const [first] = all;
  if (first === undefined) return { session: false, endpoint: null, since: 0, rxBytes: 0, txBytes: 0 };
  return all.slice(1).reduce(
    (sum, facts) => ({
      session: sum.session && facts.session,
      endpoint: facts.since >= sum.since ? (facts.endpoint ?? sum.endpoint) : (sum.endpoint ?? facts.endpoint),
      since: Math.max(sum.since, facts.since),
      rxBytes: sum.rxBytes + facts.rxBytes,
      txBytes: sum.txBytes + facts.txBytes,
    }),
    first,
  );
}

function updateOf(peer: PeerItem, facts: SaFacts, before: PeerUpdate | undefined): PeerUpdate {
  const endpoint: HostPort | null = facts.endpoint ?? peer.endpoint;
  // Both counters run on where a connection is made anew with one of its name gone.
  return {
    plane: peer.plane,
    key: peer.key,
    gone: false,
    moved:
      before === undefined ||
      before.session !== facts.session ||
      before.lastHandshake !== facts.since ||
      !sameHostPort(before.endpoint, endpoint),
    endpoint,
    lastHandshake: facts.since,
    session: facts.session,
    rxBytes: Math.max(facts.rxBytes, before?.rxBytes ?? 0),
    txBytes: Math.max(facts.txBytes, before?.txBytes ?? 0),
    carries: null,
  };
}

function sameUpdate(a: PeerUpdate, b: PeerUpdate): boolean {
  return !b.moved && a.rxBytes === b.rxBytes && a.txBytes === b.txBytes;
}
