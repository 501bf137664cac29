/** Who gets a direct plane where it is given on demand: whoever there is traffic with. */
import type { RemoteFacts, SiteFacts } from '../model/facts.js';
import { DEMAND_MS, isWithin } from './timing.js';

/** Are direct planes given on demand here? */
export function isOnDemand({ role, direct, crowded, onePlane }: SiteFacts): boolean {
  return role === 'edge' && !onePlane && (direct === 'demand' || (direct === 'auto' && crowded));
}

/** Until when the remote may have its direct plane, Unix milliseconds: Infinity where that is no matter of traffic. */
export function askedUntil(site: SiteFacts, { trafficAt = 0 }: RemoteFacts, now: number): number {
  if (!isOnDemand(site)) return Number.POSITIVE_INFINITY;
  return isWithin(DEMAND_MS, trafficAt, now) ? Math.min(trafficAt, now) + DEMAND_MS : Number.NEGATIVE_INFINITY;
}
