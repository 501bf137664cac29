/** A gateway's nodes: the first holds the tunnel, the others stand on its LAN, as a CNI with host routes has them. Pure. */
import { addNode, type NodeArguments, type NodePlan, type Plan } from './plan.js';
import { addBridge, addNamespace, namespace } from './wires.js';

/** Pod networks 30 to 249 are the further nodes': four a site, and relays' after all sites'. */
const FURTHER = 30;

/** Adds the first node, and `count` − 1 beside it. */
export function addSite(plan: Plan, first: NodeArguments, count: number): void {
  const nodes = [addNode(plan, first)];
  for (let index = 1; index < count; index += 1) {
    const place = first.role === 'relay' ? 160 + (first.number - 200) * 4 : FURTHER + (first.number - 1) * 4;
    const home =
      first.home.nats.length > 0
        ? first.home
        : { ...first.home, publicAddress: nextAddress(first.home.publicAddress, index) };
    const name = `${first.name}-${index + 1}`;
    nodes.push(addNode(plan, { ...first, name, site: first.name, role: 'member', number: place + index, home }));
  }
  if (count === 1) return;
  const joined = first.home.nats.length > 0 ? nodes : withNetwork(plan, first, nodes);
  plan.nodes.splice(-count, count, ...joined);
  for (const node of joined) {
    const box = namespace(plan, node.namespace);
    for (const other of joined) {
      if (other !== node) box.ip.push(`route add ${other.podSubnet} via ${other.privateAddress}`);
    }
    if (first.firewall) box.nft += OVERLAY_PORT;
  }
}

/** raven's VXLAN comes in from the LAN. */
const OVERLAY_PORT = 'insert rule inet hostfw input udp dport 4472 accept\n';

function nextAddress(address: string, by: number): string {
  const octets = address.split('.').map(Number);
  return [...octets.slice(0, 3), (octets[3] ?? 0) + 100 + by].join('.');
}

/** A network of the site's own beside the public one, as clouds have it. */
function withNetwork(plan: Plan, { name, number }: NodeArguments, nodes: readonly NodePlan[]): NodePlan[] {
  const bridge = addNamespace(plan, `${name}-net`);
  addBridge(bridge, 'lan', `10.100.${number}.1/24`);
  return nodes.map((node, index) => {
    const port = `l${index + 2}`;
    const privateAddress = `10.100.${number}.${index + 2}`;
    plan.wires.push({ a: { namespace: bridge.name, device: port }, b: { namespace: node.namespace, device: 'lan' } });
    bridge.ip.push(`link set ${port} master lan`, `link set ${port} up`);
    namespace(plan, node.namespace).ip.push(`address add ${privateAddress}/24 dev lan`, 'link set lan up');
    return { ...node, privateAddress };
  });
}
