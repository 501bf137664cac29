/**
 * What a pair's NATs allow, cheapest first, with what it costs and how likely it is to work. Pure: both ends come to the
 * same list, each with its own part in it.
 */
import type { NatType } from '../model/nat.js';
import type { NatPorts } from '../model/nat-profile.js';
import type { OpeningRole } from '../model/opening.js';
import { ALL_PORTS, type PortRange, sizeOf } from '../model/ports.js';
import { FAN_SOCKETS, SPRAY_PROBES } from './opening-size.js';
import { bothPredictedOdds, nextWindowSize, type PortSequence, predictedOdds, sequenceOf } from './prediction.js';
import { describeNat, pairVerdict } from './relations.js';

interface Cost {
  /** Mappings at the NAT whose ports are looked for, and probes from the other end. */
  readonly sockets: number;
  readonly probes: number;
  /** Of one try, as a fraction of 1. */
  readonly odds: number;
}

/** Each end to the other's published hole. */
export type Hole = Cost & { readonly kind: 'hole' };
/** One end's fan, whose ports are told beforehand; the other's spray of these. */
export type Predicted = Cost & { readonly kind: 'predicted'; readonly sequence: PortSequence };
/** One end's fan; the other's spray in all the range. */
export type Birthday = Cost & { readonly kind: 'birthday'; readonly ports: PortRange };
export type Strategy = Hole | Predicted | Birthday;
/** What takes an opening. */
export type Plan = Predicted | Birthday;

/** One end's NAT. */
export interface NatEnd {
  readonly type: NatType | null;
  /** Null: not known. */
  readonly ports: NatPorts | null;
}

export interface Strategies {
  /** Empty: the pair stays on the relay. */
  readonly list: readonly Strategy[];
  /** This end's part in what needs an opening; null where nothing does. */
  readonly role: OpeningRole | null;
  /** One sentence. */
  readonly reason: string;
}

/**
 * Chance that at least one of `probes` different ports of a range is among the `mappings` that are open in it: the
 * birthday problem with two kinds (hypergeometric, drawing without putting back),
 * 1 − C(R − N, K) / C(R, K) = 1 − ∏ (R − N − i) / (R − i) for i < K.
 */
export function birthdayOdds(mappings: number, probes: number, ports: PortRange): number {
  const range = sizeOf(ports);
  const open = Math.min(mappings, range);
  let miss = 1;
  for (let drawn = 0; drawn < Math.min(probes, range) && miss > 0; drawn++) {
    miss *= Math.max(0, range - open - drawn) / (range - drawn);
  }
  return 1 - miss;
}

/**
 * Two random NATs: a probe of one end must go to the port that the other's probe came out of, and the other way round:
 * one pair of ports in R². K probes a side make K² pairs.
 */
export function bothHardOdds(probes: number, one: PortRange, other: PortRange): number {
  return -Math.expm1(probes ** 2 * Math.log1p(-1 / (sizeOf(one) * sizeOf(other))));
}

/** The fan's size, and where its mappings lie: no more than a quarter of what a carrier's NAT gives to a subscriber. */
export function fanFor(ports: NatPorts | null): { readonly sockets: number; readonly ports: PortRange } {
  const block = ports?.block === true ? ports.ports : null;
  if (block === null) return { sockets: FAN_SOCKETS, ports: ALL_PORTS };
  return { sockets: Math.max(1, Math.min(FAN_SOCKETS, Math.floor(sizeOf(block) / 4))), ports: block };
}

/** @param first of two alike this end has the fan: by their keys, so that both say the same */
export function strategiesFor(local: NatEnd, remote: NatEnd, first: boolean): Strategies {
  const verdict = pairVerdict(local.type, remote.type);
  if (verdict.may) {
    const hole: Hole = { kind: 'hole', sockets: 0, probes: 0, odds: 1 };
    return { list: [hole], role: null, reason: verdict.reason };
  }
  const hard = [local, remote].filter(({ type }) => type === 'Symmetric NAT');
  if (hard.length === 2) return forBothHard(local, remote, first);
  const list = forOneHard(hard[0]?.ports ?? null);
  const who = `this end is behind ${describeNat(local.type)}, the other behind ${describeNat(remote.type)}`;
  return { list, role: hard[0] === local ? 'fan' : 'spray', reason: `${who}: ${describe(list, 'the symmetric one')}` };
}

function forOneHard(ports: NatPorts | null): readonly Plan[] {
  const fan = fanFor(ports);
  const probes = Math.min(SPRAY_PROBES, sizeOf(fan.ports));
  const odds = birthdayOdds(fan.sockets, probes, fan.ports);
  const birthday: Birthday = { kind: 'birthday', ...fan, probes, odds };
  const sequence = sequenceOf(ports);
  return sequence === null ? [birthday] : [predicted(sequence, predictedOdds(sequence)), birthday];
}

function predicted(sequence: PortSequence, odds: number): Predicted {
  return { kind: 'predicted', sockets: sequence.sockets, probes: nextWindowSize(sequence), odds, sequence };
}

function forBothHard(local: NatEnd, remote: NatEnd, first: boolean): Strategies {
  const role = first ? 'fan' : 'spray';
  const both = 'both ends are behind a Symmetric NAT';
  const [fan, spray] = (first ? [local, remote] : [remote, local]).map(({ ports }) => sequenceOf(ports));
  if (fan && spray) {
    const list = [predicted(fan, bothPredictedOdds(fan, spray))];
    return { list, role, reason: `${both}: ${describe(list, 'each')}` };
  }
  return { list: [], role, reason: `${both}; ${whyNot(local, remote)}` };
}

/** Of two of which one's next port, or both's, cannot be told: what a try would come to. */
function whyNot(local: NatEnd, remote: NatEnd): string {
  const rangeOf = ({ ports }: NatEnd): PortRange => ports?.ports ?? ALL_PORTS;
  const random = [local, remote].filter(({ ports }) => sequenceOf(ports) === null);
  if (random.length === 2) {
    const odds = bothHardOdds(SPRAY_PROBES, rangeOf(local), rangeOf(remote));
    const unknown = random.some(({ ports }) => ports === null) ? ', as far as is known' : '';
    const what = `the next port of neither can be told${unknown}`;
    return `${what}: ${SPRAY_PROBES} probes a side would meet in ${percent(odds)} of tries`;
  }
  const [one] = random as [NatEnd];
  const whose = one === local ? "this end's next port" : "the other's next port";
  const unknown = one.ports === null ? ', as far as is known' : '';
  // All its mappings lead to the port that the other names; one of its own has to be where that one's probe goes.
  const { sockets } = fanFor(one.ports);
  const odds = Math.min(1, sockets / sizeOf(rangeOf(one)));
  return `${whose} cannot be told${unknown}: ${sockets} mappings would be met in ${percent(odds)} of tries`;
}

function describe([best, next]: readonly Plan[], whose: string): string {
  if (best?.kind !== 'predicted') return `probes find a way in ${percent(best?.odds ?? 0)} of tries`;
  const told = `the next port of ${whose} can be told, and ${best.probes} probes find a way in ${percent(best.odds)} of tries`;
  return next === undefined ? told : `${told}, else ${next.probes} in ${percent(next.odds)}`;
}

function percent(odds: number): string {
  return `${(odds * 100).toFixed(odds < 0.01 ? 3 : 1)} %`;
}
