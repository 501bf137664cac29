/** The agent's metrics: prom-client for the node's own, {@link PeerExposition} for the peers'. */
import { Counter, Gauge, Histogram } from 'prom-client';
import { type Format, nodeText, OPENMETRICS_END } from './format.js';
import { natGauges } from './nat-metrics.js';
import { type NodeState, nodeGauges } from './node-metrics.js';
import { PeerExposition, type PeerMetrics, type PeerOptions } from './peer-metrics.js';
import { createRegistry } from './registry.js';

export type { NodeState } from './node-metrics.js';
export type { PeerMetrics, PlaneMetrics } from './peer-metrics.js';

export interface MetricsOptions extends PeerOptions {
  readonly version: string;
  /** `corax_time_to_direct_seconds` and `corax_apply_duration_seconds` have it as a label. */
  readonly driver: string;
  /** All peers; called once a scrape, and each is asked for as its turn comes. */
  readonly peers: () => { readonly count: number; readonly each: Iterable<PeerMetrics> };
  /** Each pair of NATs once that may be tried; read at a scrape. */
  readonly natPairs: () => Iterable<NatPair>;
  /** Read at a scrape. */
  readonly node: () => NodeState;
}

/** How a try to open a direct plane may end. */
export const PUNCH_RESULTS = ['direct', 'failed', 'given-up'] as const;
export type PunchResult = (typeof PUNCH_RESULTS)[number];

/** NAT types, or "unknown". */
export interface NatPair {
  readonly local: string;
  readonly remote: string;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(options: MetricsOptions) {
  const registry = createRegistry(options.version);
  const registers = [registry];
  const peers = new PeerExposition(options);
  nodeGauges(registry, options.node);

  const portMappingInfo = new Gauge({
    name: 'corax_port_mapping_info',
    help: 'Always 1, and there only where the router maps the port of the tunnel: by which protocol is in the label.',
    labelNames: ['protocol'],
    registers,
  });

  return {
    registry,
    driver: options.driver,

    /** The whole exposition, in pieces that were made while others had their turn in between. */
    async render(format: Format): Promise<Buffer[]> {
      const node = nodeText(await registry.metrics(), format);
      const { each, count } = options.peers();
      const end = format === 'openmetrics' ? [Buffer.from(OPENMETRICS_END)] : [];
      return [Buffer.from(node), ...(await peers.render(each, count, format)), ...end];
    },

    ...natGauges(registry),

    /** The one series of corax_port_mapping_info; null where no router maps the port. */
    setPortMapping(protocol: string | null): void {
      portMappingInfo.reset();
      if (protocol !== null) portMappingInfo.set({ protocol }, 1);
    },

    portMappingRequests: new Counter({
      name: 'corax_port_mapping_requests_total',
      help: 'Times that the router was asked to map the port of the tunnel, by protocol and result.',
      labelNames: ['protocol', 'result'],
      registers,
    }),
    portMappingsLost: new Counter({
      name: 'corax_port_mappings_lost_total',
      help: 'Mappings that the router no longer had when it was asked.',
      labelNames: ['protocol'],
      registers,
    }),
    pathTransitions: new Counter({
      name: 'corax_path_transitions_total',
      help: 'Changes of a path, by the states before and after and the cause.',
      labelNames: ['from', 'to', 'reason'],
      registers,
    }),
    holePunchAttempts: new Counter({
      name: 'corax_hole_punch_attempts_total',
      help: 'Tries to open a direct plane that came to an end, by the NATs of both ends and the result.',
      labelNames: ['local_nat', 'remote_nat', 'result'],
      registers,
      // A try may begin and end between two scrapes: what Prometheus never saw at 0 has not risen for it.
      collect() {
        for (const { local, remote } of options.natPairs())
          for (const result of PUNCH_RESULTS) this.inc({ local_nat: local, remote_nat: remote, result }, 0);
      },
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
    harvestLast: new Gauge({
      name: 'corax_harvest_last_timestamp_seconds',
      help: 'When this relay last looked where its edges are; 0 = it is no relay, or has not yet.',
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
      labelNames: ['attempt', 'driver'],
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60],
      registers,
    }),
    handshakeRtt: new Histogram({
      name: 'corax_handshake_rtt_seconds',
      help: 'From the initiation of a handshake of this node to its response, as seen on the wire.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),
    handshakes: new Counter({
      name: 'corax_handshakes_total',
      help: 'Handshakes with known peers, by result: completed, or refused after an answer (the pre-shared keys differ).',
      labelNames: ['result'],
      registers,
    }),
    applyDuration: new Histogram({
      name: 'corax_apply_duration_seconds',
      help: 'Time to carry out the steps of one stage in one turn of the loop.',
      labelNames: ['driver', 'stage'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
      registers,
    }),

    /** For tests: lets go of the observers of the default metrics. */
    clear(): void {
      registry.clear();
    },
  };
}
