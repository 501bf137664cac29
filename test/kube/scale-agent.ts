/** A built agent in a pod of its own, whose tunnel is pretended (pretend/wireguard.ts): see there what is real. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { run, stopProcess } from '../../lab/process.js';
import { type ApiServer, apply, makeServiceAccount, readManifests, startGatewayApi, until } from './api-server.js';
import type { AuditLog } from './audit.js';
import { Pod, type PodPlan } from './pod.js';
import type { Deed, Reply, Turns } from './pretend/deeds.js';
import { type Costs, costs } from './scale-world.js';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

export const EDGE = { namespace: 'corax', name: 'corax-edge' };
export const RELAY = { namespace: 'corax', name: 'corax-relay' };

/** An API server with all that agents find there when corax is installed. */
export async function startForAgents(audit: AuditLog): Promise<ApiServer> {
  const api = await startGatewayApi({ flags: audit.flags });
  for (const account of [EDGE, RELAY]) await makeServiceAccount(api, account);
  for (const file of ['rbac', 'policy']) {
    for (const manifest of readManifests(`deploy/base/${file}.yaml`)) await apply(api, manifest);
  }
  return api;
}

/** The command as `npm run build` bundles it, but for the driver. @returns main.js */
export async function buildPretender(folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  // Beside the bundle lies what it looks for there.
  for (const name of ['build', 'package.json']) symlinkSync(path(`../../${name}`), join(folder, name));
  const replace = `src/tunnel/wireguard.ts=${path('pretend/wireguard.ts')}`;
  const outdir = join(folder, 'dist');
  await run([process.execPath, 'scripts/bundle.mjs', '--outdir', outdir, '--replace', replace], { cwd: path('../..') });
  return join(outdir, 'main.js');
}

/** Where the tunnels end: answers pings to all of 10.64.0.0/10, as the sites' nodes would. */
async function startBeyond(): Promise<ChildProcess> {
  const script = 'ip link set lo up && ip route add local 10.64.0.0/10 dev lo && echo ready && exec sleep infinity';
  const command = ['--pdeathsig', 'KILL', '--', 'unshare', '-n', 'sh', '-c', script];
  const child = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

export class ScaleAgent {
  readonly pod: Pod;
  readonly #agent: ChildProcess;
  readonly #beyond: ChildProcess;
  readonly #began = performance.now();

  private constructor(pod: Pod, agent: ChildProcess, beyond: ChildProcess) {
    this.pod = pod;
    this.#agent = agent;
    this.#beyond = beyond;
  }

  static async start(server: ApiServer, plan: PodPlan, main: string, folder: string): Promise<ScaleAgent> {
    const pod = await Pod.start(server, plan, folder);
    const beyond = await startBeyond();
    const out = process.env.CORAX_TEST_VERBOSE ? ('inherit' as const) : ('ignore' as const);
    const agent = pod.startAgent(main, {
      env: { CORAX_PRETEND_BEYOND: String(beyond.pid), ...pick('NODE_OPTIONS') },
      stdio: ['ignore', out, 'inherit', 'ipc'],
    });
    return new ScaleAgent(pod, agent, beyond);
  }

  get costs(): Costs {
    return costs(this.#agent.pid ?? 0);
  }

  /** @returns seconds since the start */
  async ready(): Promise<number> {
    await until('the agent is ready', async () => {
      assert.equal(this.#agent.exitCode, null, 'the agent ended by itself');
      return (await this.pod.ready()) === 200;
    });
    return (performance.now() - this.#began) / 1000;
  }

  /** What the event loop's turns took so far; to be asked once. */
  async turns(): Promise<Turns> {
    const reply = await this.#ask({ kind: 'meter' });
    assert.ok(reply.kind === 'meter');
    return reply;
  }

  /** Edges, by public key, are seen at other ports; resolves when the driver knows, before the agent has read it. */
  async move(ports: readonly (readonly [key: string, port: number])[]): Promise<void> {
    await this.#ask({ kind: 'move', ports });
  }

  /** How many routes lead into its tunnels. */
  async routes(): Promise<number> {
    const enter = ['nsenter', '-t', String(this.pod.pid), '-n'];
    const { stdout } = await run([...enter, 'ip', 'route', 'show', 'table', '9028'], { allowFailure: true });
    return stdout.split('\n').filter((line) => line.includes('dev raven-wg')).length;
  }

  async stop(): Promise<void> {
    await stopProcess(this.#agent);
    await stopProcess(this.#beyond);
    await this.pod.stop();
  }

  async #ask(deed: Deed): Promise<Reply> {
    const answer = once(this.#agent, 'message') as Promise<[Reply]>;
    this.#agent.send(deed);
    return (await answer)[0];
  }
}

function pick(name: string): Record<string, string> {
  const value = process.env[`CORAX_TEST_${name}`];
  return value === undefined ? {} : { [name]: value };
}
