/**
 * What corax trusts of a Gateway (resource.ts has it as it is served). Anybody may have written one, so it is
 * parsed here, once, in whole: a Gateway is believed altogether or refused.
 */
import * as z from 'zod';
import {
  contains,
  type HostPort,
  type Ip,
  isGlobalIpv6,
  isIpv4,
  isPort,
  isUnicast,
  nonUnicastPart,
  type Prefix,
  parseHostPort,
  parseIp,
  parsePrefix,
  prefixLength,
} from './address.js';
import { type PublicKey, parsePublicKey } from './key.js';
import { type NatType, parseNatType } from './nat.js';
import { formatPath, quote } from './quote.js';
import { type EndpointObject, type GatewayObject, gatewaySchema } from './resource.js';
import { mergePrefixes } from './subnets.js';

export { GATEWAY_API_VERSION, GATEWAY_KIND } from './resource.js';

/**
 * `config` keys of ours in an endpoint; raven has only the first. `coraxPublicIP` is the `publicIP` that a relay's
 * agent found for itself: what the user wrote is told from it, and never touched. `coraxIPv6` is where an edge's direct
 * plane is reached by IPv6, `coraxPortMapping` where its router maps its tunnel port to, as the router says.
 */
export const CONFIG_KEYS = {
  publicKey: 'publicKey',
  probeAddress: 'probeAddress',
  corax: 'corax',
  coraxPublicIP: 'coraxPublicIP',
  coraxIPv6: 'coraxIPv6',
  coraxPortMapping: 'coraxPortMapping',
} as const;

/** One of the words of `corax`. Agents that do not know it take it for a part of the version. */
export const ONE_PLANE = 'one-plane';

export const GATEWAY_LIMITS = { endpoints: 256, nodes: 5000, subnets: 5000, coraxLength: 256 } as const;

/** An endpoint of type `tunnel`, as it says of itself in `spec.endpoints`. */
export interface TunnelEndpoint {
  readonly nodeName: string;
  readonly underNat: boolean;
  readonly natType: NatType | null;
  /** `publicIP` and `publicPort`, where both are there. */
  readonly hole: HostPort | null;
  readonly publicIp: Ip | null;
  /** 1–65535 */
  readonly publicPort: number | null;
  readonly publicKey: PublicKey | null;
  /** Where a router says that it maps the tunnel's port to; its hole, once who publishes holes has seen it there. */
  readonly mapped: HostPort | null;
  /** IPv4, inside the gateway's own subnets. */
  readonly probeAddress: Ip | null;
  /** The agent's version and abilities; null where the agent is raven's. */
  readonly corax: string | null;
  /** Its kernel has no XFRM interfaces, it says beside: IPsec by policies alone. */
  readonly onePlane: boolean;
  /** Where the direct plane is reached by IPv6: a global address. */
  readonly ipv6: HostPort | null;
  readonly config: Readonly<Record<string, string>>;
}

export interface SiteNode {
  readonly nodeName: string;
  readonly privateIp: Ip;
  readonly subnets: readonly Prefix[];
}

export interface Gateway {
  readonly name: string;
  /** Null in a directory. */
  readonly uid: string | null;
  /** Unix milliseconds; null where the object does not say. */
  readonly created: number | null;
  /** Opaque; null in a directory. */
  readonly resourceVersion: string | null;
  readonly labels: Readonly<Record<string, string>>;
  /** Endpoints of type `tunnel`, in the order of spec. */
  readonly endpoints: readonly TunnelEndpoint[];
  /**
   * Nodes of the active endpoints of type `tunnel`, in the order of status. Where status has no list of
   * active endpoints the first tunnel endpoint is active; an empty list means that none is.
   */
  readonly activeNodes: readonly string[];
  /** The first active node's endpoint that spec has: it carries. */
  readonly active: TunnelEndpoint | null;
  readonly nodes: readonly SiteNode[];
  /** Of all nodes, never empty, merged and sorted ({@link mergePrefixes}). */
  readonly subnets: readonly Prefix[];
}

export type ParsedGateway =
  | { readonly ok: true; readonly gateway: Gateway }
  | {
      readonly ok: false;
      readonly name: string;
      /** Field, value and rule in one line. */
      readonly reason: string;
      /** Where in the object the field is (or would be). */
      readonly path: readonly PropertyKey[];
    };

type Path = readonly PropertyKey[];

/** @param fallbackName names the gateway in a refusal where the object has no usable name */
export function parseGateway(input: unknown, fallbackName?: string): ParsedGateway {
  try {
    const parsed = gatewaySchema.safeParse(input);
    if (!parsed.success) throw schemaRefusal(parsed.error, input);
    return { ok: true, gateway: narrow(parsed.data) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { ok: false, name: nameOf(input, fallbackName), reason: error.message, path: error.path };
  }
}

class Refusal extends Error {
  readonly path: Path;

  constructor(path: Path, value: unknown, rule: string) {
    super(value === undefined ? `${formatPath(path)}: ${rule}` : `${formatPath(path)} ${quote(value)}: ${rule}`);
    this.path = path;
  }
}

function schemaRefusal(error: z.ZodError, input: unknown): Refusal {
  const issue = error.issues[0] as z.core.$ZodIssue;
  return new Refusal(issue.path, valueAt(input, issue.path), issue.message);
}

function valueAt(input: unknown, path: Path): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function nameOf(input: unknown, fallback: string | undefined): string {
  const name = valueAt(input, ['metadata', 'name']);
  return typeof name === 'string' && isDnsName(name) ? name : (fallback ?? '(unnamed)');
}

function narrow(object: GatewayObject): Gateway {
  const { metadata } = object;
  limit(['spec', 'endpoints'], object.spec?.endpoints, GATEWAY_LIMITS.endpoints);
  limit(['status', 'nodes'], object.status?.nodes, GATEWAY_LIMITS.nodes);
  limit(['status', 'activeEndpoints'], object.status?.activeEndpoints, GATEWAY_LIMITS.endpoints);
  const name = dnsName(['metadata', 'name'], metadata.name);
  const nodes = narrowNodes(object);
  const subnets = mergePrefixes(nodes.flatMap((node) => node.subnets));
  if (subnets.length === 0) throw new Refusal(['status', 'nodes'], undefined, 'must name at least one subnet');
  const endpoints = narrowEndpoints(object.spec?.endpoints ?? [], subnets);
  const activeNodes = narrowActive(object, endpoints);
  const active = activeNodes.flatMap((node) => endpoints.find((endpoint) => endpoint.nodeName === node) ?? []);
  return {
    name,
    uid: metadata.uid || null,
    created: given(metadata.creationTimestamp, ['metadata', 'creationTimestamp'], 'is not an RFC 3339 time', parseTime),
    resourceVersion: metadata.resourceVersion || null,
    labels: definedOnly(metadata.labels),
    endpoints,
    activeNodes,
    active: active[0] ?? null,
    nodes,
    subnets,
  };
}

function limit(path: Path, list: readonly unknown[] | null | undefined, most: number): void {
  if ((list?.length ?? 0) > most) throw new Refusal(path, list, `must have at most ${most} entries`);
}

function narrowNodes(object: GatewayObject): SiteNode[] {
  const nodes = object.status?.nodes ?? [];
  const count = nodes.reduce((sum, node) => sum + (node.subnets?.length ?? 0), 0);
  const most = GATEWAY_LIMITS.subnets;
  if (count > most)
    throw new Refusal(['status', 'nodes'], undefined, `must have at most ${most} subnets, has ${count}`);
  return nodes.map((node, index) => {
    const path = ['status', 'nodes', index];
    const privateIp = parseIp(node.privateIP);
    if (privateIp === null) throw new Refusal([...path, 'privateIP'], node.privateIP, 'is not an IP address');
    return {
      nodeName: dnsName([...path, 'nodeName'], node.nodeName),
      privateIp,
      subnets: (node.subnets ?? []).map((subnet, at) => narrowSubnet([...path, 'subnets', at], subnet)),
    };
  });
}

function narrowSubnet(path: Path, value: string): Prefix {
  const prefix = parsePrefix(value);
  if (prefix === null) throw new Refusal(path, value, 'is not a prefix in CIDR notation');
  const length = prefixLength(prefix);
  if (length === 0) throw new Refusal(path, value, 'is the default route; no site may draw all traffic to itself');
  const shortest = isIpv4(prefix) ? 8 : 16;
  if (length < shortest) {
    throw new Refusal(
      path,
      value,
      `is shorter than /${shortest}; no site has so many pods, it would take others' traffic`,
    );
  }
  const block = nonUnicastPart(prefix);
  if (block !== null) throw new Refusal(path, value, `overlaps ${block}, where no pod can have its address`);
  return prefix;
}

function narrowEndpoints(objects: readonly EndpointObject[], subnets: readonly Prefix[]): TunnelEndpoint[] {
  const seen = new Set<string>();
  return objects.flatMap((object, index) => {
    const path = ['spec', 'endpoints', index];
    const nodeName = dnsName([...path, 'nodeName'], object.nodeName);
    if (object.type === '') throw new Refusal([...path, 'type'], object.type, 'must be tunnel or proxy');
    if (object.type !== 'tunnel') return [];
    if (seen.has(nodeName)) {
      throw new Refusal([...path, 'nodeName'], nodeName, 'has a tunnel endpoint already; a node has one');
    }
    seen.add(nodeName);
    return [narrowEndpoint(path, nodeName, object, subnets)];
  });
}

function narrowEndpoint(
  path: Path,
  nodeName: string,
  object: EndpointObject,
  subnets: readonly Prefix[],
): TunnelEndpoint {
  const publicIp = given(object.publicIP, [...path, 'publicIP'], 'is not a unicast IP address', (value) => {
    const ip = parseIp(value);
    return ip !== null && isUnicast(ip) ? ip : null;
  });
  const port = object.publicPort ?? null;
  if (port !== null && !isPort(port)) throw new Refusal([...path, 'publicPort'], port, 'is not a port (1–65535)');
  const config = definedOnly(object.config);
  const configPath = (key: string) => [...path, 'config', key];
  const { publicKey, probeAddress, corax, coraxIPv6, coraxPortMapping } = CONFIG_KEYS;
  return {
    nodeName,
    underNat: object.underNAT ?? false,
    natType: given(object.natType, [...path, 'natType'], 'is no NAT type that raven knows', parseNatType),
    hole: publicIp !== null && port !== null ? { ip: publicIp, port } : null,
    publicIp,
    publicPort: port,
    publicKey: given(
      config[publicKey],
      configPath(publicKey),
      'is not a WireGuard public key (32 bytes in base64, not all zero)',
      parsePublicKey,
    ),
    mapped: given(
      config[coraxPortMapping],
      configPath(coraxPortMapping),
      'is not a unicast IPv4 address and port',
      parsePlace,
    ),
    probeAddress: given(
      config[probeAddress],
      configPath(probeAddress),
      "is not an IPv4 address inside the gateway's own subnets",
      (value) => {
        const ip = parseIp(value);
        return ip !== null && isIpv4(ip) && subnets.some((subnet) => contains(subnet, ip)) ? ip : null;
      },
    ),
    corax: given(
      config[corax],
      configPath(corax),
      `must be printable ASCII, at most ${GATEWAY_LIMITS.coraxLength} characters`,
      (value) => (value.length <= GATEWAY_LIMITS.coraxLength && /^[\x20-\x7e]+$/.test(value) ? value : null),
    ),
    onePlane: config[corax]?.split(' ').includes(ONE_PLANE) ?? false,
    ipv6: given(config[coraxIPv6], configPath(coraxIPv6), 'is not a global IPv6 address with a port', (value) => {
      const at = parseHostPort(value);
      return at !== null && isGlobalIpv6(at.ip) ? at : null;
    }),
    config,
  };
}

function narrowActive(object: GatewayObject, endpoints: readonly TunnelEndpoint[]): string[] {
  const active = object.status?.activeEndpoints;
  if (!active) return endpoints.slice(0, 1).map((endpoint) => endpoint.nodeName);
  const names = active.flatMap((endpoint, index) => {
    const name = dnsName(['status', 'activeEndpoints', index, 'nodeName'], endpoint.nodeName);
    return endpoint.type === 'tunnel' ? [name] : [];
  });
  return [...new Set(names)];
}

/** Null where nothing (or empty text, which Go leaves out) is given; refuses what is given and does not parse. */
function given<T>(value: string | null | undefined, path: Path, rule: string, parse: (text: string) => T | null) {
  if (!value) return null;
  const parsed = parse(value);
  if (parsed === null) throw new Refusal(path, value, rule);
  return parsed;
}

function parsePlace(text: string): HostPort | null {
  const match = /^([\d.]{7,15}):([1-9]\d{0,4})$/.exec(text);
  const [ip, port] = [parseIp(match?.[1] ?? ''), Number(match?.[2])];
  return ip !== null && isUnicast(ip) && isPort(port) ? { ip, port } : null;
}

function definedOnly(map: Record<string, string | null | undefined> | null | undefined): Record<string, string> {
  const entries = Object.entries(map ?? {});
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function parseTime(value: string): number | null {
  return z.iso.datetime({ offset: true }).safeParse(value).success ? Date.parse(value) : null;
}

const DNS_LABEL = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
const DNS_NAME = new RegExp(`^${DNS_LABEL}(?:\\.${DNS_LABEL})*$`);

/** DNS-1123 subdomain, as Kubernetes asks of names of nodes and cluster-wide objects. */
export function isDnsName(value: string): boolean {
  return value.length <= 253 && DNS_NAME.test(value);
}

function dnsName(path: Path, value: string): string {
  if (!isDnsName(value)) throw new Refusal(path, value, 'is not a DNS-1123 subdomain');
  return value;
}
