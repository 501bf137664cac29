/**
 * One pair's openings through NATs that let no packet in first (docs/decisions/birthday.md). The fan's end asks and drives;
 * the other answers. Whatever does not come ends by time, on each end by itself.
 */
import type { OpeningEvent, OpeningMemory, RendezvousMessage } from '../model/opening.js';
import * as fan from './opening-fan.js';
import type { OpeningDecision, OpeningInput } from './opening-input.js';
import * as spray from './opening-spray.js';
import * as timing from './opening-timing.js';
import { OpeningTurn } from './opening-turn.js';
import { UNTOLD } from './opening-words.js';

export function decideOpening(before: OpeningMemory, input: OpeningInput): OpeningDecision {
  const turn = new OpeningTurn(before, input);
  if (input.role === null && before.opened === null) turn.stop();
  for (const event of input.events) take(turn, event);
  pass(turn, before);
  return { memory: turn.memory, acts: turn.acts, wakeAt: wakeAt(turn) };
}

function take(turn: OpeningTurn, event: OpeningEvent): void {
  const { role } = turn.input;
  switch (event.type) {
    case 'fan':
      fan.fanEnded(turn, event);
      break;
    case 'spray':
      spray.sprayEnded(turn, event);
      break;
    case 'sample':
      if (role !== null) (role === 'fan' ? fan : spray).sampled(turn, event);
      break;
    case 'message':
      hear(turn, event.message);
      break;
  }
}

function hear(turn: OpeningTurn, message: RendezvousMessage): void {
  const { role } = turn.input;
  if (role !== null) (role === 'fan' ? fan : spray).hear(turn, message);
  else if (message.kind === 'ask') turn.say({ kind: 'no', token: message.token, why: 'pair' });
}

/** What time brings. */
function pass(turn: OpeningTurn, before: OpeningMemory): void {
  const { now, role, peer } = turn.input;
  const { phase, since, saidAt, said } = turn.memory;
  switch (phase) {
    case 'closing':
      if (peer) break;
      turn.enter('idle', { token: '', opened: null });
      if (role === 'fan' && turn.isDue()) fan.ask(turn);
      break;
    case 'idle':
      if (role === 'fan' && turn.isDue()) fan.ask(turn);
      break;
    case 'asking':
      if (now < saidAt + timing.ASK_MS) break;
      if (said >= timing.ASKS) turn.fail('the other end does not answer');
      else fan.askAgain(turn);
      break;
    case 'sampling':
      if (now >= since + timing.SAMPLE_MS) turn.fail(UNTOLD);
      break;
    case 'fanned':
      if (now >= since + timing.FAN_LOST_MS) turn.fail('the sockets were lost');
      else if (now >= saidAt + timing.SAY_AGAIN_MS) fan.sayOpen(turn);
      break;
    case 'spraying':
      if (now >= turn.sprayEnd()) spray.missed(turn);
      break;
    case 'opened':
      if (before.phase === 'opened' && before.token === turn.memory.token) turn.watch();
      break;
  }
}

function wakeAt(turn: OpeningTurn): number {
  const { now, role, allowance } = turn.input;
  const { phase, since, saidAt, nextTryAt } = turn.memory;
  switch (phase) {
    case 'idle':
      if (role !== 'fan') return Number.POSITIVE_INFINITY;
      if (nextTryAt > now) return nextTryAt;
      return now + (allowance.busy ? turn.busyPause() : timing.LOOK_AGAIN_MS);
    case 'asking':
      return saidAt + timing.ASK_MS;
    case 'sampling':
      return since + timing.SAMPLE_MS;
    case 'fanned':
      return Math.min(saidAt + timing.SAY_AGAIN_MS, since + timing.FAN_LOST_MS);
    case 'spraying':
      return turn.sprayEnd();
    case 'opened':
      // The path's end is told by the path.
      return turn.repeatsHit() ? now + timing.SAY_AGAIN_MS : Number.POSITIVE_INFINITY;
    case 'closing':
      return now + timing.WATCH_MS;
  }
}
