/** Routes out of their columns, for tests that look at a few. */
import type { Route, RouteColumns } from '#src/native.js';
import { addressAt, destinationAt } from '#src/network/routes.js';

export function routesIn(columns: RouteColumns): Route[] {
  return Array.from({ length: columns.count }, (_, index) => ({
    table: columns.table,
    destination: destinationAt(columns, index),
    type: columns.types[index] as number,
    metric: columns.metrics[index] as number,
    oif: columns.oifs[index] || null,
    gateway: addressAt(columns.gateways, index),
    source: addressAt(columns.sources, index),
    protocol: columns.protocols[index] as number,
  }));
}
