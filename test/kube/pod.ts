/** A pod on a node's network, and the agent in it: namespaces of its own, the service account where a kubelet mounts it. */
import assert from 'node:assert/strict';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVICE_ACCOUNT_FOLDER } from '#src/store/kubernetes/source.js';
import { exited, spawnBound, stopProcess } from '../../lab/process.js';
import { type ApiServer, makeToken, mountServiceAccount } from './api-server.js';

const API_PORT = 6443;
const HEALTH_PORT = 10275;
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** As it is installed: one bundle. */
export const BUILT_AGENT = script('../../dist/main.js');

export interface PodPlan {
  /** The node's name; the pod's is made of it. */
  readonly node: string;
  /** Of the node's uplink, "203.0.113.1/24". */
  readonly address: string;
  readonly account: { readonly namespace: string; readonly name: string };
}

export interface AgentOptions {
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly stdio?: StdioOptions;
}

export class Pod {
  readonly #plan: PodPlan;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #forward: Server;

  private constructor(plan: PodPlan, folder: string, child: ChildProcess, forward: Server) {
    this.#plan = plan;
    this.#folder = folder;
    this.#process = child;
    this.#forward = forward;
  }

  /** @param base folder in which the pod gets one of its own */
  static async start(server: ApiServer, plan: PodPlan, base: string): Promise<Pod> {
    const { account, node, address } = plan;
    const folder = join(base, node);
    mkdirSync(folder, { recursive: true });
    const token = await makeToken(server, account, { pod: `${account.name}-${node}`, onNode: node });
    const mounted = join(mountServiceAccount(server, node, token), SERVICE_ACCOUNT_FOLDER);
    const way = join(folder, 'api.sock');
    const forward = createServer((inside) => {
      const outside = connect(server.port, '127.0.0.1');
      inside.pipe(outside).pipe(inside);
      inside.on('error', () => outside.destroy());
      outside.on('error', () => inside.destroy());
    }).listen(way);
    await once(forward, 'listening');
    const main = [process.execPath, '-C', 'corax-source', '--import', 'tsx', script('pod-main.ts')];
    const words = [mounted, address, String(API_PORT), way, String(HEALTH_PORT), join(folder, 'health.sock')];
    const inside = ['unshare', '-n', '-m', '--', ...main, ...words];
    const child = spawnBound(inside, { stdio: ['ignore', 'pipe', 'inherit'] });
    const pod = new Pod(plan, folder, child, forward);
    const ended = exited(child).then((code) => assert.fail(`the pod ended with ${code}`));
    await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended]);
    ended.catch(() => {});
    return pod;
  }

  /** Of the process that holds its namespaces. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** @param main the bundle to run */
  startAgent(main: string = BUILT_AGENT, { flags = [], env = {}, stdio }: AgentOptions = {}): ChildProcess {
    const state = ['--state-dir', join(this.#folder, 'state'), '--socket', this.#socket];
    const listen = ['--metrics-addr', 'off', '--health-addr', `127.0.0.1:${HEALTH_PORT}`];
    const enter = ['nsenter', '-t', String(this.pid), '-n', '-m', `--wdns=${process.cwd()}`];
    return spawnBound([...enter, process.execPath, main, 'agent', ...state, ...listen, ...flags], {
      env: {
        PATH: process.env.PATH,
        NODE_NAME: this.#plan.node,
        KUBERNETES_SERVICE_HOST: '127.0.0.1',
        KUBERNETES_SERVICE_PORT: String(API_PORT),
        VPN_CONNECTION_PSK: 'for this test only',
        ...env,
      },
      stdio: stdio ?? ['ignore', process.env.CORAX_TEST_VERBOSE ? 'inherit' : 'ignore', 'inherit'],
    });
  }

  /** The agent's status, over its socket. */
  async status(): Promise<unknown> {
    return JSON.parse((await get(this.#socket, '/status')).text);
  }

  /** HTTP status of the agent's readiness; 0 while it does not answer. */
  async ready(): Promise<number> {
    return get(join(this.#folder, 'health.sock'), '/readyz').then(
      ({ code }) => code,
      () => 0,
    );
  }

  async stop(): Promise<void> {
    await stopProcess(this.#process);
    this.#forward.close();
  }

  get #socket(): string {
    return join(this.#folder, 'agent.sock');
  }
}

function get(socketPath: string, path: string): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ code: response.statusCode ?? 0, text }));
    });
    asked.on('error', reject).end();
  });
}
