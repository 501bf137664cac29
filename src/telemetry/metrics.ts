/** The agent's metrics: prom-client for the node's own, {@link PeerExposition} for the peers'. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { PeerExposition, type PeerMetrics } from './peer-metrics.js';
import { createRegistry } from './registry.js';

export type { PeerMetrics, PlaneMetrics } from './peer-metrics.js';

export interface MetricsOptions {
  readonly version: string;
  /** The state of all peers at this moment; called once a scrape. */
  readonly collect: () => readonly PeerMetrics[];
}

export interface NatInfo {
  readonly type: string;
  readonly mapping: string;
  readonly filtering: string;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(options: MetricsOptions) {
  const registry = createRegistry(options.version);
  const registers = [registry];
  const peers = new PeerExposition();
  const natInfo = new Gauge({
    name: 'corax_nat_info',
    help: 'Always 1; the NAT that this node is behind is in the labels.',
    labelNames: ['type', 'mapping', 'filtering'],
    registers,
  });

  return {
    registry,
    contentType: registry.contentType,

    /** The whole exposition. */
    async render(): Promise<string> {
      const node = await registry.metrics();
      return `${node.trimEnd()}\n${await peers.render(options.collect())}`;
    },

    /** The one series of corax_nat_info; null where nothing is known. */
    setNat(nat: NatInfo | null): void {
      natInfo.reset();
      if (nat !== null) natInfo.set({ type: nat.type, mapping: nat.mapping, filtering: nat.filtering }, 1);
    },

    pathTransitions: new Counter({
      name: 'corax_path_transitions_total',
      help: 'Changes of a path, by the states before and after and the cause.',
      labelNames: ['from', 'to', 'reason'],
      registers,
    }),
    reconcileErrors: new Counter({
      name: 'corax_reconcile_errors_total',
      help: 'Steps that failed, by stage.',
      labelNames: ['stage'],
      registers,
    }),
    harvestChanges: new Counter({
      name: 'corax_harvest_changes_total',
      help: 'Holes seen by this relay that were new or had changed.',
      registers,
    }),
    stunRequests: new Counter({
      name: 'corax_stun_requests_total',
      help: 'STUN transactions, by result.',
      labelNames: ['result'],
      registers,
    }),
    timeToDirect: new Histogram({
      name: 'corax_time_to_direct_seconds',
      help: 'From knowing both holes to the first direct handshake.',
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60],
      registers,
    }),
    applyDuration: new Histogram({
      name: 'corax_apply_duration_seconds',
      help: 'Time to carry out the steps of one turn of the loop.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),

    /** For tests: lets go of the observers of the default metrics. */
    clear(): void {
      registry.clear();
    },
  };
}
