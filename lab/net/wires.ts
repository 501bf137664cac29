/** Namespaces, bridges and wires of a plan. Pure. */
import { CoraxError } from '#src/errors.js';
import type { NamespacePlan, Plan } from './plan.js';

export const INET = 'inet';
const INET_ADDRESS = '192.0.2.254';

export function namespace(plan: Plan, name: string): NamespacePlan {
  const found = plan.namespaces.get(name);
  if (!found) throw new CoraxError('CORAX_LAB', `There is no namespace ${name}`);
  return found;
}

export function addNamespace(plan: Plan, name: string): NamespacePlan {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) {
    throw new CoraxError('CORAX_LAB', `"${name}" is no name for a node: small letters, digits and -`);
  }
  if (plan.namespaces.has(name)) throw new CoraxError('CORAX_LAB', `Two things in the lab are called ${name}`);
  const sysctls = ['all', 'default'].map((which) => [`ipv6/conf/${which}/disable_ipv6`, '1'] as const);
  const made: NamespacePlan = { name, sysctls, ip: ['link set lo up'], tc: [], nft: '' };
  plan.namespaces.set(name, made);
  return made;
}

export function addBridge(box: NamespacePlan, device: string, address: string): void {
  box.ip.push(`link add ${device} type bridge`, `address add ${address} dev ${device}`, `link set ${device} up`);
}

/** Gives a namespace its public addresses: a wire to inet with a /32 on either side. */
export function attach(plan: Plan, box: NamespacePlan, addresses: readonly string[], delayMs: number): void {
  const inet = namespace(plan, INET);
  const device = `p${plan.inetDevices.size}`;
  plan.wires.push({ a: { namespace: INET, device }, b: { namespace: box.name, device: 'wan' } });
  inet.ip.push(`address add ${INET_ADDRESS}/32 dev ${device}`, `link set ${device} up`);
  for (const address of addresses) {
    plan.inetDevices.set(address, device);
    inet.ip.push(`route add ${address}/32 dev ${device}`);
    box.ip.push(`address add ${address}/32 dev wan`);
  }
  box.ip.push('link set wan up', `route add ${INET_ADDRESS}/32 dev wan`);
  box.ip.push(`route add default via ${INET_ADDRESS} dev wan src ${addresses[0]}`);
  if (delayMs > 0) inet.tc.push(`qdisc add dev ${device} root netem delay ${delayMs}ms limit 2000`);
}

/** Puts `box` on a NAT's LAN as host number `host`, with its uplink called wan. */
export function joinLan(plan: Plan, nat: string, box: NamespacePlan, lan: string, host: number): void {
  const port = `l${host}`;
  plan.wires.push({ a: { namespace: nat, device: port }, b: { namespace: box.name, device: 'wan' } });
  namespace(plan, nat).ip.push(`link set ${port} master lan`, `link set ${port} up`);
  box.ip.push(`address add ${lan}.${host}/24 dev wan`, 'link set wan up', `route add default via ${lan}.1`);
}
