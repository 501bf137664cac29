/** What is there: Gateways and Nodes as the API tells of them, and since when a node is not Ready. */
import { isLater } from '../store/kubernetes/gateways.js';
import { type KubeObject, objectKey, type ReflectorEvents } from '../store/kubernetes/reflector.js';
import { Members } from './members.js';
import { parseNode, sameNode } from './node.js';
import { parseSite } from './site.js';

export interface WorldEvents {
  /** These gateways, or their nodes, changed. */
  changed(gateways: Iterable<string>): void;
  /** A gateway cannot be read and is left alone; null: it can be, again. */
  refused(gateway: string, reason: string | null): void;
  /** All that happened until now was seen. */
  current(): void;
  failed(what: 'gateways' | 'nodes', error: unknown): void;
}

export interface Refused {
  readonly reason: string;
  readonly uid: string;
}

export class World {
  readonly members = new Members();
  /** By name; of those that are not Ready. */
  readonly unreadySince = new Map<string, number>();
  readonly refused = new Map<string, Refused>();
  readonly #events: WorldEvents;
  readonly #now: () => number;
  #gatewaysRead = false;
  #nodesRead = false;

  constructor(events: WorldEvents, now: () => number) {
    this.#events = events;
    this.#now = now;
  }

  /** Of the object that is there now; null where the gateway is not known. */
  uidOf(gateway: string): string | null {
    return (this.refused.get(gateway) ?? this.members.sites.get(gateway))?.uid || null;
  }

  /** Both were read whole at least once. Nothing is decided before that: unknown is not empty. */
  get synced(): boolean {
    return this.#gatewaysRead && this.#nodesRead;
  }

  readonly gateways: ReflectorEvents = {
    put: (object, listed) => this.putGateway(object, listed),
    gone: (object) => this.#goneGateway(objectKey(object)),
    whole: (keys) => {
      const known = [...this.members.sites.keys(), ...this.refused.keys()];
      for (const name of known) if (!keys.has(name)) this.#goneGateway(name);
      this.#gatewaysRead = true;
      if (this.synced) this.#events.changed(this.members.sites.keys());
    },
    current: () => this.#events.current(),
    failed: (error) => this.#events.failed('gateways', error),
  };

  readonly nodes: ReflectorEvents = {
    put: (object) => this.#putNode(object),
    gone: (object) => this.#goneNode(objectKey(object)),
    whole: (keys) => {
      for (const name of [...this.members.nodes.keys()]) if (!keys.has(name)) this.#goneNode(name);
      this.#nodesRead = true;
      if (this.synced) this.#events.changed(this.members.sites.keys());
    },
    current: () => this.#events.current(),
    failed: (error) => this.#events.failed('nodes', error),
  };

  /** @param listed as the whole was read: true, whatever was known. A watch may be behind our own writes. */
  putGateway(object: KubeObject, listed: boolean): void {
    const site = parseSite(object);
    const name = objectKey(object);
    if (typeof site === 'string') {
      // Its status stays as it is, and its nodes stay its own
      const news = this.refused.get(name)?.reason !== site;
      this.refused.set(name, { reason: site, uid: object.metadata.uid ?? '' });
      if (news) this.#events.refused(name, site);
      return;
    }
    if (this.refused.delete(name)) this.#events.refused(name, null);
    const before = this.members.sites.get(name);
    const overtaken = before?.uid === site.uid && !isLater(site.resourceVersion, before.resourceVersion);
    if (overtaken && !listed) return;
    this.#changed(this.members.putSite(site));
  }

  #goneGateway(name: string): void {
    this.refused.delete(name);
    this.#changed(this.members.removeSite(name));
  }

  #putNode(object: KubeObject): void {
    const node = parseNode(object);
    if (typeof node === 'string') return;
    if (node.ready) this.unreadySince.delete(node.name);
    else if (!this.unreadySince.has(node.name)) this.unreadySince.set(node.name, this.#now());
    const before = this.members.nodes.get(node.name);
    if (before === undefined || !sameNode(before, node)) this.#changed(this.members.putNode(node));
  }

  #goneNode(name: string): void {
    this.unreadySince.delete(name);
    this.#changed(this.members.removeNode(name));
  }

  #changed(gateways: ReadonlySet<string>): void {
    if (this.synced && gateways.size > 0) this.#events.changed(gateways);
  }
}
