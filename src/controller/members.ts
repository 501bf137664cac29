/**
 * Which node belongs to which gateway: the one that its label names, else the oldest (then the first by name)
 * whose selector takes it. A node is in one gateway at most, or two sites would claim one subnet. What changes
 * costs as much as it concerns: a node looks at the gateways that its labels point to, not at all of them.
 */
import type { SeenNode } from './node.js';
import type { Selector } from './selector.js';
import { GATEWAY_LABEL, type SiteSpec } from './site.js';

export class Members {
  readonly #nodes = new Map<string, SeenNode>();
  readonly #sites = new Map<string, SiteSpec>();
  readonly #owner = new Map<string, string>();
  readonly #members = new Map<string, Set<string>>();
  /** Names of gateways by their selector's pivot, and of those that have none. */
  readonly #byPivot = new Map<string, Set<string>>();
  readonly #unindexed = new Set<string>();

  get sites(): ReadonlyMap<string, SiteSpec> {
    return this.#sites;
  }

  get nodes(): ReadonlyMap<string, SeenNode> {
    return this.#nodes;
  }

  /** The gateway's nodes, by name in byte order. */
  of(gateway: string): SeenNode[] {
    const names = [...(this.#members.get(gateway) ?? [])].sort();
    return names.flatMap((name) => this.#nodes.get(name) ?? []);
  }

  ownerOf(node: string): string | null {
    return this.#owner.get(node) ?? null;
  }

  /** @returns gateways whose nodes changed */
  putNode(node: SeenNode): Set<string> {
    this.#nodes.set(node.name, node);
    const changed = this.#settle(node);
    const owner = this.#owner.get(node.name);
    if (owner !== undefined) changed.add(owner);
    return changed;
  }

  removeNode(name: string): Set<string> {
    this.#nodes.delete(name);
    return this.#move(name, null);
  }

  /** @returns gateways whose nodes changed, and always the one that was put */
  putSite(site: SiteSpec): Set<string> {
    const before = this.#sites.get(site.name);
    this.#sites.set(site.name, site);
    const same = before?.selector?.text === site.selector?.text && before?.uid === site.uid;
    if (before !== undefined && same) return new Set([site.name]);
    if (before !== undefined) this.#unindex(before);
    this.#index(site);
    return this.#resettle(site.name, site.selector).add(site.name);
  }

  removeSite(name: string): Set<string> {
    const site = this.#sites.get(name);
    if (site === undefined) return new Set();
    this.#unindex(site);
    this.#sites.delete(name);
    const changed = this.#resettle(name, null);
    this.#members.delete(name);
    changed.delete(name);
    return changed;
  }

  /** Settles the nodes that are the gateway's, or might become so. */
  #resettle(name: string, selector: Selector | null): Set<string> {
    const changed = new Set<string>();
    for (const node of this.#nodes.values()) {
      const concerned =
        this.#owner.get(node.name) === name ||
        node.labels[GATEWAY_LABEL] === name ||
        selector?.matches(node.labels) === true;
      if (concerned) for (const each of this.#settle(node)) changed.add(each);
    }
    return changed;
  }

  #settle(node: SeenNode): Set<string> {
    return this.#move(node.name, this.#choose(node));
  }

  #choose(node: SeenNode): string | null {
    const named = node.labels[GATEWAY_LABEL];
    // Of a gateway that is not there (any more): nobody else's meanwhile
    if (named) return this.#sites.has(named) ? named : null;
    let best: SiteSpec | null = null;
    for (const name of this.#candidates(node)) {
      const site = this.#sites.get(name);
      if (site?.selector?.matches(node.labels) && (best === null || comesFirst(site, best))) best = site;
    }
    return best?.name ?? null;
  }

  *#candidates(node: SeenNode): Generator<string> {
    for (const [key, value] of Object.entries(node.labels)) yield* this.#byPivot.get(pivotKey(key, value)) ?? [];
    yield* this.#unindexed;
  }

  #move(node: string, to: string | null): Set<string> {
    const from = this.#owner.get(node) ?? null;
    if (from === to) return new Set();
    if (from !== null) this.#members.get(from)?.delete(node);
    if (to === null) this.#owner.delete(node);
    else {
      this.#owner.set(node, to);
      const members = this.#members.get(to);
      if (members === undefined) this.#members.set(to, new Set([node]));
      else members.add(node);
    }
    return new Set([from, to].filter((name) => name !== null));
  }

  #index({ name, selector }: SiteSpec): void {
    if (selector === null) return;
    if (selector.pivot === null) this.#unindexed.add(name);
    else {
      const key = pivotKey(...selector.pivot);
      const names = this.#byPivot.get(key);
      if (names === undefined) this.#byPivot.set(key, new Set([name]));
      else names.add(name);
    }
  }

  #unindex({ name, selector }: SiteSpec): void {
    this.#unindexed.delete(name);
    if (!selector?.pivot) return;
    const key = pivotKey(...selector.pivot);
    const names = this.#byPivot.get(key);
    names?.delete(name);
    if (names?.size === 0) this.#byPivot.delete(key);
  }
}

function pivotKey(key: string, value: string): string {
  return `${key}=${value}`;
}

function comesFirst(a: SiteSpec, b: SiteSpec): boolean {
  return a.created === b.created ? a.name < b.name : a.created < b.created;
}
