/** What every process of corax tells of itself: prom-client's own, and which version it is. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';

export function createRegistry(version: string): Registry {
  const register = new Registry();
  // Its timer wakes the process: at the default of 10 ms an idle one does little else.
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 100 });
  new Gauge({
    name: 'corax_build_info',
    help: 'Always 1; the versions are in the labels.',
    labelNames: ['version', 'node_version'],
    registers: [register],
  }).set({ version, node_version: process.versions.node }, 1);
  return register;
}
