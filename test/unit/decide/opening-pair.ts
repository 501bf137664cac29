/**
 * Two ends of an opening, each with the real state machine, over a relay that may lose messages and NATs that are hit with
 * a probe or not. Time passes only by the queue.
 */
import { decideOpening } from '#src/decide/opening.js';
import { NO_OPENING, type OpeningInput } from '#src/decide/opening-input.js';
import { fanFor } from '#src/decide/strategies.js';
import type { HostPort } from '#src/model/address.js';
import { type OpeningEvent, type OpeningMemory, openingId } from '#src/model/opening.js';
import { at } from './fixtures.js';

export const START = 1_800_000_000_000;
const RELAY_MS = 30;
/** Within which a spray hits, if it does. */
const HIT_MS = 400;
const SPRAY_DONE_MS = 800;

export interface Side {
  memory: OpeningMemory;
  input: Partial<OpeningInput>;
  readonly said: string[];
  readonly acts: string[];
  fan: { id: number; until: number } | null;
  spray: { id: number } | null;
  peakFans: number;
}

export class OpeningPair {
  now = START;
  readonly fan = side();
  readonly spray = side();
  readonly holes: readonly [HostPort, HostPort] = [at('203.0.113.10', 20_000), at('203.0.113.20', 30_000)];
  /** Which messages get through; all unless given. */
  passes: (from: 'fan' | 'spray', kind: string, index: number) => boolean = () => true;
  hits = true;
  #messages = 0;
  #tokens = 0;
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
    const input: OpeningInput = {
      memory: of.memory,
      events,
      allowance: { probes: 8_192, busy: false },
      token: `${(0xabc0 + this.#tokens++).toString(16).padStart(8, '0')}00000000`,
      now: this.now,
      pair: 'a b',
      role: isFan ? 'fan' : 'spray',
      fan: fanFor(null),
      against: null,
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

  #act(of: Side, act: { op: string; token?: string; lifeMs?: number }): void {
    of.acts.push(act.op);
    const id = openingId(act.token ?? '');
    if (act.op === 'fan') {
      of.fan = { id, until: this.now + (act.lifeMs ?? 0) };
      of.peakFans = Math.max(of.peakFans, 1);
      this.at(act.lifeMs ?? 0, () => this.#fanEnds(id, 0, 0));
    } else if (act.op === 'spray') {
      of.spray = { id };
      if (this.hits) this.at(HIT_MS, () => of.spray?.id === id && this.#fanEnds(id, 40_001, 50_002));
      this.at(SPRAY_DONE_MS, () => this.#sprayEnds(of, id));
    } else if (of.fan?.id === id) of.fan = null;
    else if (of.spray?.id === id) of.spray = null;
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
  return { memory: NO_OPENING, input: {}, said: [], acts: [], fan: null, spray: null, peakFans: 0 };
}
