/**
 * Addresses that no gateway may draw into a tunnel: it would cut the node off. Relays' addresses are claims like
 * others and so for decide/admission.ts to judge: whoever writes one must not throw others out with it.
 */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import type { ProtectedAddresses } from '../decide/admission.js';
import { type Ip, parseIp } from '../model/address.js';
import type { Underlay } from '../model/facts.js';
import type { StunServer } from '../nat/servers.js';

const RESOLV_CONF = '/etc/resolv.conf';

/**
 * STUN and DNS servers' addresses and the store's; what cannot be resolved now is left out.
 *
 * @param store hosts that the Gateways come from
 */
export async function serverAddresses(
  stun: readonly StunServer[],
  store: readonly string[] = [],
): Promise<Map<Ip, string>> {
  const found = new Map<Ip, string>();
  const find = async (host: string, what: string) => {
    const literal = parseIp(host);
    const addresses = literal === null ? await lookup(host, { all: true }).catch(() => []) : [{ address: literal }];
    for (const { address } of addresses) {
      const ip = parseIp(address);
      if (ip !== null) found.set(ip, what);
    }
  };
  await Promise.all([
    ...stun.map(({ host }) => find(host, 'a STUN server')),
    ...store.map((host) => find(host, 'the server that Gateways come from')),
  ]);
  for (const line of (await readFile(RESOLV_CONF, 'utf8').catch(() => '')).split('\n')) {
    const ip = parseIp(/^nameserver\s+(\S+)/.exec(line)?.[1] ?? '');
    if (ip !== null) found.set(ip, 'a DNS server');
  }
  return found;
}

export function protectedAddresses(servers: ReadonlyMap<Ip, string>, underlay: Underlay | null): ProtectedAddresses {
  const addresses = new Map(servers);
  for (const ip of underlay?.addresses ?? []) addresses.set(ip, "this node's own address");
  return addresses;
}

export function sameAddresses(a: ProtectedAddresses, b: ProtectedAddresses): boolean {
  return a.size === b.size && [...a].every(([ip, what]) => b.get(ip) === what);
}
