/**
 * What a lab consists of, worked out before anything is made: namespaces, wires, addresses, rules. Pure.
 *
 *   pod ── cni0 [node] wan ── lan [NAT] wan ── (lan [outer NAT] wan) ── [inet] ── relays, STUN server
 *
 * `inet` routes between /32s over wires of their own, so that a packet's TTL counts as it does outside:
 * node, NAT, inet, NAT, node.
 */
import { CoraxError } from '#src/errors.js';
import { addIpv6 } from './ipv6.js';
import { type NatKind, type NatSettings, natRules, PORT_RANGES } from './nat.js';
import { cniRules, FAULT_RULES, hostFirewall, kubeProxyRules } from './rules.js';
import { addSite } from './site.js';
import { addBridge, addNamespace, attach, INET, joinLan, namespace } from './wires.js';

export interface SiteSpec {
  /** Node name; its Gateway is gw-NAME without "edge-". */
  readonly name: string;
  /** One kind, or several from the inner NAT to the outer. */
  readonly nat: NatKind | readonly NatKind[];
  /** Stands behind the same NAT as that site (then `nat` does not count). */
  readonly behind?: string;
  readonly publicAddress?: string;
  /** In the Gateway; true unless there is no NAT. */
  readonly underNat?: boolean;
  /** The host firewall; true unless switched off. */
  readonly firewall?: boolean;
  /** Nodes of the gateway, 1 unless given: NAME, NAME-2, … on one LAN. The second is an endpoint too. */
  readonly nodes?: number;
  /** Of the nodes' uplinks; 1,500 unless given. */
  readonly mtu?: number;
  /** Of the outermost NAT's uplink (1,492 with PPPoE); 1,500 unless given. */
  readonly uplinkMtu?: number;
  /** A global IPv6 prefix, and a firewall before it; takes exactly one NAT. */
  readonly ipv6?: boolean;
}

export interface RelaySpec {
  readonly name: string;
  readonly publicAddress?: string;
  /** Stands behind that site's NAT, which forwards UDP 4500 to it. */
  readonly behind?: string;
  /** As a site's; each has a public address of its own, and they share a network besides. */
  readonly nodes?: number;
}

export type Delays = 'proposal' | 'none' | { readonly site: number; readonly relay: number };

export interface LabSpec {
  readonly sites: readonly SiteSpec[];
  readonly relays: readonly RelaySpec[];
  readonly delays?: Delays;
  /** A coturn with two addresses; true unless switched off. */
  readonly stun?: boolean;
}

/** One namespace, and what runs in it once its wires are there. */
export interface NamespacePlan {
  readonly name: string;
  /** Below /proc/sys/net. */
  readonly sysctls: Array<readonly [path: string, value: string]>;
  /** Lines of `ip -batch`. */
  readonly ip: string[];
  /** Lines of `tc -batch`. */
  readonly tc: string[];
  /** One transaction of `nft -f`. */
  nft: string;
}

/** A veth pair. */
export interface Wire {
  readonly a: { readonly namespace: string; readonly device: string };
  readonly b: { readonly namespace: string; readonly device: string };
}

export interface NatPlan {
  readonly namespace: string;
  settings: NatSettings;
}

export interface NodePlan {
  readonly name: string;
  /** `edge` and `relay` hold their gateway's tunnel at first; `member` is any other node. */
  readonly role: 'edge' | 'relay' | 'member';
  readonly gateway: string;
  readonly namespace: string;
  readonly pod: string;
  /** The node's own address on its uplink. */
  readonly address: string;
  /** Where the other nodes of its gateway reach it. */
  readonly privateAddress: string;
  /** Its global IPv6 address. */
  readonly ipv6: string | null;
  /** Where the world sees it: its own address, or its outermost NAT's. */
  readonly publicAddress: string;
  readonly underNat: boolean;
  readonly podSubnet: string;
  /** cni0's. */
  readonly bridgeAddress: string;
  readonly podAddress: string;
  /** From inner to outer. */
  readonly nats: readonly NatPlan[];
}

export interface Plan {
  readonly namespaces: Map<string, NamespacePlan>;
  readonly wires: Wire[];
  readonly nodes: NodePlan[];
  readonly stun: { readonly namespace: string; readonly addresses: readonly [string, string] } | null;
  /** inet's device toward each public address. */
  readonly inetDevices: Map<string, string>;
}

const STUN_ADDRESSES = ['198.51.100.1', '198.51.100.2'] as const;

/**
 * The proposal's figures, 37.4 ms from edge to edge and 54.7 ms by the relay, as milliseconds on the way
 * from inet down to a host: a round trip between two hosts is the sum of theirs, so edge + edge = 37.4 and
 * (edge + relay) + (relay + edge) = 54.7.
 */
const PROPOSAL = { site: 37.4 / 2, relay: (54.7 - 37.4) / 2 };

/** Works out the lab; throws CORAX_LAB where the specification contradicts itself. */
export function planLab(spec: LabSpec): Plan {
  const plan: Plan = {
    namespaces: new Map(),
    wires: [],
    nodes: [],
    stun: spec.stun === false ? null : { namespace: 'stun', addresses: STUN_ADDRESSES },
    inetDevices: new Map(),
  };
  const delays = delaysOf(spec.delays ?? 'none');
  const inet = addNamespace(plan, INET);
  inet.sysctls.push(['ipv4/ip_forward', '1']);
  inet.nft = FAULT_RULES;
  if (plan.stun) attach(plan, addNamespace(plan, plan.stun.namespace), plan.stun.addresses, delays.relay);
  if (spec.sites.length > 24 || spec.relays.length > 9)
    throw new CoraxError('CORAX_LAB', 'At most 24 sites and 9 relays');

  const homes = new Map<string, Home>();
  spec.sites.forEach((site, index) => {
    const number = index + 1;
    const home = site.behind === undefined ? newHome(plan, site, number, delays.site) : homes.get(site.behind);
    if (!home)
      throw new CoraxError('CORAX_LAB', `${site.name} stands behind ${site.behind}, which must come before it`);
    homes.set(site.name, home);
    const underNat = site.underNat ?? home.nats.length > 0;
    const firewall = site.firewall ?? true;
    const { mtu, nodes = 1 } = site;
    const first = { name: site.name, role: 'edge', number, home, underNat, firewall, delay: delays.site, mtu } as const;
    addSite(plan, first, nodes);
  });
  spec.relays.forEach((relay, index) => {
    const publicAddress = relay.publicAddress ?? `203.0.113.${index + 1}`;
    const home =
      relay.behind === undefined ? { publicAddress, nats: [], members: 0, lan: '' } : homes.get(relay.behind);
    if (!home) throw new CoraxError('CORAX_LAB', `${relay.name} stands behind ${relay.behind}, which is no site`);
    const number = 200 + index;
    const delay = delays.relay;
    const first = { name: relay.name, role: 'relay', number, home, underNat: false, firewall: false, delay } as const;
    addSite(plan, first, relay.nodes ?? 1);
  });
  for (const { nats } of plan.nodes) {
    for (const nat of nats) namespace(plan, nat.namespace).nft = natRules(nat.settings);
  }
  for (const [index, { name, ipv6 }] of spec.sites.entries()) if (ipv6) addIpv6(plan, gatewayName(name), index + 1);
  return plan;
}

function delaysOf(delays: Delays): { site: number; relay: number } {
  if (delays === 'proposal') return PROPOSAL;
  return delays === 'none' ? { site: 0, relay: 0 } : delays;
}

/** A place with one public address: a chain of NATs with a LAN inside, or none. */
export interface Home {
  readonly publicAddress: string;
  readonly nats: readonly NatPlan[];
  /** Nodes on the LAN. */
  members: number;
  /** First three octets of the LAN. */
  readonly lan: string;
}

function newHome(plan: Plan, site: SiteSpec, number: number, delay: number): Home {
  const publicAddress = site.publicAddress ?? `203.0.113.${number * 10}`;
  const kinds = (typeof site.nat === 'string' ? [site.nat] : site.nat).filter((kind) => kind !== 'none');
  const lans = kinds.map((_, depth) => (depth === 0 ? `192.168.${number}` : `100.64.${number * 8 + depth}`));
  const nats = kinds.map((kind, depth): NatPlan => {
    const outermost = depth === kinds.length - 1;
    const name = `${site.name}-nat${depth === 0 ? '' : depth + 1}`;
    const outside = outermost ? publicAddress : `${lans[depth + 1]}.2`;
    const box = addNamespace(plan, name);
    box.sysctls.push(['ipv4/ip_forward', '1']);
    addBridge(box, 'lan', `${lans[depth]}.1/24`);
    if (outermost) attach(plan, box, [publicAddress], delay);
    if (outermost && site.uplinkMtu) {
      box.ip.push(`link set wan mtu ${site.uplinkMtu}`);
      namespace(plan, INET).ip.push(`link set ${plan.inetDevices.get(publicAddress)} mtu ${site.uplinkMtu}`);
    }
    const ports = PORT_RANGES[0] ?? [20_000, 59_999];
    return { namespace: name, settings: { kind, outside, inside: `${lans[depth]}.0/24`, ports, forwards: [] } };
  });
  for (const [depth, outer] of nats.slice(1).entries()) {
    joinLan(plan, outer.namespace, namespace(plan, `${nats[depth]?.namespace}`), `${lans[depth + 1]}`, 2);
  }
  return { publicAddress, nats, members: 0, lan: lans[0] ?? '' };
}

export interface NodeArguments {
  readonly name: string;
  readonly role: NodePlan['role'];
  /** NAME unless it is another node's gateway. */
  readonly site?: string;
  readonly mtu?: number | undefined;
  readonly number: number;
  readonly home: Home;
  readonly underNat: boolean;
  readonly firewall: boolean;
  readonly delay: number;
}

export function addNode(plan: Plan, node: NodeArguments): NodePlan {
  const { name, role, number, home, underNat, firewall, delay, site = name, mtu } = node;
  const box = addNamespace(plan, name);
  // Debian's and Kubernetes' own settings: strict reverse path filter, forwarding.
  box.sysctls.push(['ipv4/ip_forward', '1'], ['ipv4/conf/all/rp_filter', '1'], ['ipv4/conf/default/rp_filter', '1']);
  const podNet = `10.244.${number}`;
  const inner = home.nats[0];
  let address = home.publicAddress;
  if (inner) {
    home.members += 1;
    const host = home.members + 1;
    address = `${home.lan}.${host}`;
    joinLan(plan, inner.namespace, box, home.lan, host);
    if (role === 'relay') forwardTunnelPort(home.nats, address);
  } else {
    attach(plan, box, [address], delay);
  }
  if (mtu) box.ip.push(`link set wan mtu ${mtu}`);
  // The bridge takes the least of its ports'.
  if (mtu && inner) namespace(plan, inner.namespace).ip.push(`link set l${home.members + 1} mtu ${mtu}`);

  const pod = addNamespace(plan, `${name}-pod`);
  addBridge(box, 'cni0', `${podNet}.1/24`);
  plan.wires.push({ a: { namespace: name, device: 'pod0' }, b: { namespace: pod.name, device: 'eth0' } });
  box.ip.push('link set pod0 master cni0', 'link set pod0 up');
  pod.ip.push(`address add ${podNet}.2/24 dev eth0`, 'link set eth0 up', `route add default via ${podNet}.1`);
  box.nft = kubeProxyRules() + cniRules(`${podNet}.0/24`) + (firewall ? hostFirewall() : '');
  const made: NodePlan = {
    name,
    role,
    gateway: gatewayName(site),
    namespace: name,
    pod: pod.name,
    address,
    privateAddress: address,
    ipv6: null,
    publicAddress: home.publicAddress,
    underNat,
    podSubnet: `${podNet}.0/24`,
    bridgeAddress: `${podNet}.1`,
    podAddress: `${podNet}.2`,
    nats: home.nats,
  };
  plan.nodes.push(made);
  return made;
}

function gatewayName(site: string): string {
  return `gw-${site.replace(/^edge-/, '')}`;
}

/** UDP 4500 is forwarded from the outermost NAT to the relay on the LAN. */
function forwardTunnelPort(nats: readonly NatPlan[], address: string): void {
  let to = address;
  for (const nat of nats) {
    nat.settings = { ...nat.settings, forwards: [...nat.settings.forwards, { port: 4500, to }] };
    to = nat.settings.outside;
  }
}
