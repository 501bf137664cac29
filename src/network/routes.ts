/** Routes out of the native side's columns. A relay has tens of thousands: they are read in slices. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Ip, ipFromBytes, type Prefix } from '../model/address.js';
import type { RouteItem } from '../model/item.js';
import type { RouteColumns } from '../native.js';

export const RTN_UNICAST = 1;
export const RTN_UNREACHABLE = 7;

const ADDRESS_BYTES = 16;
const DESTINATION_BYTES = 18;
/** Where an IPv4-mapped address (RFC 4291 2.5.5.2) has its four bytes. */
const MAPPED_AT = 12;
/** The kernel gives an IPv6 route without a metric this one. */
const IPV6_DEFAULT_METRIC = 1024;

/** The event loop turns after so many: some 0.2 ms of IPv4's, a few of IPv6's. */
export const ROUTES_PER_SLICE = 256;

/** Routes of the kinds that we make; `names`: devices by their index. */
export async function routeItems(columns: RouteColumns, names: ReadonlyMap<number, string>): Promise<RouteItem[]> {
  const items: RouteItem[] = [];
  for (let index = 0; index < columns.count; index += 1) {
    if (index > 0 && index % ROUTES_PER_SLICE === 0) await nextTurn();
    const type = columns.types[index];
    if (type === RTN_UNICAST || type === RTN_UNREACHABLE) items.push(routeItem(columns, index, names));
  }
  return items;
}

function routeItem(columns: RouteColumns, index: number, names: ReadonlyMap<number, string>): RouteItem {
  const metric = columns.metrics[index] as number;
  const unreachable = columns.types[index] === RTN_UNREACHABLE;
  return {
    kind: 'route',
    table: columns.table,
    prefix: destinationAt(columns, index),
    metric: familyAt(columns, index) === 6 && metric === IPV6_DEFAULT_METRIC ? 0 : metric,
    device: unreachable ? null : (names.get(columns.oifs[index] as number) ?? null),
    via: addressAt(columns.gateways, index),
    source: addressAt(columns.sources, index),
  };
}

export function familyAt(columns: RouteColumns, index: number): 4 | 6 {
  return columns.destinations[index * DESTINATION_BYTES] === 4 ? 4 : 6;
}

export function destinationAt(columns: RouteColumns, index: number): Prefix {
  const at = index * DESTINATION_BYTES;
  const start = at + 2 + (familyAt(columns, index) === 4 ? MAPPED_AT : 0);
  const address = ipFromBytes(columns.destinations.subarray(start, at + DESTINATION_BYTES));
  return `${address}/${columns.destinations[at + 1]}` as Prefix;
}

/** An entry of `gateways` or `sources`; null where the route has none. */
export function addressAt(column: Uint8Array, index: number): Ip | null {
  const bytes = column.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES);
  return bytes.every((byte) => byte === 0) ? null : ipFromBytes(bytes);
}
