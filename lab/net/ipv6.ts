/**
 * Sites with IPv6 beside their NAT: a global prefix on the LAN, and a router that lets nobody in who was not asked, as
 * providers' are (RFC 6092). Pure.
 */
import { CoraxError } from '#src/errors.js';
import type { NamespacePlan, Plan } from './plan.js';
import { INET, namespace } from './wires.js';

/** What "packet too big" comes from: nobody forwards a word from a link-local address. */
const INET_OWN = 'address add 2001:db8::1/128 dev lo';

const ROUTER_FIREWALL = `table ip6 site {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "lan" accept
  }
}
`;

/** Of the site with this first node: the LAN is 2001:db8:NUMBER::/64, and hosts keep their IPv4 numbers on it. */
export function addIpv6(plan: Plan, gateway: string, number: number): void {
  const nodes = plan.nodes.filter((node) => node.gateway === gateway);
  const [first] = nodes;
  const [nat, outer] = first?.nats ?? [];
  if (first === undefined || nat === undefined || outer !== undefined)
    throw new CoraxError('CORAX_LAB', `${gateway} has IPv6, and so needs one router`);
  const [inet, router] = [namespace(plan, INET), namespace(plan, nat.namespace)];
  const device = plan.inetDevices.get(first.publicAddress);
  const lan = `2001:db8:${number}:`;
  for (const box of [inet, router]) switchOn(box, true);
  if (!inet.ip.includes(INET_OWN)) inet.ip.push(INET_OWN);
  inet.ip.push(`address add fe80::1/64 dev ${device} nodad`, `route add ${lan}:/64 via fe80::2 dev ${device}`);
  router.ip.push(
    'address add fe80::2/64 dev wan nodad',
    `address add ${lan}:1/64 dev lan nodad`,
    'route add ::/0 via fe80::1 dev wan',
  );
  router.nft += ROUTER_FIREWALL;
  for (const node of nodes) {
    const box = namespace(plan, node.namespace);
    const ipv6 = `${lan}:${node.address.split('.')[3]}`;
    switchOn(box, false);
    box.ip.push(`address add ${ipv6}/64 dev wan nodad`, `route add ::/0 via ${lan}:1`);
    plan.nodes[plan.nodes.indexOf(node)] = { ...node, ipv6 };
  }
}

function switchOn(box: NamespacePlan, forwards: boolean): void {
  for (const which of ['all', 'default']) box.sysctls.push([`ipv6/conf/${which}/disable_ipv6`, '0']);
  if (forwards) box.sysctls.push(['ipv6/conf/all/forwarding', '1']);
}
