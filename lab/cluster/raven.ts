/**
 * A counterpart that does what raven-agent does on a node, by `wg` and `ip`: as relay, edge or member. It looks at the
 * Gateways when it is told to, and knows nothing of corax. WireGuard only.
 */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { type Lab, PSK } from '../lab.js';
import type { LabNode } from '../node.js';
import { announce, type RavenSite, sitesOf } from './raven-sites.js';

/** All pods, which flannel keeps from its masquerade. */
const CLUSTER = '10.244.0.0/16';
const WG_OVERHEAD = 80;
const VXLAN_OVERHEAD = 50;

export class FakeRaven {
  readonly #lab: Lab;
  readonly node: LabNode;
  readonly #secret: string;
  readonly publicKey: string;

  constructor(lab: Lab, node: LabNode) {
    this.#lab = lab;
    this.node = node;
    const { privateKey } = generateKeyPairSync('x25519');
    const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
    const base64 = (text: string): string => Buffer.from(text, 'base64url').toString('base64');
    [this.#secret, this.publicKey] = [base64(d), base64(x)];
  }

  /** Writes its key, NAT type and public address into its endpoint; it has no other keys in `config`. */
  announce(natType: string): void {
    announce(this.#lab, this.node, natType, { publicKey: this.publicKey });
  }

  /** Makes of the node what the Gateways say that it is. */
  async apply(): Promise<void> {
    const sites = sitesOf(this.#lab);
    const own = sites.find(({ name }) => name === this.node.plan.gateway);
    if (own === undefined) throw new Error(`${this.node.name} has no gateway`);
    const remotes = sites.filter((site) => site !== own);
    const holds = own.active.nodeName === this.node.name;
    const mtu = await this.#uplinkMtu();
    if (holds) await this.#tunnel(own, remotes, mtu);
    if (own.nodes.length > 1) await this.#overlay(own, remotes, mtu, holds);
    await this.#sh(`nft -f - <<END
insert rule ip cni postrouting ip saddr ${CLUSTER} ip daddr ${CLUSTER} accept
END
`);
  }

  /** As an edge does that takes the pair for routable: the remote's subnets move to its direct peer, and never back. */
  async goDirect(to: LabNode): Promise<void> {
    const remote = sitesOf(this.#lab).find(({ name }) => name === to.plan.gateway);
    const { publicIP, publicPort, config } = remote?.active ?? {};
    const peer = `peer ${config?.publicKey} endpoint ${publicIP}:${publicPort} persistent-keepalive 0`;
    const psk = `preshared-key /dev/stdin allowed-ips ${remote?.subnets.join(',')}`;
    await this.#sh(`wg set raven-wg0 ${peer} ${psk} <<END\n${presharedKey()}\nEND\n`);
  }

  async remove(): Promise<void> {
    await this.#sh(`ip link del raven-wg0 2>/dev/null || true
ip link del raven0 2>/dev/null || true
for table in 9027 9028; do
  ip route flush table $table 2>/dev/null || true
  ip rule del table $table 2>/dev/null || true
done
nft 'table ip raven; delete table ip raven'
nft flush chain ip cni postrouting
nft 'add rule ip cni postrouting ip saddr ${this.node.plan.podSubnet} ip daddr != ${this.node.plan.podSubnet} masquerade'
`);
  }

  async #tunnel(own: RavenSite, remotes: readonly RavenSite[], uplinkMtu: number): Promise<void> {
    const central = [...remotes, own]
      .filter(({ active }) => !active.underNAT)
      .sort(byNode)
      .at(-1);
    const others = remotes.filter(({ active }) => active.underNAT).flatMap(({ subnets }) => subnets);
    // Between edges there is no peer: the central one carries what they send each other.
    const peers = remotes.filter(({ active }) => !(own.active.underNAT && active.underNAT));
    const text = peers.map(({ active, subnets, name }) => {
      const carried = own.active.underNAT && name === central?.name ? [...subnets, ...others] : subnets;
      return `[Peer]
PublicKey = ${active.config?.publicKey}
PresharedKey = ${presharedKey()}
AllowedIPs = ${carried.join(', ')}
Endpoint = ${active.publicIP}:4500
PersistentKeepalive = 5
`;
    });
    const routes = remotes.flatMap(({ subnets }) => subnets);
    await this.#sh(`ip link add raven-wg0 mtu ${uplinkMtu - WG_OVERHEAD} type wireguard
wg setconf raven-wg0 /dev/stdin <<END
[Interface]
PrivateKey = ${this.#secret}
ListenPort = 4500
${text.join('')}END
ip link set raven-wg0 up
${routes.map((subnet) => `ip route add ${subnet} dev raven-wg0 scope link table 9028\n`).join('')}ip rule add from all lookup 9028 prio 101
`);
  }

  async #overlay(own: RavenSite, remotes: readonly RavenSite[], uplinkMtu: number, holds: boolean): Promise<void> {
    const { privateAddress, name } = this.node.plan;
    const mtu = Math.min(uplinkMtu - WG_OVERHEAD, uplinkMtu - VXLAN_OVERHEAD);
    const members = own.nodes.filter(({ nodeName }) => nodeName !== name);
    const behind = holds ? members : members.filter(({ nodeName }) => nodeName === own.active.nodeName);
    const group = holds ? '' : `remote ${behind[0]?.privateIP}`;
    const entries = behind.map(
      ({ privateIP }) => `bridge fdb append ${macOf(privateIP)} dev raven0 dst ${privateIP} self permanent
ip neigh replace ${overlayOf(privateIP)} lladdr ${macOf(privateIP)} dev raven0 nud permanent
`,
    );
    const routes = holds
      ? members.flatMap(({ privateIP, subnets }) => subnets.map((to) => [to, privateIP]))
      : [['default', behind[0]?.privateIP ?? '']];
    const marked = remotes.flatMap(({ subnets }) => subnets).join(', ');
    await this.#sh(`ip link add raven0 mtu ${mtu} address ${macOf(privateAddress)} type vxlan id 200 dstport 4472 nolearning ageing 300 ${group}
ip link set raven0 up
ip address add ${overlayOf(privateAddress)}/8 scope link dev raven0
echo 2 >/proc/sys/net/ipv4/conf/raven0/rp_filter
${entries.join('')}${routes
  .map(([to, via]) => `ip route add ${to} via ${overlayOf(via ?? '')} dev raven0 onlink table 9027\n`)
  .join('')}ip rule add from all fwmark 0x40 lookup 9027 prio 100
nft -f - <<END
table ip raven {
  chain prerouting { type filter hook prerouting priority -150; ip ${holds ? 'saddr' : 'daddr'} { ${marked} } meta mark set 0x40; }
  chain output { type route hook output priority -150; ip ${holds ? 'saddr' : 'daddr'} { ${marked} } meta mark set 0x40; }
  chain egress { type filter hook postrouting priority 300; oifname "raven0" meta mark set 0; }
}
END
`);
  }

  async #uplinkMtu(): Promise<number> {
    const { stdout } = await this.node.exec(['cat', '/sys/class/net/wan/mtu'], { allowFailure: true });
    if (stdout !== '') return Number(stdout);
    const shown = await this.node.exec(['ip', '-j', 'link', 'show', 'wan']);
    return Number(JSON.parse(shown.stdout)[0].mtu);
  }

  async #sh(script: string): Promise<void> {
    await this.node.exec(['sh', '-e'], { input: script });
  }
}

function byNode(a: RavenSite, b: RavenSite): number {
  return a.active.nodeName < b.active.nodeName ? -1 : 1;
}

function presharedKey(): string {
  return createHash('sha256').update(PSK).digest('base64');
}

function overlayOf(privateIp: string): string {
  return privateIp.replace(/^\d+/, '240');
}

function macOf(privateIp: string): string {
  const octets = overlayOf(privateIp).split('.').map(Number);
  return ['aa', '0f', ...octets.map((octet) => octet.toString(16).padStart(2, '0'))].join(':');
}
