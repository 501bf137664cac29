/** Tokens of service accounts as kubelets get them: bound to a Pod, and so to its Node. No kubelet is needed. */
import type { ApiServer } from '../../scripts/kube/server.js';

let pods = 0;

/** Of a Pod of its own on the node, which has to be there. */
export async function podToken(
  api: ApiServer,
  account: { readonly namespace: string; readonly name: string },
  node: string,
): Promise<string> {
  pods += 1;
  const { namespace, name } = account;
  const pod = await api.must('POST', `/api/v1/namespaces/${namespace}/pods`, {
    body: {
      metadata: { name: `${name}-${pods}` },
      spec: { nodeName: node, serviceAccountName: name, containers: [{ name: 'agent', image: 'none' }] },
    },
  });
  return accountToken(api, account, {
    kind: 'Pod',
    apiVersion: 'v1',
    name: pod.metadata.name,
    uid: pod.metadata.uid,
  });
}

/** Unbound without `boundObjectRef`. */
export async function accountToken(
  api: ApiServer,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  boundObjectRef?: object,
): Promise<string> {
  const { status } = await api.must('POST', `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, {
    body: { spec: { expirationSeconds: 3600, ...(boundObjectRef === undefined ? {} : { boundObjectRef }) } },
  });
  return status.token;
}
