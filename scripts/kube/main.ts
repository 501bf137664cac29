/**
 * A Kubernetes API of one's own: kube-apiserver and etcd, nothing else.
 *   npm run kube -- get      gets the programs (builds them the first time) and says where they are
 *   npm run kube -- start    starts both on free ports of this machine, until Ctrl-C
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoraxError, messageOf } from '#src/errors.js';
import { buildAssets, kubeAssets } from './assets.js';
import { ApiServer } from './server.js';

const USAGE = `usage: npm run kube -- get|start

  get     gets kube-apiserver and etcd and says where they are: from KUBEBUILDER_ASSETS, else from the
          cache, else built from Go modules (minutes, once)
  start   starts both on free ports of this machine and writes a kubeconfig of an administrator; Ctrl-C
          stops them and removes what they wrote`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function start(): Promise<void> {
  const server = await ApiServer.start({ progress: say });
  const kubeconfig = join(server.folder, 'kubeconfig.json');
  writeFileSync(kubeconfig, server.kubeconfig(), { mode: 0o600 });
  say(`the API answers at ${server.url}; Ctrl-C stops it`);
  process.stdout.write(`export KUBECONFIG=${kubeconfig}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve());
  });
  await server.stop();
}

try {
  switch (process.argv[2]) {
    case 'get': {
      const { apiServer, etcd } = await kubeAssets(say);
      process.stdout.write(`${apiServer}\n${etcd}\n`);
      break;
    }
    case 'build':
      await buildAssets(say);
      break;
    case 'start':
      await start();
      break;
    default:
      say(USAGE);
      process.exitCode = process.argv[2] === '--help' ? 0 : 1;
  }
} catch (error) {
  if (!(error instanceof CoraxError)) throw error;
  say(messageOf(error));
  process.exitCode = 1;
}
