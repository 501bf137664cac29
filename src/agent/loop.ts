/**
 * Observe, decide, act. Whatever is observed marks those it concerns; a turn decides for the marked ones only
 * and carries out what comes of it. One turn at a time.
 */

import { performance } from 'node:perf_hooks';
import { siteItems } from '../decide/desired.js';
import { orderSteps } from '../decide/diff.js';
import { adoptedPath, type PathMemory } from '../decide/path.js';
import { ownFields } from '../decide/publish.js';
import { centralRelay } from '../decide/relations.js';
import { decideRemote, pathInput, relationTo } from '../decide/remote.js';
import { DIFFER_MS } from '../decide/timing.js';
import { CoraxError, messageOf } from '../errors.js';
import { formatHostPort } from '../model/address.js';
import type { SiteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import { type Item, type ItemKey, keyOf } from '../model/item.js';
import { TABLES } from '../model/names.js';
import type { OpeningMemory } from '../model/opening.js';
import type { Deed, ItemStep, PublishDeed, Step } from '../model/step.js';
import type { Doable, Executor, Outcome, Stage } from './executor.js';
import { filedUnder } from './executor.js';
import { factsOf } from './facts.js';
import type { Failures } from './failures.js';
import { type Openings, standingOpening } from './openings.js';
import type { Remote, Remotes } from './remotes.js';
import { hangsFrom, hangsOn, SITE, type World } from './world.js';

export interface LoopEvents {
  readonly transition: (remote: Remote, from: PathMemory | null, to: PathMemory) => void;
  readonly opening: (remote: Remote, from: OpeningMemory, to: OpeningMemory) => void;
  readonly failed: (outcome: Outcome & { error: Error }, stage: Stage, times: number) => void;
  readonly publish: (deed: PublishDeed) => void;
  /** The ways there are by another node's, or the peer of before, for the time being; or it is over. */
  readonly detour: (remote: Remote, begins: boolean) => void;
  readonly turned: (steps: number) => void;
  /** Deciding itself failed: a fault of ours, which must not stop the others. */
  readonly stumbled: (owner: string, error: unknown) => void;
}

export interface LoopParts {
  readonly world: World;
  readonly remotes: Remotes;
  readonly failures: Failures;
  readonly executor: Executor;
  readonly openings: Openings;
  readonly version: string;
  /** The facts about the node as they are now. */
  readonly site: () => SiteFacts;
  readonly own: () => Gateway | null;
  readonly events: LoopEvents;
}

/** A turn comes at least this often, so that it can be seen that the loop still turns. */
const TICK_MS = 5_000;
/** However much is to be done, others get their turn after so many remotes. */
const REMOTES_PER_SLICE = 100;

export class Loop {
  readonly #parts: LoopParts;
  readonly #dirty = new Set<string>();
  /** Remotes that want to be looked at again at some time: monotonic milliseconds, as for {@link Failures}. */
  readonly #timed = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | null = null;
  #turnsAtOnce = false;
  #stopped = false;

  constructor(parts: LoopParts) {
    this.#parts = parts;
  }

  /** The owner's facts changed: {@link SITE} or a gateway's name. */
  mark(owner: string): void {
    this.#dirty.add(owner);
    this.#arm(0);
  }

  markAll(): void {
    this.#dirty.add(SITE);
    for (const remote of this.#parts.remotes.all) this.#dirty.add(remote.gateway.name);
    this.#arm(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #arm(delayMs: number): void {
    // Ten thousand are marked at once: one timer does for them.
    if (this.#stopped || this.#running !== null || this.#turnsAtOnce) return;
    clearTimeout(this.#timer);
    this.#turnsAtOnce = delayMs <= 0;
    this.#timer = setTimeout(() => this.#start(), Math.max(0, Math.min(delayMs, TICK_MS)));
  }

  #start(): void {
    this.#turnsAtOnce = false;
    if (this.#running !== null || this.#stopped) return;
    this.#running = this.#turn().finally(() => {
      this.#running = null;
      const busy = this.#dirty.size > 0 && !this.#isBlind(this.#parts.site());
      this.#arm(busy ? 0 : this.#nextWake() - performance.now());
    });
  }

  #nextWake(): number {
    let next = this.#parts.failures.nextRetry();
    for (const at of this.#timed.values()) next = Math.min(next, at);
    return next;
  }

  async #turn(): Promise<void> {
    const { failures, events, site: currentSite } = this.#parts;
    const site = currentSite();
    if (this.#isBlind(site)) {
      events.turned(0);
      return;
    }
    const now = Date.now();
    const tick = performance.now();
    for (const owner of failures.dueOwners(tick)) this.#dirty.add(owner);
    for (const [name, at] of this.#timed) if (at <= tick) this.#dirty.add(name);
    const owners = this.#inOrder(site);
    this.#dirty.clear();

    let done = 0;
    for (let from = 0; from < Math.max(1, owners.length); from += REMOTES_PER_SLICE) {
      const slice = owners.slice(from, from + REMOTES_PER_SLICE);
      const steps = slice.flatMap((owner) => this.#attempt(site, owner, now));
      done += await this.#act(orderSteps(this.#allowed(site, steps)), tick);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What was found and nobody asks for may be asked for by what could not be read.
    if (!site.unread) done += await this.#act(this.#allowed(site, this.#parts.world.orphans()), tick);
    failures.expire(tick);
    events.turned(done);
  }

  /** Of the steps those that may be taken now. */
  #allowed(site: SiteFacts, steps: readonly Step[]): Step[] {
    return steps.filter((step) => !(site.unread && this.#robs(step)));
  }

  /**
   * Unknown is not empty: before the store was read whole, and while the own gateway may be among what could
   * not be read, there is nothing to decide from.
   */
  #isBlind(site: SiteFacts): boolean {
    return !site.synced || (site.unread && this.#parts.own() === null);
  }

  /** Would a prefix be taken from a peer of nobody known? It may be that of a relay that could not be read. */
  #robs(step: Step): boolean {
    if (step.op !== 'put' || step.item.kind !== 'carry' || step.present?.kind !== 'carry') return false;
    const { plane, peer } = step.present;
    return peer !== step.item.peer && this.#parts.world.isUnowned(`peer ${plane} ${peer}`);
  }

  /** Relays before those that they carry; last who is gone, so that what it held has passed on by then. */
  #inOrder(site: SiteFacts): string[] {
    const relays = new Set(site.relays.map((relay) => relay.gateway.name));
    const rank = (owner: string) => {
      if (owner === SITE) return 0;
      if (relays.has(owner)) return 1;
      return this.#parts.remotes.get(owner) === undefined ? 3 : 2;
    };
    return [...this.#dirty].sort((a, b) => rank(a) - rank(b));
  }

  #attempt(site: SiteFacts, owner: string, now: number): Step[] {
    try {
      return this.#decide(site, owner, now);
    } catch (error) {
      const why = new CoraxError('CORAX_PATH', `deciding failed: ${messageOf(error)}`, { cause: error });
      this.#parts.failures.failed(`decide ${owner}`, owner, why, performance.now());
      this.#parts.events.stumbled(owner, error);
      return [];
    }
  }

  #decide(site: SiteFacts, owner: string, now: number): Step[] {
    if (owner === SITE) return this.#decideSite(site);
    this.#timed.delete(owner);
    const remote = this.#parts.remotes.get(owner);
    if (remote === undefined || remote.gateway === this.#parts.own()) {
      this.#parts.openings.forget(owner);
      return this.#want(owner, []);
    }
    const before = remote.path ?? this.#adopted(site, remote, now);
    const opening = site.role === 'edge' ? this.#parts.openings.inform(remote, now) : null;
    const facts = factsOf(site, this.#parts.remotes, remote);
    const decision = decideRemote(site, remote.gateway, before, facts, now);
    const beside = this.#parts.openings.took(remote, decision.opening, decision.deeds, now);
    if (opening !== null && decision.opening !== null) this.#parts.events.opening(remote, opening, decision.opening);
    remote.complaint = decision.complaint ?? this.#differing(remote, decision.path, now);
    if (decision.path !== null && decision.path.state !== (before?.state ?? 'relayed')) {
      this.#parts.events.transition(remote, before, decision.path);
    }
    remote.path = decision.path;
    if (remote.detour !== decision.detour) this.#onDetour(site, remote, decision.detour);
    if (Number.isFinite(decision.wakeAt)) this.#timed.set(owner, performance.now() + decision.wakeAt - now);
    const deeds = [...decision.deeds, ...beside].map((deed) => this.#withCarries(deed));
    return [...deeds, ...this.#want(owner, decision.items)];
  }

  /** On an edge all that is relayed goes the central relay's way. */
  #onDetour(site: SiteFacts, remote: Remote, detour: boolean): void {
    remote.detour = detour;
    this.#parts.events.detour(remote, detour);
    if (site.role === 'edge' && centralRelay(site.relays)?.gateway.name === remote.gateway.name) this.markAll();
  }

  /** A relay's peer may carry others' subnets: it gets back what it has. */
  #withCarries(deed: Deed): Deed {
    if (deed.op !== 're-add' || deed.peer.plane !== 'relay') return deed;
    return { ...deed, carries: this.#parts.world.carriedBy('relay', deed.peer.key).map(({ prefix }) => prefix) };
  }

  #decideSite(site: SiteFacts): Step[] {
    const own = this.#parts.own();
    const fields = own === null ? null : ownFields(site, own, this.#parts.version);
    const publish: Deed[] =
      own === null || fields === null ? [] : [{ op: 'publish', gateway: own.name, nodeName: site.node, fields }];
    return [...publish, ...this.#want(SITE, siteItems(site))];
  }

  #want(owner: string, items: Parameters<World['want']>[1]): ItemStep[] {
    const steps = this.#parts.world.want(owner, items);
    const wanted = this.#parts.world.wantedBy(owner);
    this.#parts.failures.forget(owner, (key) => wanted.has(key) || this.#parts.world.observed.has(key));
    return steps;
  }

  /**
   * A route that was found on the direct plane is a path that is direct, until its probes say otherwise. One
   * that this agent made itself is no find: it belonged to another key, and the peer behind it is gone.
   */
  #adopted(site: SiteFacts, remote: Remote, now: number): PathMemory | null {
    const relation = relationTo(site, remote.gateway);
    if (relation.kind !== 'edge') return null;
    const [prefix] = remote.gateway.subnets;
    const key = `route ${TABLES.path} ${prefix} 0`;
    const { world } = this.#parts;
    const route = world.ownerOf(key) === undefined ? world.observed.get(key) : undefined;
    if (route?.kind !== 'route' || route.device !== world.devices.direct) return null;
    // What there was traffic with is not known any more: the path stays as long as if it had been now.
    remote.facts = { ...remote.facts, trafficAt: now, ...this.#adoptedOpening(remote) };
    return adoptedPath(now, pathInput(site, relation.remote, remote.facts, now).fingerprint);
  }

  /** By which outside port a path that was found direct goes, where that is not the tunnel's. */
  #adoptedOpening({ facts }: Remote): Pick<Remote['facts'], 'opening'> {
    const endpoint = facts.direct.peer?.endpoint ?? null;
    const port =
      endpoint === null ? undefined : this.#parts.world.observed.get(`outside-port ${formatHostPort(endpoint)}`);
    const memory = standingOpening(endpoint, port?.kind === 'outside-port' ? port.localPort : null);
    return memory === null ? {} : { opening: { ...NO_NEWS, memory } };
  }

  #differing(remote: Remote, path: PathMemory | null, now: number): string | null {
    const theirs = remote.facts.remotePath;
    const mine = path === null ? null : path.state === 'direct' ? 'direct' : 'relay';
    if (mine === null || theirs === null || mine === theirs) {
      remote.differsSince = null;
      return null;
    }
    remote.differsSince = Math.min(remote.differsSince ?? now, now);
    if (now - remote.differsSince < DIFFER_MS) return null;
    return `this end has been on the ${mine} path and the other on the ${theirs} path for over ${DIFFER_MS / 1000} s`;
  }

  async #act(steps: readonly Step[], tick: number): Promise<number> {
    const { failures, executor, world, events } = this.#parts;
    const doable: Doable[] = [];
    const adding = new Set<ItemKey>();
    for (const step of steps) {
      if (step.op === 'publish') events.publish(step);
      // What one owner gave up another may have taken over in the same turn.
      else if (step.op === 'delete' && world.ownerOf(keyOf(step.item)) !== undefined) continue;
      else if (!failures.due(filedUnder(step), tick)) continue;
      else if (isMissingPeer(step, world, adding)) this.#learn({ step, stage: 'tunnel', error: NO_PEER });
      else {
        if (step.op === 'put' && step.item.kind === 'peer') adding.add(keyOf(step.item));
        doable.push(step);
      }
    }
    if (doable.length === 0) return 0;
    const there = new Set<ItemKey>();
    const tried = new Set<ItemKey>();
    for (const outcome of await executor.run(doable)) {
      this.#learn(outcome);
      tried.add(filedUnder(outcome.step));
      if (outcome.step.op === 'put' && outcome.error === null) there.add(keyOf(outcome.step.item));
    }
    // What was tried in this same run did not fail for want of what the run put there.
    const waitedFor = (key: ItemKey, owner: string) => {
      if (tried.has(key)) return false;
      const item = world.wantedBy(owner).get(key);
      const base = item === undefined ? null : hangsFrom(item, world.devices);
      return base !== null && there.has(base);
    };
    for (const owner of failures.release(waitedFor)) this.mark(owner);
    return doable.length;
  }

  #learn(outcome: Outcome): void {
    const { world, failures } = this.#parts;
    const { step, error, stage } = outcome;
    const key = filedUnder(step);
    if (error === null) {
      failures.succeeded(key);
      if ('item' in step) world.confirm(step);
      if (step.op === 're-add' && step.peer.plane === 'relay')
        this.#parts.remotes.nudged(step.peer.gateway, Date.now());
      if (step.op === 'delete') this.#unsee(step.item);
      return;
    }
    const isItem = 'item' in step;
    const owner = isItem ? (world.ownerOf(key) ?? SITE) : 'peer' in step ? step.peer.gateway : step.gateway;
    const failure = failures.failed(key, owner, error, performance.now(), isItem);
    this.#parts.events.failed({ ...outcome, error }, stage, failure.times);
  }

  /** What was observed of something that is gone is not true of the next of its name. */
  #unsee(item: Item): void {
    const { remotes, world } = this.#parts;
    if (item.kind === 'device') {
      remotes.dropPeers(item.plane);
      for (const owner of world.lostWhere(hangsOn(item.plane))) this.mark(owner);
    }
    if (item.kind === 'probe') remotes.seeProbe(item.gateway, item.plane, null);
    if (item.kind === 'peer') remotes.dropPeer(item.key, item.plane);
  }
}

const NO_NEWS = { events: [], allowance: { probes: 0, busy: true }, token: '' } as const;

const NO_PEER = new CoraxError('CORAX_NETLINK', 'the peer that is to carry it is not there yet');

/** The kernel says nothing when a peer that is not there is to carry a prefix: it just does not. */
function isMissingPeer(step: Doable, world: World, adding: ReadonlySet<ItemKey>): boolean {
  if (step.op !== 'put' || step.item.kind !== 'carry') return false;
  const key = `peer ${step.item.plane} ${step.item.peer}`;
  return !world.observed.has(key) && !adding.has(key);
}
