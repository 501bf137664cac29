/**
 * What a pair's NATs allow, cheapest first, with what it costs and how likely it is to work. Pure: both ends come to the
 * same list, each with its own part in it.
 */
import type { NatType } from '../model/nat.js';
import type { OpeningRole, PortRange } from '../model/opening.js';
import { describeNat, pairVerdict } from './relations.js';

/** Sockets of the hard end, each a mapping at its NAT; probes of the easy end, each an entry in its NAT's table. */
export const FAN_SOCKETS = 256;
export const SPRAY_PROBES = 1_024;
/** Ports that a NAT gives out where nothing more is known (RFC 4787 4.3 keeps clear of those below 1,024). */
export const ALL_PORTS: PortRange = { first: 1_024, last: 65_535 };

export interface Strategy {
  /** `hole`: each end to the other's published hole; `birthday`: one end's fan, the other's spray. */
  readonly kind: 'hole' | 'birthday';
  readonly role: OpeningRole | null;
  readonly sockets: number;
  readonly probes: number;
  /** Of one try, as a fraction of 1. */
  readonly odds: number;
}

export interface Strategies {
  /** Empty: the pair stays on the relay. */
  readonly list: readonly Strategy[];
  /** One sentence. */
  readonly reason: string;
}

/**
 * Chance that at least one of `probes` different ports of a range is among the `mappings` that are open in it: the
 * birthday problem with two kinds (hypergeometric, drawing without putting back),
 * 1 − C(R − N, K) / C(R, K) = 1 − ∏ (R − N − i) / (R − i) for i < K.
 */
export function birthdayOdds(mappings: number, probes: number, ports: PortRange): number {
  const range = ports.last - ports.first + 1;
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
export function bothHardOdds(probes: number, ports: PortRange): number {
  const range = ports.last - ports.first + 1;
  return -Math.expm1(probes ** 2 * Math.log1p(-1 / range ** 2));
}

/** The fan's size, and where its mappings lie: no more than a quarter of what a carrier's NAT gives to a subscriber. */
export function fanFor(block: PortRange | null): { readonly sockets: number; readonly ports: PortRange } {
  if (block === null) return { sockets: FAN_SOCKETS, ports: ALL_PORTS };
  const quarter = Math.floor((block.last - block.first + 1) / 4);
  return { sockets: Math.max(1, Math.min(FAN_SOCKETS, quarter)), ports: block };
}

/** @param block of ports that the own NAT gives out; null where it is none, or not known */
export function strategiesFor(
  local: NatType | null,
  remote: NatType | null,
  block: PortRange | null = null,
): Strategies {
  const verdict = pairVerdict(local, remote);
  if (verdict.may) {
    const hole: Strategy = { kind: 'hole', role: null, sockets: 0, probes: 0, odds: 1 };
    return { list: [hole], reason: verdict.reason };
  }
  if (local === 'Symmetric NAT' && remote === 'Symmetric NAT') {
    const odds = bothHardOdds(SPRAY_PROBES, ALL_PORTS);
    const why = `${SPRAY_PROBES} probes a side would meet in ${percent(odds)} of tries`;
    return { list: [], reason: `${verdict.reason}: ${why}` };
  }
  const role = local === 'Symmetric NAT' ? 'fan' : 'spray';
  const { sockets, ports } = fanFor(role === 'fan' ? block : null);
  const probes = Math.min(SPRAY_PROBES, ports.last - ports.first + 1);
  const birthday: Strategy = { kind: 'birthday', role, sockets, probes, odds: birthdayOdds(sockets, probes, ports) };
  const who = `this end is behind ${describeNat(local)}, the other behind ${describeNat(remote)}`;
  return { list: [birthday], reason: `${who}: probes find a way in ${percent(birthday.odds)} of tries` };
}

function percent(odds: number): string {
  return `${(odds * 100).toFixed(odds < 0.01 ? 3 : 1)} %`;
}
