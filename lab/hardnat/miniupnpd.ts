/** A router's miniupnpd, Debian's, on a NAT of the lab: it grants port mappings by PCP, NAT-PMP and UPnP. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoraxError } from '#src/errors.js';
import { inside } from '../net/apply.js';
import type { NatPlan } from '../net/plan.js';
import { exited, run, spawnBound } from '../process.js';

const TABLE = 'miniupnpd';

/** As its own nft_init.sh has them, before the NAT's own chains. Anew, they are empty. */
const CHAINS = `table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  chain miniupnpd { }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
  chain forward { type filter hook forward priority -1; jump miniupnpd; }
  chain prerouting { type nat hook prerouting priority -101; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 99; jump postrouting_miniupnpd; }
}
`;

export interface RouterOptions {
  /** PCP and NAT-PMP come together, with one switch. */
  readonly natPmp: boolean;
  readonly upnp: boolean;
}

export class Miniupnpd {
  readonly #namespace: string;
  readonly #config: string;
  readonly #log: string;
  #process: ChildProcess | null = null;

  /** @param directory for its configuration and its log */
  constructor({ namespace }: Pick<NatPlan, 'namespace'>, { natPmp, upnp }: RouterOptions, directory: string) {
    this.#namespace = namespace;
    this.#config = join(directory, `${namespace}.conf`);
    this.#log = join(directory, `${namespace}.log`);
    const lines = [
      'ext_ifname=wan',
      'listening_ip=lan',
      `enable_natpmp=${natPmp ? 'yes' : 'no'}`,
      `enable_upnp=${upnp ? 'yes' : 'no'}`,
      `upnp_table_name=${TABLE}`,
      `upnp_nat_table_name=${TABLE}`,
      // Only for who asks, and from 1024 up: what Debian's own file has.
      'secure_mode=yes',
      'system_uptime=no',
      'uuid=00000000-0000-4000-8000-000000000001',
      'allow 1024-65535 0.0.0.0/0 1024-65535',
      'deny 0-65535 0.0.0.0/0 0-65535',
    ];
    writeFileSync(this.#config, `${lines.join('\n')}\n`);
  }

  /** Starts it without any mapping; resolves when it listens. */
  async start(): Promise<void> {
    await this.forget();
    const log = openSync(this.#log, 'a');
    const child = spawnBound(
      [...inside(this.#namespace), 'miniupnpd', '-d', '-f', this.#config, '-P', `${this.#config}.pid`],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
    this.#process = child;
    const deadline = performance.now() + 60_000;
    // SSDP's port or PCP's, whichever it has: both come last.
    while (!this.#listens(child.pid)) {
      if (child.exitCode !== null || performance.now() > deadline) {
        throw new CoraxError('CORAX_LAB', `miniupnpd did not start: ${readFileSync(this.#log, 'utf8').slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** What it granted is gone. */
  async forget(): Promise<void> {
    await run([...inside(this.#namespace), 'nft', '-f', '-'], { input: CHAINS });
  }

  /** As a router that reboots: at once, and its mappings are gone. */
  async reboot(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null) return;
    const done = exited(child);
    child.kill('SIGKILL');
    await done;
  }

  /** Its mappings, "outside port -> inside address:port". */
  async mappings(): Promise<string[]> {
    const command = ['nft', 'list', 'chain', 'inet', TABLE, 'prerouting_miniupnpd'];
    const { stdout } = await run([...inside(this.#namespace), ...command]);
    return [...stdout.matchAll(/dport (\d+) dnat ip to (\S+)/g)].map(([, port, to]) => `${port} -> ${to}`);
  }

  /** How often it said so. */
  said(words: RegExp): number {
    return [...readFileSync(this.#log, 'utf8').matchAll(new RegExp(words, 'g'))].length;
  }

  #listens(pid: number | undefined): boolean {
    try {
      return /^ *\d+: \S+:(14E7|076C) /m.test(readFileSync(`/proc/${pid}/net/udp`, 'utf8'));
    } catch {
      return false;
    }
  }
}
