/** How fast Gateways may be written: what a write costs the API grows with the agents that watch. Pure. */

/**
 * A write takes watchers / 2,000 seat-seconds of API priority and fairness (KEP-1040, the work of watch events:
 * 5 ms for every 10 watchers). "workload-low", where service accounts are, has 245 seats by default in each API
 * server; 100 of them are ours in the worst case, where one server has all the watchers.
 */
const WATCH_EVENTS_PER_S = 200_000;
/** Few watchers, cheap writes; beyond this it is the answers that we would wait for. */
const MOST_PER_S = 100;
const LEAST_PER_S = 5;

/** @param watchers agents that follow the Gateways: about as many as there are Gateways */
export function writesPerSecond(watchers: number): number {
  return Math.max(LEAST_PER_S, Math.min(MOST_PER_S, WATCH_EVENTS_PER_S / Math.max(1, watchers)));
}
