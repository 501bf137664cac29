/** A way from every node of a lab to servers on the host's loopback, beside the node's own uplink. */
import { run } from '../process.js';
import { inside } from './apply.js';
import type { Plan } from './plan.js';

/** The host's loopback, as nodes see it: QEMU's user network (facts: 10.0.2.2), or host-ports.ts. */
export const HOST_ADDRESS = '10.0.2.2';

const BRIDGE = 'labhost';
const NETWORK = '10.255.0';

const RULES = `table ip labhost
delete table ip labhost
table ip labhost { chain post { type nat hook postrouting priority 100; oifname "eth0" masquerade; }; }
`;

/** To be called once the namespaces are there; what an earlier lab left is replaced. */
export async function connectToHost(plan: Plan): Promise<void> {
  const nodes = plan.nodes.map(({ namespace }, index) => ({ namespace, port: `lh${index}`, host: index + 2 }));
  await run(['ip', 'link', 'del', BRIDGE], { allowFailure: true });
  const lines = [
    `link add ${BRIDGE} type bridge`,
    `address add ${NETWORK}.1/24 dev ${BRIDGE}`,
    `link set ${BRIDGE} up`,
  ];
  for (const { namespace, port } of nodes) {
    lines.push(`link add ${port} type veth peer name host0 netns ${namespace}`);
    lines.push(`link set ${port} master ${BRIDGE}`, `link set ${port} up`);
  }
  await run(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  await run(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  await run(['nft', '-f', '-'], { input: RULES });
  for (const { namespace, host } of nodes) {
    const way = [`address add ${NETWORK}.${host}/24 dev host0`, 'link set host0 up'];
    way.push(`route add ${HOST_ADDRESS}/32 via ${NETWORK}.1 dev host0`);
    await run([...inside(namespace), 'ip', '-batch', '-'], { input: `${way.join('\n')}\n` });
  }
}
