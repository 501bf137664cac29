/** What is in force and who wants it: the one place that both are kept. */
import { diff, keyed, order } from '../decide/diff.js';
import type { Prefix } from '../model/address.js';
import { type CarryItem, type Item, type ItemKey, keyOf, sameItem } from '../model/item.js';
import type { PublicKey } from '../model/key.js';
import { DEVICES, type Devices, type Plane, planeOfDevice } from '../model/names.js';
import { OVERLAY } from '../model/overlay.js';
import type { ItemStep } from '../model/step.js';

/** The owner of what the node needs as a whole; the others are gateways. */
export const SITE = '';

/** The plane's device and all that goes when it goes. */
export function hangsOn(plane: Plane): (item: Item) => boolean {
  return (item) => {
    switch (item.kind) {
      case 'device':
      case 'peer':
      case 'carry':
        return item.plane === plane;
      case 'route':
      case 'address':
        return item.device !== null && planeOfDevice(item.device) === plane;
      default:
        return false;
    }
  };
}

/** What must be there before the item can be: its device, or the peer that is to carry it. */
export function hangsFrom(item: Item, devices: Devices): ItemKey | null {
  switch (item.kind) {
    case 'peer':
      return `device ${devices[item.plane]}`;
    case 'carry':
      return `peer ${item.plane} ${item.peer}`;
    case 'route':
    case 'address':
    case 'fdb':
    case 'neighbour':
      if (item.device === null) return null;
      return item.device === OVERLAY.device ? `overlay ${item.device}` : `device ${item.device}`;
    default:
      return null;
  }
}

export class World {
  /** The driver's. */
  readonly devices: Devices;
  readonly #observed = new Map<ItemKey, Item>();
  readonly #wanted = new Map<string, ReadonlyMap<ItemKey, Item>>();
  readonly #owners = new Map<ItemKey, string>();
  /** Of what is observed: the prefixes that each peer carries. */
  readonly #carried = new Map<string, Map<ItemKey, CarryItem>>();
  /** In force, and wanted by nobody. */
  readonly #unowned = new Set<ItemKey>();

  constructor(devices: Devices = DEVICES) {
    this.devices = devices;
  }

  get observed(): ReadonlyMap<ItemKey, Item> {
    return this.#observed;
  }

  /** Does the kernel remember whom there is traffic with? */
  get watchesTraffic(): boolean {
    const firewall = this.#observed.get('firewall');
    return firewall?.kind === 'firewall' && firewall.watchesTraffic;
  }

  ownerOf(key: ItemKey): string | undefined {
    return this.#owners.get(key);
  }

  /** Does it stand, and nobody asks for it? */
  isUnowned(key: ItemKey): boolean {
    return this.#unowned.has(key);
  }

  wantedBy(owner: string): ReadonlyMap<ItemKey, Item> {
    return this.#wanted.get(owner) ?? new Map();
  }

  /** What the peer carries as far as is known. */
  carriedBy(plane: Plane, peer: PublicKey): CarryItem[] {
    return [...(this.#carried.get(`${plane} ${peer}`)?.values() ?? [])];
  }

  /** By whom each prefix is carried: a peer a plane. */
  carried(): Map<Prefix, Set<PublicKey>> {
    const peers = new Map<Prefix, Set<PublicKey>>();
    for (const carried of this.#carried.values()) {
      for (const { prefix, peer } of carried.values()) {
        peers.set(prefix, (peers.get(prefix) ?? new Set()).add(peer));
      }
    }
    return peers;
  }

  /** The owner wants just these items from now on; the steps that are missing to that. */
  want(owner: string, items: readonly Item[]): ItemStep[] {
    const desired = keyed(items);
    const formerly = [...this.wantedBy(owner).keys()];
    // A key may have passed to another owner meanwhile: it is that one's now.
    const lost = formerly.filter((key) => !desired.has(key) && this.#owners.get(key) === owner);
    for (const key of lost) {
      this.#owners.delete(key);
      if (this.#observed.has(key)) this.#unowned.add(key);
    }
    for (const key of desired.keys()) {
      this.#owners.set(key, owner);
      this.#unowned.delete(key);
    }
    if (desired.size === 0) this.#wanted.delete(owner);
    else this.#wanted.set(owner, desired);
    return diff(desired, lost, this.#observed);
  }

  /** Deletes what stands and nobody wants: left behind by an earlier agent, or by a delete that failed. */
  orphans(): ItemStep[] {
    const items = [...this.#unowned].flatMap((key) => this.#observed.get(key) ?? []);
    return order(items.map((item) => ({ op: 'delete', item })));
  }

  /** The step was carried out. */
  confirm({ op, item }: ItemStep): void {
    const key = keyOf(item);
    if (op === 'put') this.#set(key, item);
    else this.#remove(key);
  }

  /** Something vanished; its owner, if it has one, has to put it back. */
  lost(key: ItemKey): string | undefined {
    this.#remove(key);
    return this.#owners.get(key);
  }

  /** Forgets all that matches; the owners that have to put it back. */
  lostWhere(matches: (item: Item) => boolean): Set<string> {
    const owners = new Set<string>();
    for (const [key, item] of this.#observed) {
      if (!matches(item)) continue;
      const owner = this.lost(key);
      if (owner !== undefined) owners.add(owner);
    }
    return owners;
  }

  /**
   * What was found of some kinds of items replaces what was known of them.
   *
   * @returns owners whose items are not as they want them
   */
  found(items: readonly Item[], covers: (item: Item) => boolean): Set<string> {
    const actual = keyed(items);
    const owners = this.lostWhere((item) => covers(item) && !actual.has(keyOf(item)));
    for (const [key, item] of actual) {
      const known = this.#observed.get(key);
      if (known !== undefined && sameItem(known, item)) continue;
      this.#set(key, item);
      if (!this.#owners.has(key)) this.#unowned.add(key);
      const owner = this.#owners.get(key);
      const wanted = owner === undefined ? undefined : this.#wanted.get(owner)?.get(key);
      if (owner !== undefined && wanted !== undefined && !sameItem(wanted, item)) owners.add(owner);
    }
    return owners;
  }

  #set(key: ItemKey, item: Item): void {
    this.#uncarry(key);
    this.#observed.set(key, item);
    if (item.kind !== 'carry') return;
    const peer = `${item.plane} ${item.peer}`;
    const carried = this.#carried.get(peer) ?? new Map();
    this.#carried.set(peer, carried.set(key, item));
  }

  #remove(key: ItemKey): void {
    this.#uncarry(key);
    this.#observed.delete(key);
    this.#unowned.delete(key);
  }

  #uncarry(key: ItemKey): void {
    const item = this.#observed.get(key);
    if (item?.kind !== 'carry') return;
    const peer = `${item.plane} ${item.peer}`;
    const carried = this.#carried.get(peer);
    carried?.delete(key);
    if (carried?.size === 0) this.#carried.delete(peer);
  }
}
