/** Routes as the native side gives them. */
import { ipToBytes, parseIp, parsePrefix, prefixAddress, prefixLength } from '#src/model/address.js';
import type { Route, RouteColumns } from '#src/native.js';

function sixteen(text: string | null): number[] {
  if (text === null) return new Array(16).fill(0);
  const bytes = ipToBytes(parseIp(text) ?? assertNever(text));
  return bytes.length === 4 ? [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes] : [...bytes];
}

function assertNever(text: string): never {
  throw new TypeError(`${text} is no address`);
}

export function columnsOf(table: number, routes: readonly Route[]): RouteColumns {
  const destinations = routes.flatMap(({ destination }) => {
    const prefix = parsePrefix(destination) ?? assertNever(destination);
    return [destination.includes(':') ? 6 : 4, prefixLength(prefix), ...sixteen(prefixAddress(prefix))];
  });
  return {
    table,
    count: routes.length,
    destinations: Uint8Array.from(destinations),
    types: Uint8Array.from(routes, ({ type }) => type),
    protocols: Uint8Array.from(routes, ({ protocol }) => protocol),
    metrics: Uint32Array.from(routes, ({ metric }) => metric),
    oifs: Uint32Array.from(routes, ({ oif }) => oif ?? 0),
    gateways: Uint8Array.from(routes.flatMap(({ gateway }) => sixteen(gateway))),
    sources: Uint8Array.from(routes.flatMap(({ source }) => sixteen(source))),
  };
}
