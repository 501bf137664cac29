/** Which cluster, and as whom. Loads nothing: every command's configuration looks at it. */
import { existsSync } from 'node:fs';

export type KubeSource =
  /** Where the kubelet mounts the service account; `root` is for tests. */
  { readonly kind: 'in-cluster'; readonly root?: string } | { readonly kind: 'kubeconfig'; readonly file: string };

export const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Null in a pod that has a service account's token; else what is missing. */
export function whatIsMissingInCluster(root = ''): string | null {
  if (!process.env.KUBERNETES_SERVICE_HOST) return 'KUBERNETES_SERVICE_HOST is not set: this is no pod';
  const token = `${root}${SERVICE_ACCOUNT_FOLDER}/token`;
  return existsSync(token) ? null : `${token} is not there: set automountServiceAccountToken and serviceAccountName`;
}
