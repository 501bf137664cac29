/**
 * Two ends of an opening, each with the real state machine, over a relay that may lose messages and NATs that map every
 * destination anew, or keep one hole. Time passes only by the queue.
 */
import { decideOpening } from '#src/decide/opening.js';
import type { Act } from '#src/decide/opening-input.js';
import { NO_OPENING, type OpeningInput } from '#src/decide/opening-input.js';
import { strategiesFor } from '#src/decide/strategies.js';
import type { HostPort } from '#src/model/address.js';
import type { NatPorts } from '#src/model/nat-profile.js';
import { type OpeningEvent, type OpeningMemory, openingId } from '#src/model/opening.js';
import { at } from './fixtures.js';
import type { SimulatedMapping } from './mapping.js';

export const START = 1_800_000_000_000;
const RELAY_MS = 30;
/** Within which a spray hits, if it does. */
const HIT_MS = 400;
const SPRAY_DONE_MS = 800;
const SAMPLE_MS = 80;
/** Where a STUN server is. */
const SERVER = 'server';

export interface Side {
  memory: OpeningMemory;
  input: Partial<OpeningInput>;
  readonly said: string[];
  readonly acts: string[];
  ports: NatPorts | null;
  /** Null: one hole for all. */
  mapping: SimulatedMapping | null;
  fan: { id: number; open: ReadonlyMap<number, { local: number; to: HostPort }> } | null;
  spray: { id: number } | null;
  peakFans: number;
  /** Of each fan, or spray, how many. */
  readonly spent: number[];
}

export class OpeningPair {
  now = START;
  readonly fan = side();
  readonly spray = side();
  readonly holes: readonly [HostPort, HostPort] = [at('203.0.113.10', 20_000), at('203.0.113.20', 30_000)];
  /** Which messages get through; all unless given. */
  passes: (from: 'fan' | 'spray', kind: string, index: number) => boolean = () => true;
  /** The fan's mappings may be hit; without a mapping of its own a hit is had for nothing. */
  hits = true;
  bothHard = false;
  #messages = 0;
  #tokens = 0;
  /** None is used twice. */
  #sockets = 20_000;
  #queue: Array<{ at: number; run: () => void }> = [];

  other(of: Side): Side {
    return of === this.fan ? this.spray : this.fan;
  }

  at(delayMs: number, run: () => void): void {
    this.#queue.push({ at: this.now + delayMs, run });
  }

  /** Both decide, then whatever comes of it, until then. */
  run(forMs: number): void {
    const end = this.now + forMs;
    for (const each of [this.fan, this.spray]) this.decide(each, []);
    for (;;) {
      this.#queue.sort((a, b) => a.at - b.at);
      const next = this.#queue[0];
      if (next === undefined || next.at > end) break;
      this.#queue.shift();
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
  }

  decide(of: Side, events: readonly OpeningEvent[]): void {
    const isFan = of === this.fan;
    const [fanHole, sprayHole] = this.holes;
    const told = events.findLast((event) => event.type === 'message' && event.message.kind === 'nat');
    const theirs = told?.type === 'message' && told.message.kind === 'nat' ? told.message.ports : of.memory.theirs;
    const [fanType, sprayType] = [
      'Symmetric NAT',
      this.bothHard ? 'Symmetric NAT' : 'Port Restricted cone NAT',
    ] as const;
    const ends = [
      { type: isFan ? fanType : sprayType, ports: of.ports },
      { type: isFan ? sprayType : fanType, ports: theirs },
    ] as const;
    const strategies = strategiesFor(...ends, isFan);
    const input: OpeningInput = {
      memory: of.memory,
      events,
      allowance: { probes: 8_192, busy: false },
      token: `${(0xabc0 + this.#tokens++).toString(16).padStart(8, '0')}00000000`,
      now: this.now,
      pair: 'a b',
      role: isFan ? 'fan' : 'spray',
      plans: strategies.list.filter((strategy) => strategy.kind !== 'hole'),
      ports: of.ports,
      theirs,
      bothHard: this.bothHard,
      against:
        this.bothHard && strategies.list.length === 0 && theirs !== null && (!isFan || of.memory.answered)
          ? 'odds'
          : null,
      ownHole: isFan ? fanHole : sprayHole,
      hole: isFan ? sprayHole : fanHole,
      fingerprint: 'same',
      scale: 1,
      // The path goes by what was opened at once.
      state: of.memory.phase === 'opened' ? 'punching' : 'relayed',
      peer: of.memory.phase === 'opened',
      session: false,
      ...of.input,
    };
    const { memory, acts, wakeAt } = decideOpening(of.memory, input);
    of.memory = memory;
    for (const act of acts) {
      if (act.op === 'say') this.#say(of, act.message);
      else this.#act(of, act);
    }
    if (Number.isFinite(wakeAt)) this.at(Math.max(1, wakeAt - this.now), () => this.decide(of, []));
  }

  #say(from: Side, message: Extract<OpeningEvent, { type: 'message' }>['message']): void {
    from.said.push(message.kind);
    const name = from === this.fan ? 'fan' : 'spray';
    if (!this.passes(name, message.kind, this.#messages++)) return;
    this.at(RELAY_MS, () => this.decide(this.other(from), [{ type: 'message', message }]));
  }

  #act(of: Side, act: Exclude<Act, { op: 'say' }>): void {
    of.acts.push(act.op);
    const id = openingId(act.token);
    if (act.op === 'sample') {
      const port = of.mapping?.to(`${SERVER} ${this.#sockets++}`);
      const [fanHole, sprayHole] = this.holes;
      const latest = port === undefined ? null : at((of === this.fan ? fanHole : sprayHole).ip, port);
      this.at(SAMPLE_MS, () => this.decide(of, [{ type: 'sample', token: act.token, latest }]));
    } else if (act.op === 'fan') {
      of.fan = { id, open: this.#opened(of.mapping, act.to as HostPort, act.sockets) };
      of.peakFans = Math.max(of.peakFans, 1);
      of.spent.push(act.sockets);
      this.at(act.lifeMs, () => this.#fanEnds(id, 0, 0));
    } else if (act.op === 'spray') {
      of.spray = { id };
      of.spent.push(act.count);
      if (this.hits) this.#probe(of, id, act);
      this.at(SPRAY_DONE_MS, () => this.#sprayEnds(of, id));
    } else if (of.fan?.id === id) of.fan = null;
    else if (of.spray?.id === id) of.spray = null;
  }

  /** By outside port: which socket it is, and where it leads. */
  #opened(mapping: SimulatedMapping | null, to: HostPort, sockets: number) {
    const locals = Array.from({ length: mapping === null ? 0 : sockets }, () => this.#sockets++);
    return new Map(locals.map((local) => [mapping?.to(`${local} ${to.port}`) ?? 0, { local, to }]));
  }

  /** A probe gets in where a mapping leads to just the port that it comes out of. */
  #probe(of: Side, id: number, { ports: { first, last }, count }: Extract<Act, { op: 'spray' }>): void {
    const [, hole] = this.holes;
    // So many at random hit nearly always.
    const [chance] = count < last - first + 1 ? (this.fan.fan?.open ?? []) : [];
    if (this.fan.mapping === null || chance !== undefined) {
      const [port, { local }] = chance ?? [50_002, { local: 40_001 }];
      this.at(HIT_MS, () => of.spray?.id === id && this.#fanEnds(id, local, port));
      return;
    }
    for (let port = first; port <= last && port < first + count; port++) {
      const from = of.mapping?.to(`${port}`) ?? hole.port;
      const hit = this.fan.fan?.open.get(port);
      if (hit === undefined || hit.to.port !== from) continue;
      this.at(HIT_MS, () => of.spray?.id === id && this.#fanEnds(id, hit.local, port));
      return;
    }
  }

  #fanEnds(id: number, localPort: number, outsidePort: number): void {
    if (this.fan.fan?.id !== id) return;
    this.decide(this.fan, [{ type: 'fan', id, localPort, outsidePort }]);
  }

  #sprayEnds(of: Side, id: number): void {
    if (of.spray?.id === id) this.decide(of, [{ type: 'spray', id, sent: 1_024, failed: 0 }]);
  }
}

function side(): Side {
  return {
    ports: null,
    mapping: null,
    memory: NO_OPENING,
    input: {},
    said: [],
    acts: [],
    fan: null,
    spray: null,
    peakFans: 0,
    spent: [],
  };
}
