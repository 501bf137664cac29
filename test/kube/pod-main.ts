/**
 * Inside a network and mount namespace of its own: what a pod on a host's network finds there. Brings up an
 * uplink, mounts the service account where a kubelet does, lets the API be reached at the port through a unix
 * socket (nothing else leads out), and the agent's health through another one, and says "ready".
 *   pod-main.ts SERVICE-ACCOUNT-FOLDER ADDRESS/LENGTH PORT API-SOCKET HEALTH-PORT HEALTH-SOCKET
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { dirname } from 'node:path';
import { SERVICE_ACCOUNT_FOLDER } from '#src/store/kubernetes/source.js';

const [account = '', address = '', port = '', socket = '', healthPort = '', healthSocket = ''] = process.argv.slice(2);

const ip = (...words: string[]) => execFileSync('ip', words);
ip('link', 'set', 'lo', 'up');
ip('link', 'add', 'uplink', 'type', 'veth', 'peer', 'name', 'beyond');
ip('link', 'set', 'beyond', 'up');
ip('address', 'add', address, 'dev', 'uplink');
ip('link', 'set', 'uplink', 'up');
ip('route', 'add', 'default', 'via', '203.0.113.254');

execFileSync('mount', ['-t', 'tmpfs', 'none', '/run']);
mkdirSync(dirname(SERVICE_ACCOUNT_FOLDER), { recursive: true });
cpSync(account, SERVICE_ACCOUNT_FOLDER, { recursive: true });

const forward = (to: NetConnectOpts) =>
  createServer((near) => {
    const far = connect(to);
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  });
forward({ host: '127.0.0.1', port: Number(healthPort) }).listen(healthSocket);
forward({ path: socket }).listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'));
