/** Where the Gateways come from, by the configuration. Each is loaded when it is asked for: one needs a client library. */
import type { AgentConfig } from '../config.js';
import { CoraxError } from '../errors.js';
import type { EventRecorder } from '../store/events.js';
import type { GatewayStore } from '../store/store.js';
import { VERSION } from '../version.js';

export interface OpenedStore {
  readonly store: GatewayStore;
  /** For the log: "/srv/gateways", "the Kubernetes API at 10.96.0.1". */
  readonly name: string;
  /** Null where nobody would read them. */
  readonly recorder: EventRecorder | null;
}

/**
 * @param onTrouble told why events on Gateways do not come about, and with null when they do again
 * @throws CORAX_CONFIG
 */
export async function openStore(config: AgentConfig, onTrouble: (error: unknown) => void): Promise<OpenedStore> {
  if (config.gateways !== null) {
    const { DirectoryStore } = await import('../store/directory.js');
    return { store: new DirectoryStore(config.gateways), name: config.gateways, recorder: null };
  }
  const [{ KubernetesStore }, { KubernetesEvents }, { whatIsMissingInCluster }] = await Promise.all([
    import('../store/kubernetes/store.js'),
    import('../store/kubernetes/events.js'),
    import('../store/kubernetes/source.js'),
  ]);
  const { kubeconfig, node } = config;
  const missing = kubeconfig === null ? whatIsMissingInCluster() : null;
  if (missing !== null) throw new CoraxError('CORAX_CONFIG', `the Kubernetes API cannot be used: ${missing}`);
  const source =
    kubeconfig === null ? ({ kind: 'in-cluster' } as const) : { kind: 'kubeconfig' as const, file: kubeconfig };
  const store = new KubernetesStore(source, { agentName: `corax/${VERSION}` });
  const uidOf = (gateway: string) => store.uidOf(gateway);
  const recorder = new KubernetesEvents({ api: store.api, uidOf, instance: node, onTrouble });
  return { store, name: `the Kubernetes API at ${store.hosts.join(' by the proxy ')}`, recorder };
}
