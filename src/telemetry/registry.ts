/** What every process of corax tells of itself: prom-client's own, and which version it is. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** Gauges that are called as only counters may be; what they are the sum of stays. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

export function createRegistry(version: string): Registry {
  const register = new Registry();
  // Its timer wakes the process: at the default of 10 ms an idle one does little else.
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 100 });
  for (const name of MISNAMED) register.removeSingleMetric(name);
  new Gauge({
    name: 'corax_build_info',
    help: 'Always 1; the versions are in the labels.',
    labelNames: ['version', 'node_version'],
    registers: [register],
  }).set({ version, node_version: process.versions.node }, 1);
  return register;
}
