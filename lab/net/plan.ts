/**
 * What a lab consists of, worked out before anything is made: namespaces, wires, addresses, rules. Pure.
 *
 *   pod ── cni0 [node] wan ── lan [NAT] wan ── (lan [outer NAT] wan) ── [inet] ── relays, STUN server
 *
 * `inet` routes between /32s over wires of their own, so that a packet's TTL counts as it does outside:
 * node, NAT, inet, NAT, node.
 */
import { CoraxError } from '#src/errors.js';
import { type NatKind, type NatSettings, natRules, PORT_RANGES } from './nat.js';
import { cniRules, FAULT_RULES, hostFirewall, kubeProxyRules } from './rules.js';

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
}

export interface RelaySpec {
  readonly name: string;
  readonly publicAddress?: string;
  /** Stands behind that site's NAT, which forwards UDP 4500 to it. */
  readonly behind?: string;
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
  readonly role: 'edge' | 'relay';
  readonly gateway: string;
  readonly namespace: string;
  readonly pod: string;
  /** The node's own address on its uplink. */
  readonly address: string;
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

export const INET = 'inet';
const INET_ADDRESS = '192.0.2.254';
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
    addNode(plan, { name: site.name, role: 'edge', number, home, underNat, firewall, delay: delays.site });
  });
  spec.relays.forEach((relay, index) => {
    const publicAddress = relay.publicAddress ?? `203.0.113.${index + 1}`;
    const home =
      relay.behind === undefined ? { publicAddress, nats: [], members: 0, lan: '' } : homes.get(relay.behind);
    if (!home) throw new CoraxError('CORAX_LAB', `${relay.name} stands behind ${relay.behind}, which is no site`);
    const number = 200 + index;
    addNode(plan, {
      name: relay.name,
      role: 'relay',
      number,
      home,
      underNat: false,
      firewall: false,
      delay: delays.relay,
    });
  });
  for (const { nats } of plan.nodes) {
    for (const nat of nats) namespace(plan, nat.namespace).nft = natRules(nat.settings);
  }
  return plan;
}

function delaysOf(delays: Delays): { site: number; relay: number } {
  if (delays === 'proposal') return PROPOSAL;
  return delays === 'none' ? { site: 0, relay: 0 } : delays;
}

/** A place with one public address: a chain of NATs with a LAN inside, or none. */
interface Home {
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
    const ports = PORT_RANGES[0] ?? [20_000, 59_999];
    return { namespace: name, settings: { kind, outside, inside: `${lans[depth]}.0/24`, ports, forwards: [] } };
  });
  for (const [depth, outer] of nats.slice(1).entries()) {
    joinLan(plan, outer.namespace, namespace(plan, `${nats[depth]?.namespace}`), `${lans[depth + 1]}`, 2);
  }
  return { publicAddress, nats, members: 0, lan: lans[0] ?? '' };
}

interface NodeArguments {
  readonly name: string;
  readonly role: 'edge' | 'relay';
  readonly number: number;
  readonly home: Home;
  readonly underNat: boolean;
  readonly firewall: boolean;
  readonly delay: number;
}

function addNode(plan: Plan, { name, role, number, home, underNat, firewall, delay }: NodeArguments): void {
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

  const pod = addNamespace(plan, `${name}-pod`);
  addBridge(box, 'cni0', `${podNet}.1/24`);
  plan.wires.push({ a: { namespace: name, device: 'pod0' }, b: { namespace: pod.name, device: 'eth0' } });
  box.ip.push('link set pod0 master cni0', 'link set pod0 up');
  pod.ip.push(`address add ${podNet}.2/24 dev eth0`, 'link set eth0 up', `route add default via ${podNet}.1`);
  box.nft = kubeProxyRules() + cniRules(`${podNet}.0/24`) + (firewall ? hostFirewall() : '');
  plan.nodes.push({
    name,
    role,
    gateway: `gw-${name.replace(/^edge-/, '')}`,
    namespace: name,
    pod: pod.name,
    address,
    publicAddress: home.publicAddress,
    underNat,
    podSubnet: `${podNet}.0/24`,
    bridgeAddress: `${podNet}.1`,
    podAddress: `${podNet}.2`,
    nats: home.nats,
  });
}

/** UDP 4500 is forwarded from the outermost NAT to the relay on the LAN. */
function forwardTunnelPort(nats: readonly NatPlan[], address: string): void {
  let to = address;
  for (const nat of nats) {
    nat.settings = { ...nat.settings, forwards: [...nat.settings.forwards, { port: 4500, to }] };
    to = nat.settings.outside;
  }
}

function namespace(plan: Plan, name: string): NamespacePlan {
  const found = plan.namespaces.get(name);
  if (!found) throw new CoraxError('CORAX_LAB', `There is no namespace ${name}`);
  return found;
}

function addNamespace(plan: Plan, name: string): NamespacePlan {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) {
    throw new CoraxError('CORAX_LAB', `"${name}" is no name for a node: small letters, digits and -`);
  }
  if (plan.namespaces.has(name)) throw new CoraxError('CORAX_LAB', `Two things in the lab are called ${name}`);
  const sysctls = ['all', 'default'].map((which) => [`ipv6/conf/${which}/disable_ipv6`, '1'] as const);
  const made: NamespacePlan = { name, sysctls, ip: ['link set lo up'], tc: [], nft: '' };
  plan.namespaces.set(name, made);
  return made;
}

function addBridge(box: NamespacePlan, device: string, address: string): void {
  box.ip.push(`link add ${device} type bridge`, `address add ${address} dev ${device}`, `link set ${device} up`);
}

/** Gives a namespace its public addresses: a wire to inet with a /32 on either side. */
function attach(plan: Plan, box: NamespacePlan, addresses: readonly string[], delayMs: number): void {
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
function joinLan(plan: Plan, nat: string, box: NamespacePlan, lan: string, host: number): void {
  const port = `l${host}`;
  plan.wires.push({ a: { namespace: nat, device: port }, b: { namespace: box.name, device: 'wan' } });
  namespace(plan, nat).ip.push(`link set ${port} master lan`, `link set ${port} up`);
  box.ip.push(`address add ${lan}.${host}/24 dev wan`, 'link set wan up', `route add default via ${lan}.1`);
}
