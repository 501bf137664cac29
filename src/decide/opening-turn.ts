/** One decision about an opening as it is made, what both ends' parts have in common; nothing of it is kept. */
import type { OpeningEvent, OpeningMemory, Refusal, RendezvousMessage } from '../model/opening.js';
import { fraction } from './backoff.js';
import { type Act, isActive, type OpeningInput } from './opening-input.js';
import * as timing from './opening-timing.js';
import { NO_HANDSHAKE, REFUSED } from './opening-words.js';

export type Heard<Type extends OpeningEvent['type']> = Extract<OpeningEvent, { type: Type }>;

export class OpeningTurn {
  memory: OpeningMemory;
  readonly acts: Act[] = [];
  readonly input: OpeningInput;
  readonly #anew: boolean;

  constructor(memory: OpeningMemory, input: OpeningInput) {
    this.input = input;
    const { now, fingerprint, theirs } = input;
    const nextTryAt = memory.nextTryAt > now + 2 * timing.LAST_PAUSE_MS ? now : memory.nextTryAt;
    this.#anew = memory.fingerprint !== fingerprint;
    const begun = this.#anew
      ? { fingerprint, failures: 0, nextTryAt: this.#firstTryAt(), failure: null, answered: false }
      : { nextTryAt };
    this.memory = { ...memory, ...begun, theirs };
  }

  #firstTryAt(): number {
    const { now, pair, scale } = this.input;
    const within = Math.min(timing.MOST_SPREAD_MS, Math.max(0, scale - 1) * timing.SPREAD_MS);
    return now + Math.floor(fraction(pair) * within);
  }

  /** What stands against this end's part in a try that begins now. */
  against(): Refusal | null {
    const { against, ownHole, hole, state, allowance } = this.input;
    if (against !== null) return against;
    if (ownHole === null || hole === null) return 'place';
    if (state === 'direct') return 'direct';
    if (allowance.busy) return 'busy';
    return allowance.probes === 0 ? 'spent' : null;
  }

  isDue(): boolean {
    const { now, state, peer } = this.input;
    return now >= this.memory.nextTryAt && state === 'relayed' && !peer && this.against() === null;
  }

  say(message: RendezvousMessage): void {
    this.acts.push({ op: 'say', message });
    if (message.token !== this.memory.token) return;
    this.memory = { ...this.memory, saidAt: this.input.now, said: this.memory.said + 1 };
  }

  /** Beside what is said, and not counted: an end of an earlier version takes it for no message. */
  sayPorts(token: string): void {
    const { ports } = this.input;
    if (ports !== null) this.acts.push({ op: 'say', message: { kind: 'nat', token, ports } });
  }

  sayHit(): void {
    this.say({ kind: 'hit', token: this.memory.token, port: this.memory.outsidePort });
  }

  enter(phase: OpeningMemory['phase'], more: Partial<OpeningMemory>): void {
    this.memory = { ...this.memory, phase, since: this.input.now, saidAt: 0, said: 0, ...more };
  }

  /** What was opened is the path's now: it comes to an end with it. */
  watch(): void {
    const { now, state } = this.input;
    // Another hole of either end is another pair of NAT mappings: what was opened is for the old one.
    if (state === 'relayed' || (state === 'punching' && this.#anew)) {
      const memory = { ...this.memory, phase: 'closing' as const, since: now };
      this.memory = memory.proven ? { ...memory, failures: 0, ...this.#pause(0) } : this.#failed(memory, NO_HANDSHAKE);
    } else if (state === 'direct' && !this.memory.proven) this.memory = { ...this.memory, proven: true };
    else if (this.repeatsHit() && now >= this.memory.saidAt + timing.SAY_AGAIN_MS) this.sayHit();
  }

  /** The other end may not have heard it. */
  repeatsHit(): boolean {
    const { now, role, session } = this.input;
    const { since, outsidePort } = this.memory;
    return role === 'fan' && outsidePort > 0 && !session && now < since + timing.HIT_MS;
  }

  /** By when "hit" must have come. */
  sprayEnd(): number {
    const { since, saidAt } = this.memory;
    return saidAt > 0 ? Math.min(saidAt + timing.MISSED_MS, since + timing.SPRAY_MS) : since + timing.SPRAY_MS;
  }

  /** Everything that is going on ends here. */
  stop(): void {
    if (isActive(this.memory)) this.end(null);
  }

  /** It has others to open with, one after the other: to ask again costs a message, and is no failure. */
  comeBack(): void {
    this.end(`the other end says no: ${REFUSED.busy}`);
    this.memory = { ...this.memory, nextTryAt: this.input.now + this.busyPause() };
  }

  busyPause(): number {
    const { pair, token } = this.input;
    return Math.floor(timing.BUSY_MS * (0.5 + fraction(`${pair} ${token}`)));
  }

  fail(why: string): void {
    this.end(why);
    this.memory = this.#failed(this.memory, why);
  }

  end(failure: string | null): void {
    this.acts.push({ op: 'end-opening', token: this.memory.token });
    this.enter('idle', { token: '', opened: null, failure });
  }

  #failed(memory: OpeningMemory, failure: string): OpeningMemory {
    return { ...memory, failure, failures: memory.failures + 1, ...this.#pause(memory.failures) };
  }

  #pause(failures: number): Pick<OpeningMemory, 'nextTryAt'> {
    const pause = timing.PAUSES_MS[Math.min(failures, timing.PAUSES_MS.length - 1)] as number;
    const jitter = pause * fraction(`${this.input.pair} ${failures}`) * timing.JITTER;
    return { nextTryAt: this.input.now + pause + Math.floor(jitter) };
  }
}
