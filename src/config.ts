/**
 * Flags over environment over file, checked once into a frozen Config. Every error names the flag, the
 * variable or the key, the value, and what is expected; all of them are told at once.
 */
import { readFileSync, statSync } from 'node:fs';
import * as path from 'node:path';
import { parseDocument } from 'yaml';
import { type Listen, OPTION_KEYS, OPTIONS, type OptionKey, type OptionValue } from './config/options.js';
import { checkPsk, missingPsk, PSK_VARIABLE, readPskFile } from './config/psk.js';
import { RAVEN_ALIASES, ravenDirect, ravenForwardsNodes, ravenWarnings } from './config/raven.js';
import { chooseStore } from './config/store.js';
import { CoraxError, codeOf, messageOf } from './errors.js';
import { type Ip, isLoopback } from './model/address.js';
import type { DirectPolicy } from './model/facts.js';
import type { DriverName } from './model/names.js';
import type { MappingPolicy } from './model/port-mapping.js';
import type { Secret } from './model/secret.js';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type LogLevel = OptionValue<'logLevel'>;

interface CommonConfig {
  readonly nodeIp: Ip | null;
  readonly driver: DriverName;
  /** Absolute; of a pluto that somebody else keeps. Null: the agent keeps its own. */
  readonly plutoSocket: string | null;
  /** "host:port" each. */
  readonly stun: readonly string[];
  /** Absolute. */
  readonly stateDir: string;
  /** Absolute. */
  readonly socket: string;
  /** Null: not served. */
  readonly metrics: ListenAddress | null;
  readonly metricsOptions: {
    /** Peers that have series of their own. */
    readonly maxPeers: number;
    /** Peers also under the names of MindFlavor's exporter. */
    readonly wireguardNames: boolean;
  };
  readonly health: ListenAddress | null;
  /** Served on the health address. */
  readonly statusPage: boolean;
  readonly direct: DirectPolicy;
  /** Whether, and how, the router is asked to map the tunnel's port. */
  readonly portMapping: MappingPolicy;
  /** Openings through NATs that let no packet in first. */
  readonly hardNat: boolean;
  /** raven's `--forward-node-ip`. */
  readonly forwardNodeIp: boolean;
  readonly logLevel: LogLevel;
}

export interface AgentConfig extends CommonConfig {
  readonly cleanup: false;
  readonly node: string;
  /** Absolute path of the folder of Gateways; null: they are in a Kubernetes cluster. */
  readonly gateways: string | null;
  /** Absolute path; null: the cluster whose pod this is, where `gateways` is null too. */
  readonly kubeconfig: string | null;
  readonly psk: Secret;
}

/** `--cleanup` removes what was made on this node; it needs no key, no Gateways and no name. */
export interface CleanupConfig extends CommonConfig {
  readonly cleanup: true;
  readonly node: string | null;
  readonly gateways: string | null;
  readonly psk: null;
}

export type Config = AgentConfig | CleanupConfig;

export const DEFAULT_STATE_DIR = '/var/lib/corax';
export const DEFAULT_SOCKET = '/run/corax/agent.sock';
export const METRICS_PORT = 10265;
export const HEALTH_PORT = 10275;
const DEFAULT_MAX_PEERS = 10_000;
const CONFIG_FILE_LIMIT = 1 << 20;

/** Flags in commander's camelCase, raven's among them; `config` and `cleanup` beside the options. */
export type Flags = Readonly<Record<string, unknown>>;
export type Environment = Record<string, string | undefined>;

interface Raw {
  readonly value: unknown;
  /** How a person wrote it: "--driver", "CORAX_DRIVER", "driver in FILE". */
  readonly source: string;
  readonly layer: 'flag' | 'environment' | 'file';
  /** What relative paths are relative to. */
  readonly base: string;
}

/** Values that were checked; absent where nobody set them. */
type Values = { [K in OptionKey]?: OptionValue<K> };

/**
 * Takes the key out of `env` (a child process must not inherit it; /proc/PID/environ keeps the first
 * block of a process for root and the same user, which no process can change from inside).
 * Throws CORAX_CONFIG and CORAX_PSK.
 */
export function loadConfig(flags: Flags, env: Environment): { config: Config; warnings: string[] } {
  const pskText = env[PSK_VARIABLE];
  delete env[PSK_VARIABLE];

  const warnings = ravenWarnings(flags);
  const raw = gather(flags, env);
  const problems: string[] = [];
  const values = check(raw, problems);
  const file = (key: 'stateDir' | 'socket' | 'plutoSocket' | 'gateways' | 'kubeconfig' | 'pskFile') => {
    const value = values[key];
    return value === undefined ? undefined : path.resolve(raw.get(key)?.base ?? '.', value);
  };

  const cleanup = flags.cleanup === true;
  const gateways = file('gateways');
  if (gateways !== undefined) checkFolder(gateways, raw.get('gateways')?.source ?? '', problems);
  if (raw.has('plutoSocket') && values.driver !== 'libreswan') {
    problems.push(`${describe(raw.get('plutoSocket'))}: pluto is the libreswan driver's (--driver libreswan)`);
  }
  if (values.direct === 'demand') {
    problems.push(`${describe(raw.get('direct'))}: direct planes on demand are not in this version yet, use auto`);
  }
  if (!cleanup && !raw.has('node'))
    problems.push(`--node is missing (or NODE_NAME): expected ${OPTIONS.node.expected}`);
  const setting = (key: 'gateways' | 'kubeconfig') => {
    const [path, entry] = [file(key), raw.get(key)];
    return path === undefined || entry === undefined ? undefined : { ...entry, path };
  };
  const inPod = Boolean(env.KUBERNETES_SERVICE_HOST);
  const store = chooseStore(setting('gateways'), setting('kubeconfig'), inPod || cleanup, problems);
  const nodeIp = values.nodeIp ?? null;
  const metrics = listen(values.metricsAddr, nodeIp, METRICS_PORT);
  const health = listen(values.healthAddr, nodeIp, HEALTH_PORT);
  if (metrics !== null && health !== null && metrics.port === health.port && metrics.host === health.host) {
    problems.push(`--metrics-addr and --health-addr are both ${metrics.host}:${metrics.port}: expected two addresses`);
  }
  if (values.statusPage === 'on' && health === null) {
    problems.push(`${describe(raw.get('statusPage'))}: the page is served on --health-addr, which is off`);
  }
  if (problems.length > 0) throw new CoraxError('CORAX_CONFIG', problems.join('\n'));

  const common: CommonConfig = {
    nodeIp,
    driver: values.driver ?? 'wireguard',
    plutoSocket: file('plutoSocket') ?? null,
    stun: values.stun ?? [],
    stateDir: file('stateDir') ?? DEFAULT_STATE_DIR,
    socket: file('socket') ?? DEFAULT_SOCKET,
    metrics,
    metricsOptions: {
      maxPeers: values.metricsMaxPeers ?? DEFAULT_MAX_PEERS,
      wireguardNames: values.metricsWireguardNames === 'on',
    },
    health,
    statusPage: statusPage(values.statusPage ?? 'auto', health),
    direct: directPolicy(values.direct) ?? ravenDirect(flags) ?? 'auto',
    portMapping: values.portMapping ?? 'auto',
    hardNat: values.hardNat !== 'off',
    forwardNodeIp: ravenForwardsNodes(flags),
    logLevel: values.logLevel ?? 'info',
  };
  if (cleanup) {
    const config: CleanupConfig = {
      ...common,
      cleanup,
      node: values.node ?? null,
      gateways: gateways ?? null,
      psk: null,
    };
    return { config: deepFreeze(config), warnings };
  }
  const psk = choosePsk(file('pskFile'), raw.get('pskFile'), pskText, warnings);
  const config: AgentConfig = { ...common, cleanup, node: values.node ?? '', ...store, psk };
  return { config: deepFreeze(config), warnings };
}

/** The raw value of every option that somebody set, from the first layer that has it. */
function gather(flags: Flags, env: Environment): ReadonlyMap<OptionKey, Raw> {
  const raw = new Map<OptionKey, Raw>();
  const put = (key: OptionKey, entry: Raw) => {
    if (!raw.has(key)) raw.set(key, entry);
  };
  const here = process.cwd();
  for (const key of OPTION_KEYS) {
    if (flags[key] !== undefined) {
      put(key, { value: flags[key], source: OPTIONS[key].flag, layer: 'flag', base: here });
    }
  }
  for (const [name, { flag, key }] of RAVEN_ALIASES) {
    if (flags[name] !== undefined) put(key, { value: flags[name], source: flag, layer: 'flag', base: here });
  }
  for (const key of OPTION_KEYS) {
    for (const name of OPTIONS[key].env) {
      const text = env[name];
      // A manifest often sets a variable to nothing; that is not setting it
      if (text === undefined || text === '') continue;
      const value = 'list' in OPTIONS[key] ? text.split(/[\s,]+/).filter((part) => part !== '') : text;
      put(key, { value, source: name, layer: 'environment', base: here });
    }
  }
  const configFile = flags.config ?? env.CORAX_CONFIG;
  if (typeof configFile === 'string' && configFile !== '') {
    const name = path.resolve(configFile);
    for (const [key, value] of readConfigFile(name)) {
      put(key, { value, source: `${key} in ${name}`, layer: 'file', base: path.dirname(name) });
    }
  }
  return raw;
}

function readConfigFile(name: string): Array<[OptionKey, unknown]> {
  const refuse = (why: string) => new CoraxError('CORAX_CONFIG', `--config ${name}: ${why}`);
  let text: string;
  try {
    const stat = statSync(name);
    if (!stat.isFile()) throw new Error('it is no regular file');
    if (stat.size > CONFIG_FILE_LIMIT) throw new Error(`it is larger than ${CONFIG_FILE_LIMIT} bytes`);
    text = readFileSync(name, 'utf8');
  } catch (error) {
    throw refuse(`cannot be read: ${messageOf(error)}`);
  }
  const document = parseDocument(text, { prettyErrors: true });
  const fault = document.errors[0];
  // Only the first line: the rest quotes the file, which may hold what does not belong into a log
  if (fault !== undefined) throw refuse(fault.message.split('\n')[0]?.replace(/:$/, '') ?? 'is no YAML');
  let content: unknown;
  try {
    content = document.toJS({ maxAliasCount: 10 });
  } catch (error) {
    throw refuse(messageOf(error));
  }
  if (content === null) return [];
  if (typeof content !== 'object' || Array.isArray(content)) throw refuse('expected "key: value" lines');
  return Object.entries(content).map(([key, value]) => {
    if (OPTION_KEYS.includes(key as OptionKey)) return [key as OptionKey, value];
    if (/^(?:vpn_?connection_?)?psk$/i.test(key)) throw refuse(`${key} does not belong here: name a file with pskFile`);
    throw refuse(`unknown key ${JSON.stringify(key)}: expected ${OPTION_KEYS.join(', ')}`);
  });
}

function check(raw: ReadonlyMap<OptionKey, Raw>, problems: string[]): Values {
  const values: Record<string, unknown> = {};
  for (const [key, entry] of raw) {
    const result = OPTIONS[key].schema.safeParse(entry.value);
    if (result.success) values[key] = result.data;
    else problems.push(`${describe(entry)}: expected ${OPTIONS[key].expected}`);
  }
  return values as Values;
}

function describe(entry: Raw | undefined): string {
  if (entry === undefined) return '';
  const value = JSON.stringify(entry.value) ?? String(entry.value);
  return `${entry.source} ${value.length > 120 ? `${value.slice(0, 119)}…` : value}`;
}

/** `demand` was refused by now. */
function directPolicy(direct: OptionValue<'direct'> | undefined): DirectPolicy | undefined {
  return direct === 'demand' ? undefined : direct;
}

function checkFolder(folder: string, source: string, problems: string[]): void {
  try {
    if (!statSync(folder).isDirectory()) {
      problems.push(`${source} ${JSON.stringify(folder)}: expected a folder, found a file`);
    }
  } catch (error) {
    const why = codeOf(error) === 'ENOENT' ? 'there is no such folder' : messageOf(error);
    problems.push(`${source} ${JSON.stringify(folder)}: ${why}`);
  }
}

export function listen(value: Listen | 'off' | undefined, nodeIp: Ip | null, port: number): ListenAddress | null {
  if (value === 'off') return null;
  // Not asked for: the node's own address as raven has it, else only this machine
  if (value === undefined) return { host: nodeIp ?? '127.0.0.1', port };
  return { host: value.host ?? nodeIp ?? '::', port: value.port };
}

/** It shows addresses and errors to whoever asks: beyond this machine only where somebody wants that. */
function statusPage(when: OptionValue<'statusPage'>, health: ListenAddress | null): boolean {
  if (when === 'auto') return health !== null && isLoopback(health.host);
  return when === 'on' && health !== null;
}

function choosePsk(
  file: string | undefined,
  raw: Raw | undefined,
  variable: string | undefined,
  warnings: string[],
): Secret {
  if (file !== undefined && raw?.layer === 'flag') return readPskFile(file, raw.source, warnings);
  if (variable !== undefined && variable !== '') return checkPsk(variable, PSK_VARIABLE);
  if (file !== undefined && raw !== undefined) return readPskFile(file, raw.source, warnings);
  if (variable === '') return checkPsk(variable, PSK_VARIABLE);
  throw missingPsk();
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}
