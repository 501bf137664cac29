/** A node of the lab: its namespace, its agent, what its agent says. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoraxError } from '#src/errors.js';
import { DRIVER_DEVICES, type DriverName, type Plane } from '#src/model/names.js';
import { type PeerStatus, type Status, statusSchema } from '#src/model/status.js';
import { inside } from './net/apply.js';
import type { Faults, NatChange } from './net/faults.js';
import type { NatSettings } from './net/nat.js';
import type { NatPlan, NodePlan } from './net/plan.js';
import { hostFirewall } from './net/rules.js';
import { exited, isAlive, type RunOptions, type RunResult, run, spawnBound, stopProcess } from './process.js';

/** dist/main.js, seen from dist/lab/node.js. */
export const MAIN = join(dirname(fileURLToPath(import.meta.url)), '..', 'main.js');

/** Generous: the emulated machine may be busy starting four agents. */
const ANSWER_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 180_000;

export interface NodeSettings {
  /** Flags that say where the Gateways are. */
  readonly store: (node: NodePlan) => readonly string[];
  readonly directory: string;
  readonly logs: string;
  readonly pskFile: string;
  readonly stun: readonly string[];
  readonly driver: DriverName;
}

export class LabNode {
  readonly plan: NodePlan;
  readonly socket: string;
  readonly stateDirectory: string;
  readonly logFile: string;
  readonly #settings: NodeSettings;
  readonly #faults: Faults;
  #agent: ChildProcess | null = null;

  constructor(plan: NodePlan, settings: NodeSettings, faults: Faults) {
    this.plan = plan;
    this.#settings = settings;
    this.#faults = faults;
    this.stateDirectory = join(settings.directory, plan.name);
    mkdirSync(this.stateDirectory, { recursive: true, mode: 0o700 });
    this.socket = join(this.stateDirectory, 'agent.sock');
    this.logFile = join(settings.logs, `${plan.name}.log`);
  }

  get name(): string {
    return this.plan.name;
  }

  /** The plane's device. */
  device(plane: Plane): string {
    return DRIVER_DEVICES[this.#settings.driver][plane];
  }

  get agentPid(): number | null {
    return this.#agent?.pid ?? null;
  }

  /** The agent's command line, as a person would type it in the node's namespace. */
  agentCommand(extra: readonly string[] = []): string[] {
    const { store, pskFile, stun, driver } = this.#settings;
    const flags = ['--node', this.name, ...store(this.plan), '--state-dir', this.stateDirectory];
    flags.push('--socket', this.socket, '--psk-file', pskFile, '--driver', driver);
    flags.push('--metrics-addr', '127.0.0.1:10265', '--health-addr', '127.0.0.1:10275');
    return [process.execPath, MAIN, 'agent', ...flags, ...stun.flatMap((server) => ['--stun', server]), ...extra];
  }

  /** Starts the agent; resolves when it answers on its socket. */
  async startAgent(extra: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<void> {
    if (this.#agent) throw new CoraxError('CORAX_LAB', `${this.name} already runs an agent`);
    const log = openSync(this.logFile, 'a');
    const child = spawnBound([...inside(this.plan.namespace), ...this.agentCommand(extra)], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#agent = child;
    const deadline = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const answers = await this.status().then(
        () => true,
        () => false,
      );
      if (answers) return;
      if (child.exitCode !== null || child.signalCode !== null || performance.now() > deadline) {
        this.#agent = null;
        child.kill('SIGKILL');
        throw new CoraxError('CORAX_LAB', `${this.name}'s agent did not start:\n${this.logTail()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** SIGTERM: tunnels, routes and rules stay. */
  async stop(): Promise<void> {
    const agent = this.#agent;
    this.#agent = null;
    if (agent) await stopProcess(agent, 15_000);
  }

  async kill9(): Promise<void> {
    const agent = this.#agent;
    this.#agent = null;
    if (!agent) return;
    const done = exited(agent);
    agent.kill('SIGKILL');
    await done;
  }

  /** Of the pluto that the node's agent keeps; null while none is recorded. */
  get plutoPid(): number | null {
    const file = join(this.stateDirectory, 'pluto/run/pluto.pid');
    return existsSync(file) ? Number(readFileSync(file, 'utf8')) || null : null;
  }

  /** It outlives its agent, whatever ends that one. */
  killPluto(): void {
    const pid = this.plutoPid;
    if (pid !== null && isAlive(pid)) process.kill(pid, 'SIGKILL');
  }

  /** pluto's log, beside the agent's, before the node's folder goes. */
  keepPlutoLog(): void {
    const log = join(this.stateDirectory, 'pluto/log');
    if (existsSync(log)) copyFileSync(log, this.logFile.replace(/log$/, 'pluto.log'));
  }

  async restart(how: 'stop' | 'kill9' = 'stop', extra: readonly string[] = []): Promise<void> {
    await (how === 'stop' ? this.stop() : this.kill9());
    await this.startAgent(extra);
  }

  /** What `corax status --json` prints, straight from the socket: a Node process more is slow in emulation. */
  async status(): Promise<Status> {
    return statusSchema.parse(JSON.parse(await this.get('/status')));
  }

  /** One peer of the status; throws while there is none. */
  async peer(gatewayOrNode: string): Promise<PeerStatus> {
    const { peers } = await this.status();
    const found = peers.find((peer) => peer.gateway === gatewayOrNode || peer.node === gatewayOrNode);
    if (!found) throw new CoraxError('CORAX_LAB', `${this.name} has no peer ${gatewayOrNode} yet`);
    return found;
  }

  /** GET over the agent's unix socket. */
  get(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const asked = request({ socketPath: this.socket, path, timeout: ANSWER_TIMEOUT_MS }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === 200) resolve(body);
          else reject(new CoraxError('CORAX_LAB', `${this.name} answers ${response.statusCode} to ${path}: ${body}`));
        });
      });
      asked.on('timeout', () =>
        asked.destroy(new Error(`${this.name} did not answer ${path} within ${ANSWER_TIMEOUT_MS / 1000} s`)),
      );
      asked.on('error', reject);
      asked.end();
    });
  }

  /** Runs a program in the node's namespace. */
  exec(command: readonly string[], options?: RunOptions): Promise<RunResult> {
    return run([...inside(this.plan.namespace), ...command], options);
  }

  /** Whether the node's firewall lets pings in: those that a test sends, and that only the kernel can answer. */
  async admitPings(on: boolean): Promise<void> {
    const rules = on ? 'insert rule inet hostfw input icmp type echo-request accept' : hostFirewall();
    await this.exec(['nft', '-f', '-'], { input: rules });
  }

  /** Rebinds the NAT at `depth`, 0 being the node's own. */
  async rebindNat(depth = 0): Promise<void> {
    await this.#faults.rebind(this.#nat(depth));
  }

  /** Makes another kind of NAT of it, in place; mappings are forgotten. */
  async changeNat(
    kind: NatSettings['kind'],
    { depth = 0, ...more }: NatChange & { depth?: number } = {},
  ): Promise<void> {
    await this.#faults.changeNat(this.#nat(depth), kind, more);
  }

  /** UDP entries that its NAT holds. */
  async natEntries(depth = 0): Promise<number> {
    return (await this.#natTable(depth)).length;
  }

  /** The UDP ports that its NAT has given out, and the address that each leads to. */
  async natPorts(depth = 0): Promise<{ port: number; to: string | undefined }[]> {
    return (await this.#natTable(depth)).map((line) => {
      // The original direction, then the reply's, which is sent to the mapping.
      const [, port] = line.match(/(?<= dport=)\d+/g) ?? [];
      return { port: Number(port), to: / dst=(\S+)/.exec(line)?.[1] };
    });
  }

  async #natTable(depth: number): Promise<string[]> {
    const { stdout } = await run([...inside(this.#nat(depth).namespace), 'conntrack', '-L', '-p', 'udp']);
    return stdout.split('\n').filter((line) => line.startsWith('udp'));
  }

  async flushNatConntrack(depth = 0): Promise<void> {
    await this.#faults.flushConntrack(this.#nat(depth).namespace);
  }

  async flushConntrack(): Promise<void> {
    await this.#faults.flushConntrack(this.plan.namespace);
  }

  #nat(depth: number): NatPlan {
    const nat = this.plan.nats[depth];
    if (!nat) throw new CoraxError('CORAX_LAB', `${this.name} has no NAT`);
    return nat;
  }

  logTail(lines = 30): string {
    if (!existsSync(this.logFile)) return '(no log)';
    return readFileSync(this.logFile, 'utf8').split('\n').slice(-lines).join('\n');
  }
}
