/**
 * Whom there is traffic with, as the corax table keeps it: addresses beyond the tunnel that packets went to or came from in the
 * last seconds. The kernel forgets them by itself, so that reading them changes nothing.
 */
import { type Ip, isIpv4, parseIp } from '../model/address.js';
import { PROBE_TOS } from '../model/names.js';

export const BUSY_SET = 'busy';

/** Longer than two readings are apart. */
const KEPT_S = 5;
/** Reading costs by the element. Who finds no place finds one that somebody's time ran out on: it is not prolonged. */
const MOST = 1_024;

type Json = Readonly<Record<string, unknown>>;

export const busySet: Json = { name: BUSY_SET, type: 'ipv4_addr', flags: ['timeout'], size: MOST, timeout: KEPT_S };

/** Probes are no traffic: theirs is a TOS of our own, whose upper six bits are the DSCP (RFC 2474 3). */
export const notProbes: readonly Json[] = [
  { match: { op: '==', left: { payload: { protocol: 'ip', field: 'protocol' } }, right: 'icmp' } },
  {
    match: {
      op: '==',
      left: { payload: { protocol: 'ip', field: 'dscp' } },
      right: { set: Object.values(PROBE_TOS).map((tos) => tos >> 2) },
    },
  },
  { return: null },
];

export function remember(field: 'saddr' | 'daddr'): Json {
  return { set: { op: 'add', elem: { payload: { protocol: 'ip', field } }, set: `@${BUSY_SET}` } };
}

/** From the answer to a question for the set. */
export function busyIn(answer: string): Ip[] {
  const { nftables } = JSON.parse(answer) as { nftables?: unknown };
  if (!Array.isArray(nftables)) return [];
  return nftables.flatMap((object: { set?: { name?: unknown; elem?: unknown } } | null) => {
    const found = object?.set;
    return found?.name === BUSY_SET && Array.isArray(found.elem) ? found.elem.flatMap(addressIn) : [];
  });
}

/** With a timeout an element is an object around its value. */
function addressIn(element: unknown): Ip[] {
  const value: unknown = (element as { elem?: { val?: unknown } } | null)?.elem?.val ?? element;
  const ip = typeof value === 'string' ? parseIp(value) : null;
  return ip === null || !isIpv4(ip) ? [] : [ip];
}
