/**
 * Every setting once: its key in the file, its flag, its environment variables, what it takes, and what is
 * said of it in --help. The command line and the validation are both made of this table.
 */
import * as path from 'node:path';
import * as z from 'zod';
import { type Ip, isPort, parseIp } from '../model/address.js';
import { MAPPING_PROTOCOLS } from '../model/port-mapping.js';

/** host null: no host was given (":10265"). */
export interface Listen {
  readonly host: string | null;
  readonly port: number;
}

export interface OptionSpec<T = unknown> {
  readonly flag: string;
  /** What the flag takes, for --help. */
  readonly argument: string;
  /** The first one that is set and not empty counts. */
  readonly env: readonly string[];
  /** Several values: the flag again, commas in the environment, a list in the file. */
  readonly list?: true;
  readonly help: string;
  /** Ends the sentence "expected …". */
  readonly expected: string;
  readonly schema: z.ZodType<T>;
}

/** RFC 8489 14: STUN's default port. */
const STUN_PORT = 3478;
/** sun_path holds 108 bytes, the last one zero (unix(7)). */
const SOCKET_PATH_LIMIT = 107;

// RFC 1123 2.1, as Kubernetes has it for node names
const NODE_NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;

/** Names in DNS hold underscores, names of hosts do not (RFC 2181 11). */
const DNS_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62}\.?)*$/;

const text = z.string();

/** A schema from a parser that gives undefined where it cannot read the text. */
function parsed<T>(parse: (value: string) => T | undefined): z.ZodType<T> {
  return text.transform((value, context) => {
    const result = parse(value);
    if (result !== undefined) return result;
    context.issues.push({ code: 'invalid_format', format: 'regex', input: value });
    return z.NEVER;
  });
}

/** "host:port", "[v6]:port", ":port"; a port alone is none. */
export function splitHostPort(value: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(value);
  const port = Number(match?.[3]);
  if (match === null || !isPort(port)) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const bracketed = match[1] !== undefined;
  if (bracketed && !(parseIp(host) !== null && host.includes(':'))) return undefined;
  return { host, port };
}

function parseHost(value: string): string | undefined {
  const ip = parseIp(value);
  if (ip !== null) return ip;
  // All digits and dots, and no address: a mistyped address, never a name (RFC 3696 2)
  if (/^[\d.]+$/.test(value)) return undefined;
  return DNS_NAME.test(value.toLowerCase()) ? value.toLowerCase() : undefined;
}

/** Gives "host:port" with the port spelled out. */
function parseStun(value: string): string | undefined {
  const split = splitHostPort(value) ?? { host: value, port: STUN_PORT };
  const host = parseHost(split.host);
  // Discovery works over IPv4
  return host === undefined || host.includes(':') ? undefined : `${host}:${split.port}`;
}

function parseListen(value: string): Listen | 'off' | undefined {
  if (value === 'off' || value === '0') return 'off';
  const split = splitHostPort(value);
  if (split === undefined) return undefined;
  if (split.host === '') return { host: null, port: split.port };
  const host = parseIp(split.host);
  return host === null ? undefined : { host, port: split.port };
}

const listenHelp = '":PORT" listens on NODE_IP, or on every address without one';

function define<T>(spec: OptionSpec<T>): OptionSpec<T> {
  return spec;
}

export const OPTIONS = {
  node: define({
    flag: '--node',
    argument: 'NAME',
    env: ['CORAX_NODE', 'NODE_NAME'],
    help: "this node's name in the Gateways",
    expected: 'a node name (lower-case letters, digits, "-" and ".")',
    schema: text.regex(NODE_NAME),
  }),
  nodeIp: define({
    flag: '--node-ip',
    argument: 'ADDRESS',
    env: ['CORAX_NODE_IP', 'NODE_IP'],
    help: "this node's private address; metrics and health are served there",
    expected: 'an IPv4 or IPv6 address',
    schema: parsed<Ip>((value) => parseIp(value) ?? undefined),
  }),
  gateways: define({
    flag: '--gateways',
    argument: 'DIR',
    env: ['CORAX_GATEWAYS'],
    help: 'folder of Gateways, one YAML file each (default: those of the Kubernetes cluster whose pod this is)',
    expected: 'a folder of Gateway YAML files',
    schema: text.min(1),
  }),
  kubeconfig: define({
    flag: '--kubeconfig',
    argument: 'FILE',
    env: ['CORAX_KUBECONFIG'],
    help: 'the Kubernetes cluster that has the Gateways, by its kubeconfig (in a pod: its service account)',
    expected: 'a kubeconfig file',
    schema: text.min(1),
  }),
  driver: define({
    flag: '--driver',
    argument: 'NAME',
    env: ['CORAX_DRIVER'],
    help: 'tunnel driver: wireguard or libreswan (default: wireguard)',
    expected: 'wireguard or libreswan',
    schema: z.enum(['wireguard', 'libreswan']),
  }),
  plutoSocket: define({
    flag: '--pluto-socket',
    argument: 'PATH',
    env: ['CORAX_PLUTO_SOCKET'],
    help: 'control socket of a pluto that runs already (libreswan; default: the agent starts one of its own)',
    expected: `a path of at most ${SOCKET_PATH_LIMIT} bytes`,
    schema: text.min(1).refine((value) => Buffer.byteLength(path.resolve(value)) <= SOCKET_PATH_LIMIT),
  }),
  stun: define({
    flag: '--stun',
    argument: 'HOST:PORT',
    env: ['CORAX_STUN'],
    list: true,
    help: 'STUN server (RFC 5780) to learn the NAT type from; repeat for several',
    expected: 'HOST:PORT of a STUN server, a name or an IPv4 address, for example stun.example.org:3478',
    schema: z.array(parsed(parseStun)),
  }),
  stateDir: define({
    flag: '--state-dir',
    argument: 'DIR',
    env: ['CORAX_STATE_DIR'],
    help: 'folder for the private key, and for pluto (default: /var/lib/corax)',
    expected: 'a folder',
    schema: text.min(1),
  }),
  socket: define({
    flag: '--socket',
    argument: 'PATH',
    env: ['CORAX_SOCKET'],
    help: 'unix socket that answers status, peers and explain (default: /run/corax/agent.sock)',
    expected: `a path of at most ${SOCKET_PATH_LIMIT} bytes`,
    schema: text.min(1).refine((value) => Buffer.byteLength(path.resolve(value)) <= SOCKET_PATH_LIMIT),
  }),
  metricsAddr: define({
    flag: '--metrics-addr',
    argument: 'ADDRESS',
    env: ['CORAX_METRICS_ADDR'],
    help: `Prometheus metrics; "off" for none; ${listenHelp} (default: NODE_IP:10265, or 127.0.0.1:10265 without NODE_IP)`,
    expected: 'ADDRESS:PORT, ":PORT" or "off"',
    schema: parsed(parseListen),
  }),
  healthAddr: define({
    flag: '--health-addr',
    argument: 'ADDRESS',
    env: ['CORAX_HEALTH_ADDR'],
    help: '/healthz and /readyz, in the same forms (default: NODE_IP:10275, or 127.0.0.1:10275 without NODE_IP)',
    expected: 'ADDRESS:PORT, ":PORT" or "off"',
    schema: parsed(parseListen),
  }),
  statusPage: define({
    flag: '--status-page',
    argument: 'WHEN',
    env: ['CORAX_STATUS_PAGE'],
    help: 'a live status page on the health address, at /: on, off, or auto: on where that is a loopback address (default: auto)',
    expected: 'auto, on or off',
    schema: z.enum(['auto', 'on', 'off']),
  }),
  metricsMaxPeers: define({
    flag: '--metrics-max-peers',
    argument: 'COUNT',
    env: ['CORAX_METRICS_MAX_PEERS'],
    help: 'peers that have metrics, the rest is left out and counted (default: 10000)',
    expected: 'a whole number from 0 to 1000000',
    schema: parsed((value) => (/^\d{1,6}$|^1000000$/.test(value) ? Number(value) : undefined)),
  }),
  metricsWireguardNames: define({
    flag: '--metrics-wireguard-names',
    argument: 'on|off',
    env: ['CORAX_METRICS_WIREGUARD_NAMES'],
    help: 'on: peers also under the wireguard_* names of prometheus_wireguard_exporter (default: off)',
    expected: 'on or off',
    schema: z.enum(['on', 'off']),
  }),
  pskFile: define({
    flag: '--psk-file',
    argument: 'FILE',
    env: ['CORAX_PSK_FILE'],
    help: 'file with the pre-shared key of the cluster (or the environment variable VPN_CONNECTION_PSK)',
    expected: 'a file',
    schema: text.min(1),
  }),
  direct: define({
    flag: '--direct',
    argument: 'WHO',
    env: ['CORAX_DIRECT'],
    help: 'who gets a direct plane: all, none, or auto: all up to 100 remote edges, none above (default: auto)',
    expected: 'all, none or auto',
    schema: z.enum(['all', 'none', 'demand', 'auto']),
  }),
  portMapping: define({
    flag: '--port-mapping',
    argument: 'HOW',
    env: ['CORAX_PORT_MAPPING'],
    help: "ask the router to map the tunnel's port: on, auto (on with WireGuard, off with libreswan), pcp, nat-pmp or upnp alone, or off (default: auto)",
    expected: 'auto, on, off, pcp, nat-pmp or upnp',
    schema: z.enum(['auto', 'on', 'off', ...MAPPING_PROTOCOLS]),
  }),
  hardNat: define({
    flag: '--hard-nat',
    argument: 'on|off',
    env: ['CORAX_HARD_NAT'],
    help: 'on: find a direct path by probing where one NAT is symmetric and the other port-restricted (default: on)',
    expected: 'on or off',
    schema: z.enum(['on', 'off']),
  }),
  logLevel: define({
    flag: '--log-level',
    argument: 'LEVEL',
    env: ['CORAX_LOG_LEVEL'],
    help: 'trace, debug, info, warn, error, fatal or silent (default: info)',
    expected: 'trace, debug, info, warn, error, fatal or silent',
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
  }),
} as const;

export type OptionKey = keyof typeof OPTIONS;
export type OptionValue<K extends OptionKey> = z.output<(typeof OPTIONS)[K]['schema']>;

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];
