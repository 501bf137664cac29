/**
 * One pair's openings through NATs that let no packet in first (docs/decisions/birthday.md). The fan's end asks and drives;
 * the other answers. Whatever does not come ends by time, on each end by itself.
 */
import type { HostPort } from '../model/address.js';
import type { OpeningEvent, OpeningMemory, Refusal } from '../model/opening.js';
import { openingId } from '../model/opening.js';
import { fraction } from './backoff.js';
import { type Act, isActive, type OpeningDecision, type OpeningInput } from './opening-input.js';
import * as timing from './opening-timing.js';
import { NO_HANDSHAKE, REFUSED } from './opening-words.js';
import { SPRAY_PROBES } from './strategies.js';
import { PUNCH_TTLS } from './timing.js';

export function decideOpening(before: OpeningMemory, input: OpeningInput): OpeningDecision {
  const turn = new Turn(before, input);
  if (input.role === null && before.opened === null) turn.stop();
  for (const event of input.events) turn.take(event);
  turn.pass(before);
  return { memory: turn.memory, acts: turn.acts, wakeAt: turn.wakeAt() };
}

/** One decision as it is made; nothing of it is kept. */
class Turn {
  memory: OpeningMemory;
  readonly acts: Act[] = [];
  readonly #input: OpeningInput;
  readonly #anew: boolean;

  constructor(memory: OpeningMemory, input: OpeningInput) {
    this.#input = input;
    const sane = memory.nextTryAt > input.now + 2 * timing.LAST_PAUSE_MS ? { ...memory, nextTryAt: input.now } : memory;
    this.#anew = memory.fingerprint !== input.fingerprint;
    this.memory = this.#anew
      ? { ...sane, fingerprint: input.fingerprint, failures: 0, nextTryAt: this.#firstTryAt(), failure: null }
      : sane;
  }

  #firstTryAt(): number {
    const { now, pair, scale } = this.#input;
    return (
      now + Math.floor(fraction(pair) * Math.min(timing.MOST_SPREAD_MS, Math.max(0, scale - 1) * timing.SPREAD_MS))
    );
  }

  take(event: OpeningEvent): void {
    const { role } = this.#input;
    if (event.type === 'fan') this.#onFan(event);
    else if (event.type === 'spray') this.#onSpray(event);
    else if (role === 'fan') this.#hearAsFan(event.message);
    else if (role === 'spray') this.#hearAsSpray(event.message);
    else if (event.message.kind === 'ask') this.#say({ kind: 'no', token: event.message.token, why: 'pair' });
  }

  #hearAsFan(message: Extract<OpeningEvent, { type: 'message' }>['message']): void {
    const { phase, token } = this.memory;
    if (message.token !== token) return;
    if (message.kind === 'no' && (phase === 'asking' || phase === 'fanned')) {
      const { why } = message;
      if (why === 'busy') this.#comeBack();
      else this.#fail(why === 'missed' ? REFUSED.missed : `the other end says no: ${REFUSED[why]}`);
    } else if (message.kind === 'ready' && phase === 'asking') {
      // Only the port may be newer than what is published: nobody can be made to send to a third party.
      if (message.hole.ip !== this.#input.hole?.ip) this.#fail('the other end says another address than is published');
      else this.#fan(message.hole);
    }
  }

  #fan(aim: HostPort): void {
    const { now } = this.#input;
    const { token, failures } = this.memory;
    const ttl = PUNCH_TTLS[failures % PUNCH_TTLS.length] as number;
    this.acts.push({ op: 'fan', token, to: aim, sockets: this.#input.fan.sockets, ttl, lifeMs: timing.FAN_MS });
    this.#enter('fanned', { aim, saidAt: now });
    this.#sayOpen();
  }

  #sayOpen(): void {
    this.#say({ kind: 'open', token: this.memory.token, ports: this.#input.fan.ports });
  }

  #onFan({ id, localPort, outsidePort }: Extract<OpeningEvent, { type: 'fan' }>): void {
    const { phase, token, aim } = this.memory;
    if (phase !== 'fanned' || id !== openingId(token) || aim === null) return;
    if (localPort === 0) {
      this.#fail(REFUSED.missed);
      return;
    }
    this.acts.push({ op: 'end-opening', token });
    this.#enter('opened', { opened: { target: aim, localPort }, outsidePort, proven: false });
    this.#sayHit();
  }

  #sayHit(): void {
    this.#say({ kind: 'hit', token: this.memory.token, port: this.memory.outsidePort });
  }

  #hearAsSpray(message: Extract<OpeningEvent, { type: 'message' }>['message']): void {
    const { phase, token } = this.memory;
    const { ownHole, hole, allowance } = this.#input;
    const isThis = phase === 'spraying' && message.token === token;
    if (message.kind === 'ask' || (message.kind === 'open' && !isThis)) {
      const why = this.#against();
      if (why !== null) this.#say({ kind: 'no', token: message.token, why });
      else if (message.kind === 'open') this.#spray(message.token, message.ports);
      else if (ownHole !== null) {
        const probes = Math.min(SPRAY_PROBES, allowance.probes);
        this.#say({ kind: 'ready', token: message.token, hole: ownHole, probes });
      }
    } else if (isThis && message.kind === 'no') this.#end('the other end gave it up');
    else if (isThis && message.kind === 'hit' && hole !== null) {
      this.acts.push({ op: 'end-opening', token });
      const opened = { target: { ip: hole.ip, port: message.port }, localPort: null };
      this.#enter('opened', { opened, proven: false });
    }
  }

  #spray(token: string, ports: Extract<Act, { op: 'spray' }>['ports']): void {
    const { hole, allowance } = this.#input;
    if (hole === null) return;
    if (this.memory.token !== '') this.acts.push({ op: 'end-opening', token: this.memory.token });
    const count = Math.min(SPRAY_PROBES, allowance.probes, ports.last - ports.first + 1);
    this.acts.push({ op: 'spray', token, to: hole, ports, count });
    this.#enter('spraying', { token, opened: null });
  }

  #onSpray({ id, sent }: Extract<OpeningEvent, { type: 'spray' }>): void {
    const { phase, token } = this.memory;
    if (phase !== 'spraying' || id !== openingId(token)) return;
    if (sent === 0) this.#end('no probe could be sent');
    else this.memory = { ...this.memory, saidAt: this.#input.now };
  }

  /** What stands against this end's part in a try that begins now. */
  #against(): Refusal | null {
    const { against, ownHole, hole, state, allowance } = this.#input;
    if (against !== null) return against;
    if (ownHole === null || hole === null) return 'place';
    if (state === 'direct') return 'direct';
    if (allowance.busy) return 'busy';
    return allowance.probes === 0 ? 'spent' : null;
  }

  /** What time brings. */
  pass(before: OpeningMemory): void {
    const { now, role } = this.#input;
    const { phase, since, saidAt, said } = this.memory;
    switch (phase) {
      case 'closing':
        if (this.#input.peer) break;
        this.#enter('idle', { token: '', opened: null });
        if (role === 'fan' && this.#isDue()) this.#ask();
        break;
      case 'idle':
        if (role === 'fan' && this.#isDue()) this.#ask();
        break;
      case 'asking':
        if (now < saidAt + timing.ASK_MS) break;
        if (said >= timing.ASKS) this.#fail('the other end does not answer');
        else this.#say({ kind: 'ask', token: this.memory.token, sockets: this.#input.fan.sockets });
        break;
      case 'fanned':
        if (now >= since + timing.FAN_LOST_MS) this.#fail('the sockets were lost');
        else if (now >= saidAt + timing.SAY_AGAIN_MS) this.#sayOpen();
        break;
      case 'spraying':
        if (now < this.#sprayEnd()) break;
        this.#say({ kind: 'no', token: this.memory.token, why: 'missed' });
        this.#end(REFUSED.missed);
        break;
      case 'opened':
        if (before.phase === 'opened' && before.token === this.memory.token) this.#watch();
        break;
    }
  }

  /** By when "hit" must have come. */
  #sprayEnd(): number {
    const { since, saidAt } = this.memory;
    return saidAt > 0 ? Math.min(saidAt + timing.MISSED_MS, since + timing.SPRAY_MS) : since + timing.SPRAY_MS;
  }

  #isDue(): boolean {
    const { now, state, peer } = this.#input;
    return now >= this.memory.nextTryAt && state === 'relayed' && !peer && this.#against() === null;
  }

  #ask(): void {
    this.#enter('asking', { token: this.#input.token });
    this.#say({ kind: 'ask', token: this.#input.token, sockets: this.#input.fan.sockets });
  }

  /** What was opened is the path's now: it comes to an end with it. */
  #watch(): void {
    const { now, state, session, role } = this.#input;
    const { since, saidAt, proven, outsidePort } = this.memory;
    // Another hole of either end is another pair of NAT mappings: what was opened is for the old one.
    if (state === 'relayed' || (state === 'punching' && this.#anew)) {
      const memory = { ...this.memory, phase: 'closing' as const, since: now };
      this.memory = proven ? { ...memory, failures: 0, ...this.#pause(0) } : this.#failed(memory, NO_HANDSHAKE);
    } else if (state === 'direct' && !proven) this.memory = { ...this.memory, proven: true };
    else if (
      role === 'fan' &&
      outsidePort > 0 &&
      !session &&
      now < since + timing.HIT_MS &&
      now >= saidAt + timing.SAY_AGAIN_MS
    )
      this.#sayHit();
  }

  /** Everything that is going on ends here. */
  stop(): void {
    if (isActive(this.memory)) this.#end(null);
  }

  /** It has others to open with, one after the other: to ask again costs a message, and is no failure. */
  #comeBack(): void {
    this.#end(`the other end says no: ${REFUSED.busy}`);
    this.memory = { ...this.memory, nextTryAt: this.#input.now + this.#busyPause() };
  }

  #busyPause(): number {
    const { pair, token } = this.#input;
    return Math.floor(timing.BUSY_MS * (0.5 + fraction(`${pair} ${token}`)));
  }

  #fail(why: string): void {
    this.#end(why);
    this.memory = this.#failed(this.memory, why);
  }

  #failed(memory: OpeningMemory, failure: string): OpeningMemory {
    return { ...memory, failure, failures: memory.failures + 1, ...this.#pause(memory.failures) };
  }

  #pause(failures: number): Pick<OpeningMemory, 'nextTryAt'> {
    const pause = timing.PAUSES_MS[Math.min(failures, timing.PAUSES_MS.length - 1)] as number;
    const jitter = pause * fraction(`${this.#input.pair} ${failures}`) * timing.JITTER;
    return { nextTryAt: this.#input.now + pause + Math.floor(jitter) };
  }

  #end(failure: string | null): void {
    this.acts.push({ op: 'end-opening', token: this.memory.token });
    this.#enter('idle', { token: '', opened: null, failure });
  }

  #enter(phase: OpeningMemory['phase'], more: Partial<OpeningMemory>): void {
    this.memory = { ...this.memory, phase, since: this.#input.now, saidAt: 0, said: 0, ...more };
  }

  #say(message: Extract<Act, { op: 'say' }>['message']): void {
    this.acts.push({ op: 'say', message });
    if (message.token !== this.memory.token) return;
    this.memory = { ...this.memory, saidAt: this.#input.now, said: this.memory.said + 1 };
  }

  wakeAt(): number {
    const { now, role, session, allowance } = this.#input;
    const { phase, since, saidAt, nextTryAt, outsidePort } = this.memory;
    switch (phase) {
      case 'idle':
        if (role !== 'fan') return Number.POSITIVE_INFINITY;
        if (nextTryAt > now) return nextTryAt;
        return now + (allowance.busy ? this.#busyPause() : timing.LOOK_AGAIN_MS);
      case 'asking':
        return saidAt + timing.ASK_MS;
      case 'fanned':
        return Math.min(saidAt + timing.SAY_AGAIN_MS, since + timing.FAN_LOST_MS);
      case 'spraying':
        return this.#sprayEnd();
      case 'opened':
        // The path's end is told by the path.
        if (role !== 'fan' || outsidePort === 0 || session || now >= since + timing.HIT_MS)
          return Number.POSITIVE_INFINITY;
        return now + timing.SAY_AGAIN_MS;
      case 'closing':
        return now + timing.WATCH_MS;
    }
  }
}
