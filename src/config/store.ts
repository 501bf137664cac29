/** Where the Gateways are: in a folder, or in a Kubernetes cluster. */
import { accessSync, constants, statSync } from 'node:fs';
import { codeOf, messageOf } from '../errors.js';
import { OPTIONS } from './options.js';

/** A setting that somebody made. */
export interface StoreSetting {
  /** Absolute. */
  readonly path: string;
  /** How a person wrote it: "--gateways", "CORAX_GATEWAYS". */
  readonly source: string;
  readonly layer: 'flag' | 'environment' | 'file';
}

export interface StoreChoice {
  /** Exactly one is set, or neither: the cluster whose pod this is. */
  readonly gateways: string | null;
  readonly kubeconfig: string | null;
}

const LAYERS: readonly StoreSetting['layer'][] = ['flag', 'environment', 'file'];

/** The setting of the earlier layer counts; two in one layer contradict each other. */
export function chooseStore(
  folder: StoreSetting | undefined,
  cluster: StoreSetting | undefined,
  inPod: boolean,
  problems: string[],
): StoreChoice {
  const none = { gateways: null, kubeconfig: null };
  if (folder !== undefined && cluster !== undefined && folder.layer === cluster.layer) {
    problems.push(`${folder.source} and ${cluster.source}: Gateways are in a folder or in a cluster, give one of them`);
    return none;
  }
  if (folder !== undefined && (cluster === undefined || isEarlier(folder, cluster))) {
    return { ...none, gateways: folder.path };
  }
  if (cluster !== undefined) {
    const why = whyUnreadable(cluster.path);
    if (why !== null) problems.push(`${cluster.source} ${JSON.stringify(cluster.path)}: ${why}`);
    return { ...none, kubeconfig: cluster.path };
  }
  if (!inPod) {
    problems.push(
      `--gateways is missing: expected ${OPTIONS.gateways.expected}, or --kubeconfig with ` +
        `${OPTIONS.kubeconfig.expected} (only a pod of a Kubernetes cluster needs neither)`,
    );
  }
  return none;
}

function isEarlier(a: StoreSetting, b: StoreSetting): boolean {
  return LAYERS.indexOf(a.layer) < LAYERS.indexOf(b.layer);
}

function whyUnreadable(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return statSync(file).isFile() ? null : `expected ${OPTIONS.kubeconfig.expected}, found something else`;
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'there is no such file' : messageOf(error);
  }
}
