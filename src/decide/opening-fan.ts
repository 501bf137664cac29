/** The part of the end whose NAT's ports are looked for: it asks and drives. */
import type { HostPort } from '../model/address.js';
import { openingId, type RendezvousMessage } from '../model/opening.js';
import * as timing from './opening-timing.js';
import type { Heard, OpeningTurn } from './opening-turn.js';
import { REFUSED, UNTOLD } from './opening-words.js';
import { nextWindow } from './prediction.js';
import type { Birthday, Plan } from './strategies.js';
import { PUNCH_TTLS } from './timing.js';

/** Each in turn: a prediction that failed may do the next time, and costs next to nothing. */
function planOf({ input, memory }: OpeningTurn): Plan | undefined {
  return input.plans[memory.failures % input.plans.length];
}

export function ask(turn: OpeningTurn): void {
  turn.enter('asking', { token: turn.input.token });
  askAgain(turn);
}

export function askAgain(turn: OpeningTurn): void {
  const { token } = turn.memory;
  turn.sayPorts(token);
  // Without a plan the other end is asked for its part in one: how its NAT gives out ports.
  turn.say({ kind: 'ask', token, sockets: planOf(turn)?.sockets ?? 1 });
}

export function hear(turn: OpeningTurn, message: RendezvousMessage): void {
  const { phase, token } = turn.memory;
  if (message.token !== token || message.kind === 'nat') return;
  turn.memory = { ...turn.memory, answered: true };
  if (message.kind === 'no' && (phase === 'asking' || phase === 'sampling' || phase === 'fanned')) {
    const { why } = message;
    if (why === 'busy') turn.comeBack();
    else turn.fail(why === 'missed' ? REFUSED.missed : `the other end says no: ${REFUSED[why]}`);
  } else if (message.kind === 'ready' && phase === 'asking') {
    // Only the port may be newer than what is published: nobody can be made to send to a third party.
    if (message.hole.ip !== turn.input.hole?.ip) turn.fail('the other end says another address than is published');
    else begin(turn, message.hole);
  }
}

function begin(turn: OpeningTurn, aim: HostPort): void {
  const plan = planOf(turn);
  if (plan === undefined) turn.fail(REFUSED.ports);
  else if (plan.kind === 'birthday') open(turn, aim, plan, plan.ports);
  else {
    turn.acts.push({ op: 'sample', token: turn.memory.token });
    turn.enter('sampling', { aim });
  }
}

/** Where the NAT's ports stand now. */
export function sampled(turn: OpeningTurn, { token, latest }: Heard<'sample'>): void {
  const { phase, aim } = turn.memory;
  if (phase !== 'sampling' || token !== turn.memory.token || aim === null) return;
  const { plans, ownHole } = turn.input;
  const plan = planOf(turn);
  // Of another public address it tells nothing.
  if (plan?.kind === 'predicted' && latest !== null && latest.ip === ownHole?.ip) {
    open(turn, aim, plan, nextWindow(plan.sequence, latest.port));
    return;
  }
  const blind = plans.find((other): other is Birthday => other.kind === 'birthday');
  if (blind === undefined) turn.fail(UNTOLD);
  else open(turn, aim, blind, blind.ports);
}

function open(turn: OpeningTurn, aim: HostPort, { sockets }: Plan, ports: Birthday['ports']): void {
  const { token, failures } = turn.memory;
  const ttl = PUNCH_TTLS[failures % PUNCH_TTLS.length] as number;
  turn.acts.push({ op: 'fan', token, to: aim, sockets, ttl, lifeMs: timing.FAN_MS });
  turn.enter('fanned', { aim, window: ports });
  sayOpen(turn);
}

export function sayOpen(turn: OpeningTurn): void {
  const { token, window } = turn.memory;
  if (window !== null) turn.say({ kind: 'open', token, ports: window });
}

export function fanEnded(turn: OpeningTurn, { id, localPort, outsidePort }: Heard<'fan'>): void {
  const { phase, token, aim } = turn.memory;
  if (phase !== 'fanned' || id !== openingId(token) || aim === null) return;
  if (localPort === 0) {
    turn.fail(REFUSED.missed);
    return;
  }
  turn.acts.push({ op: 'end-opening', token });
  turn.enter('opened', { opened: { target: aim, localPort }, outsidePort, proven: false });
  turn.sayHit();
}
