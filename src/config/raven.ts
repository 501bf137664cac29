/**
 * raven-agent's flags, so that a manifest need not change all at once: those that mean the same are taken
 * for ours, the others are accepted with a warning that says what becomes of them.
 */
import type { OptionKey } from './options.js';

/** raven's flag (in commander's camelCase) → our setting. */
export const RAVEN_ALIASES: ReadonlyMap<string, { readonly flag: string; readonly key: OptionKey }> = new Map([
  ['nodeName', { flag: '--node-name', key: 'node' }],
  ['vpnDriver', { flag: '--vpn-driver', key: 'driver' }],
  ['metricBindAddr', { flag: '--metric-bind-addr', key: 'metricsAddr' }],
  ['healthProbeAddr', { flag: '--health-probe-addr', key: 'healthAddr' }],
]);

interface RavenFlag {
  readonly flag: string;
  /** Takes no value, or true or false. */
  readonly boolean?: true;
  /** What to say, or null where corax does the same anyway. */
  readonly warning: (value: string) => string | null;
}

const ignored = (why: string) => () => why;
const proxy = ignored('corax carries layer-3 tunnels only; the layer-7 proxy stays with raven-agent');

/** `--nat-traversal=false` and `--forward-node-ip` do something: {@link ravenDirect}, {@link ravenForwardsNodes}. */
export const RAVEN_FLAGS: ReadonlyMap<string, RavenFlag> = new Map<string, RavenFlag>([
  ['natTraversal', { flag: '--nat-traversal', boolean: true, warning: () => null }],
  [
    'vpnBindPort',
    {
      flag: '--vpn-bind-port',
      warning: (value) => (/^:?4500$/.test(value) ? null : 'the tunnel stays on UDP port 4500'),
    },
  ],
  [
    'keepAliveInterval',
    {
      flag: '--keep-alive-interval',
      warning: (value) => (value === '0' || value === '5' ? null : 'the keepalive stays at 5 s'),
    },
  ],
  [
    'keepAliveTimeout',
    {
      flag: '--keep-alive-timeout',
      warning: (value) => (value === '0' ? null : 'probes tell when a plane is dead, no time-out is needed'),
    },
  ],
  ['forwardNodeIp', { flag: '--forward-node-ip', boolean: true, warning: () => null }],
  [
    'routeDriver',
    {
      flag: '--route-driver',
      warning: (value) => (value === 'vxlan' ? null : "a gateway's nodes reach each other by VXLAN, as with raven"),
    },
  ],
  ['v', { flag: '--v', warning: ignored('use --log-level') }],
  ...[
    'proxy-metric-bind-addr',
    'proxy-internal-secure-addr',
    'proxy-internal-insecure-addr',
    'proxy-external-addr',
    'client-cert-dir',
    'server-cert-dir',
    'server-cert-dns-names',
    'server-cert-ips',
  ].map((name): [string, RavenFlag] => [
    name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
    { flag: `--${name}`, warning: proxy },
  ]),
]);

/** raven without NAT traversal sends everything by the relay: our `--direct none`. */
export function ravenDirect(flags: Readonly<Record<string, unknown>>): 'none' | undefined {
  return flags.natTraversal === 'false' ? 'none' : undefined;
}

/** Nodes' own addresses are carried too. */
export function ravenForwardsNodes(flags: Readonly<Record<string, unknown>>): boolean {
  return flags.forwardNodeIp === 'true' || flags.forwardNodeIp === true;
}

export function ravenWarnings(flags: Readonly<Record<string, unknown>>): string[] {
  const warnings: string[] = [];
  for (const [key, { flag, warning }] of RAVEN_FLAGS) {
    const value = flags[key];
    const text = value === undefined ? null : warning(String(value));
    if (text !== null) warnings.push(`${flag} (raven's) has no effect: ${text}`);
  }
  return warnings;
}
