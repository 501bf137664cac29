/**
 * Many edges at one relay, each with the real state machine, ledger and budget of openings towards every other, over a
 * relay that only delays and NATs that are hit with a probe or not. Time passes only by the queue.
 */
import { Openings } from '#src/agent/openings.js';
import { type Remote, Remotes } from '#src/agent/remotes.js';
import { pairName } from '#src/decide/backoff.js';
import { decideOpening } from '#src/decide/opening.js';
import { fanFor, strategiesFor } from '#src/decide/strategies.js';
import type { HostPort } from '#src/model/address.js';
import { type OpeningDeed, openingId } from '#src/model/opening.js';
import { at, gateway, PORT, SYMMETRIC } from '../decide/fixtures.js';

export const START = 1_800_000_000_000;
const RELAY_MS = 30;
/** From "opened" to traffic on the direct path. */
const TRUST_MS = 700;
/** As native/core paces them. */
export const PROBES_PER_PULSE = 32;
export const PULSE_MS = 25;

const FAN = fanFor(null);
const [BIRTHDAY] = strategiesFor(SYMMETRIC, PORT).list;

/** What an edge sent in each second since the start. */
export interface Sent {
  readonly probes: number[];
  readonly messages: number[];
}

interface Edge {
  readonly number: number;
  readonly name: string;
  readonly hole: HostPort;
  readonly role: 'fan' | 'spray';
  readonly remotes: Remotes;
  readonly openings: Openings;
  readonly sent: Sent;
  /** When the next look at each remote is due; another look before makes it void. */
  readonly wakes: Map<string, number>;
  readonly directAt: Map<string, number>;
  spray: { readonly token: string; readonly since: number; readonly ms: number } | null;
  /** Tries going on at one time, at most. */
  peak: number;
  active: number;
}

export class Fleet {
  now = START;
  readonly edges: Edge[];
  readonly #byName: Map<string, Edge>;
  readonly #queue = new Queue();
  #seed = 1;

  /** Half of them behind symmetric NATs, half behind port-restricted ones. */
  constructor(size: number) {
    this.edges = Array.from({ length: size }, (_, index) => edge(index + 1, index % 2 === 0 ? 'fan' : 'spray'));
    this.#byName = new Map(this.edges.map((each) => [each.name, each]));
    for (const each of this.edges) {
      for (const other of this.edges) if (other.role !== each.role) each.remotes.put(gateway(other.number));
    }
  }

  /** All at the same moment. */
  comeUp(): void {
    for (const each of this.edges) for (const remote of each.remotes.all) this.#decide(each, remote);
  }

  run(ms: number): void {
    const until = this.now + ms;
    for (let run = this.#queue.next(until); run !== null; run = this.#queue.next(until)) {
      this.now = run.at;
      run.run();
    }
    this.now = until;
  }

  get directPairs(): number {
    return this.edges.reduce((sum, { role, directAt }) => sum + (role === 'fan' ? directAt.size : 0), 0);
  }

  #decide(self: Edge, remote: Remote): void {
    const { now } = this;
    const { name } = remote.gateway;
    const other = this.#byName.get(name) as Edge;
    const before = self.openings.inform(remote, now);
    const facts = remote.facts.opening;
    if (facts === undefined) throw new Error('informed, and knows nothing');
    const isDirect = (self.directAt.get(name) ?? Number.POSITIVE_INFINITY) <= now;
    const isOpen = before.phase === 'opened';
    const { memory, acts, wakeAt } = decideOpening(before, {
      ...facts,
      now,
      pair: pairName(self.name, name),
      role: self.role,
      fan: FAN,
      against: null,
      ownHole: self.hole,
      hole: other.hole,
      fingerprint: 'same',
      scale: this.edges.length - 1,
      state: isDirect ? 'direct' : isOpen ? 'punching' : 'relayed',
      peer: isOpen,
      session: isDirect,
    });
    if (isOpen !== (memory.phase === 'opened')) this.#turned(self, remote, memory.phase === 'opened');
    const deeds = acts.flatMap((act): OpeningDeed[] => {
      if (act.op === 'say') this.#say(self, other, act.message);
      if (act.op === 'fan' && act.to) return [{ ...act, gateway: name, to: act.to }];
      if (act.op === 'spray' && act.to) return [{ ...act, gateway: name, to: act.to.ip }];
      return act.op === 'end-opening' ? [{ ...act, gateway: name }] : [];
    });
    const wasActive = ACTIVE.has(before.phase);
    self.openings.took(remote, memory, deeds, now);
    self.active += Number(ACTIVE.has(memory.phase)) - Number(wasActive);
    self.peak = Math.max(self.peak, self.active);
    for (const deed of deeds) this.#act(self, other, deed);
    this.#wake(self, remote, wakeAt);
  }

  #turned(self: Edge, { gateway: { name } }: Remote, opened: boolean): void {
    if (!opened) self.directAt.delete(name);
    else self.directAt.set(name, this.now + TRUST_MS);
  }

  #wake(self: Edge, remote: Remote, wakeAt: number): void {
    const { name } = remote.gateway;
    self.wakes.set(name, wakeAt);
    if (!Number.isFinite(wakeAt)) return;
    this.#queue.add(Math.max(this.now + 1, wakeAt), () => {
      if (self.wakes.get(name) === wakeAt) this.#decide(self, remote);
    });
  }

  #say(from: Edge, to: Edge, message: Extract<OpeningDeed, { op: 'say' }>['message']): void {
    this.#count(from.sent.messages, this.now, 1);
    this.#queue.add(this.now + RELAY_MS, () => {
      const remote = to.remotes.get(from.name) as Remote;
      if (to.openings.hear(remote, message)) this.#decide(to, remote);
    });
  }

  #act(self: Edge, other: Edge, deed: OpeningDeed): void {
    if (deed.op === 'fan') {
      this.#count(self.sent.probes, this.now, deed.sockets);
      this.#queue.add(this.now + deed.lifeMs, () =>
        this.#end(self, { type: 'fan', id: openingId(deed.token), ...MISS }),
      );
    }
    if (deed.op === 'end-opening') this.#stop(self, deed.token);
    if (deed.op !== 'spray') return;
    const { token, count } = deed;
    const id = openingId(token);
    const ms = Math.ceil(count / PROBES_PER_PULSE) * PULSE_MS;
    self.spray = { token, since: this.now, ms };
    if (this.#random() < (BIRTHDAY?.odds ?? 0)) {
      this.#queue.add(this.now + this.#random() * ms, () => this.#end(other, { type: 'fan', id, ...HIT }));
    }
    this.#queue.add(this.now + ms, () => {
      this.#stop(self, token);
      this.#end(self, { type: 'spray', id, sent: count, failed: 0 });
    });
  }

  #stop(self: Edge, token: string): void {
    if (self.spray?.token !== token) return;
    const { since, ms } = self.spray;
    for (let pulse = 0; pulse < Math.min(ms, this.now - since); pulse += PULSE_MS) {
      this.#count(self.sent.probes, since + pulse, PROBES_PER_PULSE);
    }
    self.spray = null;
  }

  #end(self: Edge, event: Parameters<Openings['ended']>[0]): void {
    const owner = self.openings.ended(event);
    if (owner !== undefined) this.#decide(self, self.remotes.get(owner) as Remote);
  }

  #count(seconds: number[], when: number, packets: number): void {
    const second = Math.floor((when - START) / 1000);
    seconds[second] = (seconds[second] ?? 0) + packets;
  }

  /** mulberry32: the same at each run. */
  #random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let x = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4_294_967_296;
  }
}

const ACTIVE: ReadonlySet<string> = new Set(['asking', 'fanned', 'spraying']);
const HIT = { localPort: 40_001, outsidePort: 50_002 };
const MISS = { localPort: 0, outsidePort: 0 };

function edge(number: number, role: Edge['role']): Edge {
  return {
    number,
    name: gateway(number).name,
    hole: at(`198.51.${100 + (number >> 8)}.${number & 255}`, 20_000),
    role,
    remotes: new Remotes(),
    openings: new Openings(),
    sent: { probes: [], messages: [] },
    wakes: new Map(),
    directAt: new Map(),
    spray: null,
    peak: 0,
    active: 0,
  };
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** A binary heap. */
class Queue {
  readonly #heap: Event[] = [];
  #order = 0;

  add(when: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ at: when, order: ++this.#order, run });
    for (let child = heap.length - 1; child > 0; ) {
      const parent = (child - 1) >> 1;
      if (!comesFirst(heap[child] as Event, heap[parent] as Event)) break;
      [heap[child], heap[parent]] = [heap[parent] as Event, heap[child] as Event];
      child = parent;
    }
  }

  /** Null where there is none until then. */
  next(until: number): Event | null {
    const heap = this.#heap;
    const [first] = heap;
    if (first === undefined || first.at > until) return null;
    const last = heap.pop() as Event;
    if (heap.length === 0) return first;
    heap[0] = last;
    for (let parent = 0; ; ) {
      let least = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) {
        if (child < heap.length && comesFirst(heap[child] as Event, heap[least] as Event)) least = child;
      }
      if (least === parent) return first;
      [heap[parent], heap[least]] = [heap[least] as Event, heap[parent] as Event];
      parent = least;
    }
  }
}

function comesFirst(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
