/** How much a node may spend on openings: per remote, for all, and at once. Times are Unix milliseconds. */
import type { Allowance } from '../model/opening.js';
import { SPRAY_PROBES } from './opening-size.js';

const HOUR_MS = 3_600_000;
/** Probes and mappings an hour: eight tries towards one remote, 64 towards all. */
export const PER_REMOTE = 8 * SPRAY_PROBES;
export const FOR_ALL = 64 * SPRAY_PROBES;
/** One try at a time: a NAT's table, and its patience with new flows, are everybody's behind it. */
export const AT_ONCE = 1;

export interface Spending {
  readonly at: number;
  readonly gateway: string;
  readonly probes: number;
}

/** Without what is older than an hour. A clock that was set back must not keep an entry for ever. */
export function recent(ledger: readonly Spending[], now: number): Spending[] {
  return ledger.filter(({ at }) => Math.abs(now - at) < HOUR_MS);
}

/** @param active remotes with which a try is going on, this one not counted */
export function allowance(ledger: readonly Spending[], active: number, gateway: string, now: number): Allowance {
  let [own, all] = [0, 0];
  for (const { gateway: name, probes } of recent(ledger, now)) {
    all += probes;
    if (name === gateway) own += probes;
  }
  return { probes: Math.max(0, Math.min(PER_REMOTE - own, FOR_ALL - all)), busy: active >= AT_ONCE };
}
