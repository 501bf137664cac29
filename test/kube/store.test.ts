/** The Kubernetes store keeps to what every store keeps to, against a real API server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { KubeSource } from '#src/store/kubernetes/source.js';
import { KubernetesStore } from '#src/store/kubernetes/store.js';
import { storeConformance } from '../unit/store/conformance.js';
import { type ApiServer, clearGateways, GATEWAYS, putGateway, startGatewayApi } from './api-server.js';

let server: ApiServer;
let source: KubeSource;

before(async () => {
  server = await startGatewayApi();
  const file = join(server.folder, 'kubeconfig.json');
  writeFileSync(file, server.kubeconfig(), { mode: 0o600 });
  source = { kind: 'kubeconfig', file };
});
after(() => server?.stop());

storeConformance('kubernetes store', async () => ({
  store: () => new KubernetesStore(source),
  put: (gateway) => putGateway(server, gateway),
  remove: async (name) => {
    await server.must('DELETE', `${GATEWAYS}/${name}`);
  },
  read: (name) => server.must('GET', `${GATEWAYS}/${name}`),
  close: () => clearGateways(server),
}));
