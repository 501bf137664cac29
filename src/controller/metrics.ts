/** The controller's own metrics, beside the process's. */
import { Counter, Gauge } from 'prom-client';
import { nodeText, OPENMETRICS_END } from '../telemetry/format.js';
import { createRegistry } from '../telemetry/registry.js';
import type { MetricsSource } from '../telemetry/server.js';

/** Read at a scrape. */
export interface ControllerState {
  readonly leads: boolean;
  readonly idle: boolean;
  readonly gateways: number;
  readonly nodes: number;
  readonly refused: number;
  readonly waiting: number;
}

export type ControllerMetrics = ReturnType<typeof createControllerMetrics>;

export function createControllerMetrics(version: string, state: () => ControllerState) {
  const registry = createRegistry(version);
  const registers = [registry];
  const gauge = (name: string, help: string, value: (state: ControllerState) => number) =>
    new Gauge({
      name: `corax_controller_${name}`,
      help,
      registers,
      collect() {
        this.set(value(state()));
      },
    });
  gauge('leader', '1 where this replica leads.', ({ leads }) => Number(leads));
  gauge('idle', '1 where yurt-manager runs, or it is not known whether: nothing is written.', ({ idle }) =>
    Number(idle),
  );
  gauge('gateways', 'Gateways that are known.', ({ gateways }) => gateways);
  gauge('nodes', 'Nodes that are known.', ({ nodes }) => nodes);
  gauge('gateways_refused', 'Gateways that cannot be read and are left alone.', ({ refused }) => refused);
  gauge('writes_waiting', 'Gateways whose status has to be written.', ({ waiting }) => waiting);

  const source: MetricsSource = {
    render: async (format) => {
      const end = format === 'openmetrics' ? OPENMETRICS_END : '';
      return [Buffer.from(nodeText(await registry.metrics(), format) + end)];
    },
  };
  return {
    ...source,
    writes: new Counter({
      name: 'corax_controller_writes_total',
      help: 'Writes of a status, by result.',
      labelNames: ['result'],
      registers,
    }),
    switches: new Counter({
      name: 'corax_controller_switches_total',
      help: 'Changes of the first active endpoint of a gateway that had one.',
      registers,
    }),
    clear(): void {
      registry.clear();
    },
  };
}
