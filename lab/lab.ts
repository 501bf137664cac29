/** A lab: sites with edges and pods behind NATs, relays, a STUN server; and means to disturb them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CoraxError, messageOf } from '#src/errors.js';
import type { DriverName } from '#src/model/names.js';
import { writeGateways } from './gateways.js';
import { applyPlan, removeNamespaces } from './net/apply.js';
import { Faults } from './net/faults.js';
import { connectToHost } from './net/host-access.js';
import { type LabSpec, type NodePlan, type Plan, planLab } from './net/plan.js';
import { LabNode } from './node.js';
import { LAB_DIRECTORY, requireInside } from './setting.js';
import { StunServer } from './stun.js';
import { Pinger, type PingerOptions } from './traffic/pinger.js';
import { TcpTraffic } from './traffic/tcp.js';

export interface LabOptions extends LabSpec {
  /** Agents' logs go here; else below CORAX_LAB_LOGS, else into the lab's own folder, which goes with it. */
  readonly logs?: string;
  /** Flags that tell an agent where the Gateways are; the lab's own folder unless given. */
  readonly store?: (node: NodePlan) => readonly string[];
  /** Agents' tunnel driver; WireGuard unless given. */
  readonly driver?: DriverName;
  /** Nodes reach the host's ports (see InsideOptions.hostPorts). */
  readonly host?: boolean;
}

export interface WaitOptions {
  /** For the error: "edge-a goes direct". */
  readonly what: string;
  readonly timeoutMs: number;
  readonly everyMs?: number;
}

export const PSK = 'the lab has no secrets';

export class Lab {
  readonly plan: Plan;
  readonly faults: Faults;
  readonly stun: StunServer | null;
  /** Working folder; holds gateways/, psk and a folder a node. */
  readonly directory: string;
  readonly gateways: string;
  readonly #nodes: ReadonlyMap<string, LabNode>;
  readonly #traffic: Array<{ kill(): void }> = [];

  private constructor(plan: Plan, options: LabOptions) {
    this.plan = plan;
    this.faults = new Faults(plan);
    mkdirSync(LAB_DIRECTORY, { recursive: true });
    this.directory = mkdtempSync(join(LAB_DIRECTORY, 'lab-'));
    this.gateways = join(this.directory, 'gateways');
    mkdirSync(this.gateways);
    const pskFile = join(this.directory, 'psk');
    writeFileSync(pskFile, `${PSK}\n`, { mode: 0o600 });
    this.stun = plan.stun ? new StunServer(plan.stun.namespace, plan.stun.addresses) : null;
    const stun = plan.stun ? plan.stun.addresses.map((address) => `${address}:3478`) : [];
    const kept = process.env.CORAX_LAB_LOGS;
    const logs = options.logs ?? (kept ? join(kept, basename(this.directory)) : join(this.directory, 'logs'));
    mkdirSync(logs, { recursive: true });
    const store = options.store ?? (() => ['--gateways', this.gateways]);
    const driver = options.driver ?? 'wireguard';
    const settings = { store, directory: this.directory, logs, pskFile, stun, driver };
    this.#nodes = new Map(plan.nodes.map((node) => [node.name, new LabNode(node, settings, this.faults)]));
  }

  /** Builds everything but the agents; what an earlier lab left in this setting is removed first. */
  static async create(options: LabOptions): Promise<Lab> {
    requireInside();
    const plan = planLab(options);
    await removeNamespaces();
    const lab = new Lab(plan, options);
    try {
      await applyPlan(plan);
      if (options.host) await connectToHost(plan);
      writeGateways(lab.gateways, plan.nodes);
      await lab.stun?.start();
    } catch (error) {
      await lab.destroy();
      throw error;
    }
    return lab;
  }

  site(name: string): LabNode {
    const node = this.#nodes.get(name);
    if (!node) throw new CoraxError('CORAX_LAB', `There is no ${name} in this lab`);
    return node;
  }

  relay(name = this.relays[0]?.name ?? 'relay'): LabNode {
    return this.site(name);
  }

  get sites(): LabNode[] {
    return [...this.#nodes.values()].filter((node) => node.plan.role === 'edge');
  }

  get relays(): LabNode[] {
    return [...this.#nodes.values()].filter((node) => node.plan.role === 'relay');
  }

  /** Nodes that are not the first of their gateway. */
  get members(): LabNode[] {
    return [...this.#nodes.values()].filter((node) => node.plan.role === 'member');
  }

  get nodes(): LabNode[] {
    return [...this.#nodes.values()];
  }

  /** Pings a pod from a pod, for as long as it is let; `to` may be an address. */
  async pinger(from: string, to: string, options: PingerOptions): Promise<Pinger> {
    const pinger = new Pinger(this.#node(from).pod, this.#podAddress(to), options);
    this.#traffic.push(pinger);
    return pinger;
  }

  /** TCP from pod to pod: one connection that stays, and a new one every 100 ms. Resolves when the first stands. */
  async tcp(from: string, to: string): Promise<TcpTraffic> {
    const target = this.#node(to);
    const traffic = new TcpTraffic(this.#node(from).pod, target.pod, target.podAddress);
    this.#traffic.push(traffic);
    await traffic.start();
    return traffic;
  }

  /** Waits for a state; the error names what did not come, and the last thing seen. */
  async waitFor<T>(
    condition: () => Promise<T> | T,
    { what, timeoutMs, everyMs = 100 }: WaitOptions,
  ): Promise<NonNullable<T>> {
    const deadline = performance.now() + timeoutMs;
    let seen = 'nothing';
    for (;;) {
      try {
        const value = await condition();
        if (value !== false && value !== null && value !== undefined) return value;
        seen = String(value);
      } catch (error) {
        seen = messageOf(error);
      }
      if (performance.now() > deadline) {
        throw new CoraxError('CORAX_LAB', `Not within ${timeoutMs / 1000} s: ${what} (at last: ${seen})`);
      }
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** Ends every process and namespace of the lab. */
  async destroy(): Promise<void> {
    for (const traffic of this.#traffic) traffic.kill();
    await Promise.all(this.nodes.map((node) => node.kill9()));
    for (const node of this.nodes) {
      node.killPluto();
      node.keepPlutoLog();
    }
    await this.stun?.stop();
    await removeNamespaces();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #node(name: string): NodePlan {
    return this.site(name).plan;
  }

  #podAddress(to: string): string {
    return /^\d/.test(to) ? to : this.#node(to).podAddress;
  }
}
