/** The part of the end that looks for the other's ports: it answers. */
import { openingId, type Refusal, type RendezvousMessage } from '../model/opening.js';
import { type PortRange, sizeOf } from '../model/ports.js';
import { SPRAY_PROBES } from './opening-size.js';
import type { Heard, OpeningTurn } from './opening-turn.js';
import { REFUSED } from './opening-words.js';
import { namedPort, sequenceOf } from './prediction.js';

export function hear(turn: OpeningTurn, message: RendezvousMessage): void {
  const { phase, token } = turn.memory;
  const { hole } = turn.input;
  const isThis = phase === 'spraying' && message.token === token;
  if (message.kind === 'ask') answer(turn, message.token);
  else if (message.kind === 'open' && !isThis) {
    const why = message.token === turn.memory.ended ? 'missed' : turn.against();
    if (why === null) spray(turn, message.token, message.ports);
    else turn.say({ kind: 'no', token: message.token, why });
  } else if (isThis && message.kind === 'no') turn.end('the other end gave it up');
  else if (isThis && message.kind === 'hit' && hole !== null) {
    turn.acts.push({ op: 'end-opening', token });
    turn.enter('opened', { opened: { target: { ip: hole.ip, port: message.port }, localPort: null }, proven: false });
  }
}

/** Nothing is remembered of an answer: what is asked for is done when it is asked for. */
function answer(turn: OpeningTurn, token: string): void {
  turn.sayPorts(token);
  const why = turn.against() ?? (turn.input.bothHard ? whyNotHard(turn) : null);
  if (why !== null) turn.say({ kind: 'no', token, why });
  // Where probes come out of another port than the hole's, that port is told by what comes out now.
  else if (turn.input.bothHard) turn.acts.push({ op: 'sample', token });
  else ready(turn, token, null);
}

function whyNotHard({ input: { plans, ports, theirs } }: OpeningTurn): Refusal | null {
  if (plans.length > 0) return null;
  return ports === null || theirs === null ? 'ports' : 'odds';
}

/** Where the NAT's ports stand now. */
export function sampled(turn: OpeningTurn, { token, latest }: Heard<'sample'>): void {
  const { ports, ownHole, plans } = turn.input;
  const [plan] = plans;
  const sequence = sequenceOf(ports);
  if (plan === undefined || sequence === null || turn.against() !== null) return;
  // Of another public address it tells nothing.
  if (latest === null || latest.ip !== ownHole?.ip) turn.say({ kind: 'no', token, why: 'ports' });
  else ready(turn, token, namedPort(sequence, latest.port, plan.sockets));
}

/** @param named the port that probes will come out of, where that is not the hole's */
function ready(turn: OpeningTurn, token: string, named: number | null): void {
  const { ownHole, allowance } = turn.input;
  if (ownHole === null) return;
  const probes = Math.min(SPRAY_PROBES, allowance.probes);
  turn.say({ kind: 'ready', token, hole: { ip: ownHole.ip, port: named ?? ownHole.port }, probes });
}

function spray(turn: OpeningTurn, token: string, ports: PortRange): void {
  const { hole, allowance } = turn.input;
  if (hole === null) return;
  if (turn.memory.token !== '') turn.acts.push({ op: 'end-opening', token: turn.memory.token });
  const count = Math.min(SPRAY_PROBES, allowance.probes, sizeOf(ports));
  turn.acts.push({ op: 'spray', token, to: hole, ports, count });
  turn.enter('spraying', { token, opened: null });
}

export function sprayEnded(turn: OpeningTurn, { id, sent }: Heard<'spray'>): void {
  const { phase, token } = turn.memory;
  if (phase !== 'spraying' || id !== openingId(token)) return;
  if (sent === 0) turn.end('no probe could be sent');
  else turn.memory = { ...turn.memory, saidAt: turn.input.now };
}

export function missed(turn: OpeningTurn): void {
  turn.say({ kind: 'no', token: turn.memory.token, why: 'missed' });
  turn.memory = { ...turn.memory, ended: turn.memory.token };
  turn.end(REFUSED.missed);
}
