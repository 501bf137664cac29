/** What gateways claim, compared. */
import { type Prefix, sameHostPort } from '../model/address.js';
import type { Gateway } from '../model/gateway.js';
import { relayOf } from './relations.js';

/** The older object first, then by name in byte order. */
export function byAge(a: Gateway, b: Gateway): number {
  const age = (a.created ?? Number.POSITIVE_INFINITY) - (b.created ?? Number.POSITIVE_INFINITY);
  if (age !== 0 && !Number.isNaN(age)) return age;
  return a.name < b.name ? -1 : 1;
}

export function sameClaims(a: Gateway, b: Gateway): boolean {
  const same = (left: readonly Prefix[], right: readonly Prefix[]) =>
    left.length === right.length && left.every((prefix, index) => prefix === right[index]);
  const address = (gateway: Gateway) => relayOf(gateway)?.address ?? null;
  const sameAddress = sameHostPort(address(a), address(b));
  return same(a.subnets, b.subnets) && a.active?.publicKey === b.active?.publicKey && sameAddress;
}
