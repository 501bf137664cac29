/** Flags over environment for `corax controller`, checked once. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import * as path from 'node:path';
import { OPTIONS } from '../config/options.js';
import { type Environment, type Flags, HEALTH_PORT, type ListenAddress, listen, METRICS_PORT } from '../config.js';
import { CoraxError, messageOf } from '../errors.js';
import { isDnsName } from '../model/gateway.js';
import { type KubeSource, SERVICE_ACCOUNT_FOLDER, whatIsMissingInCluster } from '../store/kubernetes/source.js';
import type { LeaseName } from './lease.js';

export interface ControllerConfig {
  readonly source: KubeSource;
  readonly lease: LeaseName;
  /** Whole seconds. */
  readonly leaseDurationS: number;
  /** Of this replica, in the Lease. */
  readonly identity: string;
  readonly yurtManager: LeaseName;
  readonly graceMs: number;
  readonly metrics: ListenAddress | null;
  readonly health: ListenAddress | null;
  readonly logLevel: string;
}

interface Setting {
  readonly flag: string;
  readonly argument: string;
  readonly env: readonly string[];
  readonly help: string;
}

/** In the order of --help; the key is commander's name for the flag. */
export const CONTROLLER_OPTIONS = {
  kubeconfig: {
    flag: '--kubeconfig',
    argument: 'FILE',
    env: ['KUBECONFIG'],
    help: 'how to reach the API outside of a Pod',
  },
  namespace: {
    flag: '--namespace',
    argument: 'NAME',
    env: ['POD_NAMESPACE'],
    help: "where the Lease of the leader is (default: the Pod's own, else corax)",
  },
  lease: {
    flag: '--lease',
    argument: 'NAME',
    env: [],
    help: 'the Lease by which one replica leads (default: corax-controller)',
  },
  leaseDuration: {
    flag: '--lease-duration',
    argument: 'SECONDS',
    env: [],
    help: 'another replica leads so long after the last word of one that is gone; it is renewed five times as often (default: 15)',
  },
  identity: {
    flag: '--identity',
    argument: 'NAME',
    env: ['POD_NAME'],
    help: "what this replica is called in the Lease (default: the host's name)",
  },
  yurtManagerLease: {
    flag: '--yurt-manager-lease',
    argument: 'NAMESPACE/NAME',
    env: [],
    help: 'while it is held and renewed, yurt-manager runs and nothing is written (default: kube-system/yurt-manager)',
  },
  grace: {
    flag: '--grace',
    argument: 'SECONDS',
    env: [],
    help: 'an active node that is not Ready keeps the tunnel for so long (default: 10)',
  },
  metricsAddr: OPTIONS.metricsAddr,
  healthAddr: OPTIONS.healthAddr,
  logLevel: OPTIONS.logLevel,
} as const satisfies Record<string, Setting>;

type Key = keyof typeof CONTROLLER_OPTIONS;

const LONGEST_GRACE_S = 3600;
const LEASE_S = { shortest: 3, longest: 600, usual: 15 };

/** @throws CoraxError CORAX_CONFIG, all that is wrong at once */
export function loadControllerConfig(flags: Flags, env: Environment): ControllerConfig {
  const problems: string[] = [];
  const raw = (key: Key) => {
    const { flag, env: names } = CONTROLLER_OPTIONS[key];
    const fromEnvironment = names.find((name) => env[name] !== undefined && env[name] !== '');
    if (flags[key] !== undefined) return { value: String(flags[key]), source: flag };
    return fromEnvironment === undefined ? null : { value: env[fromEnvironment] ?? '', source: fromEnvironment };
  };
  const take = <T>(key: Key, otherwise: T, expected: string, parse: (value: string) => T | undefined): T => {
    const given = raw(key);
    if (given === null) return otherwise;
    const value = parse(given.value);
    if (value === undefined) problems.push(`${given.source} ${JSON.stringify(given.value)}: expected ${expected}`);
    return value ?? otherwise;
  };
  const dnsName = (value: string) => (isDnsName(value) ? value : undefined);
  const option = (key: 'metricsAddr' | 'healthAddr') =>
    take(key, undefined, OPTIONS[key].expected, (value) => OPTIONS[key].schema.safeParse(value).data);
  const nodeIp = OPTIONS.nodeIp.schema.safeParse(env.CORAX_NODE_IP ?? env.NODE_IP).data ?? null;

  const config: ControllerConfig = {
    source: take<KubeSource>('kubeconfig', { kind: 'in-cluster' }, 'a file', (file) =>
      file === '' ? undefined : { kind: 'kubeconfig', file: path.resolve(file) },
    ),
    lease: {
      namespace: take('namespace', podNamespace(), 'the name of a namespace', dnsName),
      name: take('lease', 'corax-controller', 'the name of a Lease', dnsName),
    },
    leaseDurationS: take(
      'leaseDuration',
      LEASE_S.usual,
      `whole seconds, ${LEASE_S.shortest} to ${LEASE_S.longest}`,
      (value) => (/^\d{1,3}$/.test(value) ? within(Number(value), LEASE_S.shortest, LEASE_S.longest) : undefined),
    ),
    identity: take('identity', hostname(), 'some text', (value) => value || undefined),
    yurtManager: take(
      'yurtManagerLease',
      { namespace: 'kube-system', name: 'yurt-manager' },
      'NAMESPACE/NAME',
      parseLease,
    ),
    graceMs: take('grace', 10_000, `seconds, 0 to ${LONGEST_GRACE_S}`, parseSeconds),
    metrics: listen(option('metricsAddr'), nodeIp, METRICS_PORT),
    health: listen(option('healthAddr'), nodeIp, HEALTH_PORT),
    logLevel: take<string>('logLevel', 'info', OPTIONS.logLevel.expected, (value) => {
      return OPTIONS.logLevel.schema.safeParse(value).data;
    }),
  };
  const absent = config.source.kind === 'kubeconfig' ? whyUnreadable(config.source.file) : whatIsMissingInCluster();
  if (absent !== null) {
    problems.push(`the Kubernetes API cannot be reached: ${absent} (outside of a Pod, --kubeconfig names a file)`);
  }
  if (problems.length > 0) throw new CoraxError('CORAX_CONFIG', problems.join('\n'));
  return config;
}

function whyUnreadable(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

function parseLease(value: string): LeaseName | undefined {
  const [namespace = '', name = '', ...others] = value.split('/');
  return isDnsName(namespace) && isDnsName(name) && others.length === 0 ? { namespace, name } : undefined;
}

function within(value: number, least: number, most: number): number | undefined {
  return value >= least && value <= most ? value : undefined;
}

function parseSeconds(value: string): number | undefined {
  const seconds = /^\d+(?:\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  return seconds <= LONGEST_GRACE_S ? seconds * 1000 : undefined;
}

function podNamespace(): string {
  try {
    const name = readFileSync(`${SERVICE_ACCOUNT_FOLDER}/namespace`, 'utf8').trim();
    return isDnsName(name) ? name : 'corax';
  } catch {
    return 'corax';
  }
}
