/** What goes wrong outside: cut paths, NATs that forget, missing UDP, links down. */
import { run } from '../process.js';
import { inside } from './apply.js';
import { NAT_OFF, type NatSettings, natRules, PORT_RANGES } from './nat.js';
import type { NatPlan, Plan } from './plan.js';
import { INET } from './wires.js';

export type Direction = 'both' | 'forth' | 'back';

/** What may change with a NAT's kind. */
export type NatChange = Partial<Pick<NatSettings, 'ports' | 'idleS' | 'passedOver'>>;

export class Faults {
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** Drops what goes from one public address (IPv4 or IPv6) to another ("forth"), the other way ("back"), or both. */
  async cut(from: string, to: string, direction: Direction = 'both'): Promise<void> {
    await this.#inet(`add element ${table(from)} cuts { ${pairs(from, to, direction)} }`);
  }

  async heal(from: string, to: string, direction: Direction = 'both'): Promise<void> {
    // Added first, so that healing what is whole is no error.
    const elements = `${table(from)} cuts { ${pairs(from, to, direction)} }`;
    await this.#inet(`add element ${elements}\ndelete element ${elements}`);
  }

  /** Whether UDP passes to and from a public address. */
  async blockUdp(address: string): Promise<void> {
    await this.#inet(`add element ip faults noudp { ${address} }`);
  }

  async unblockUdp(address: string): Promise<void> {
    await this.#inet(`add element ip faults noudp { ${address} }\ndelete element ip faults noudp { ${address} }`);
  }

  async flushConntrack(namespace: string): Promise<void> {
    await run([...inside(namespace), 'conntrack', '-F']);
  }

  /** A NAT that restarted: every mapping is gone, and new ones get ports from another range. */
  async rebind(nat: NatPlan): Promise<void> {
    const range = PORT_RANGES.findIndex(([first]) => first === nat.settings.ports[0]);
    const ports = PORT_RANGES[(range + 1) % PORT_RANGES.length] ?? nat.settings.ports;
    await this.#loadNat(nat, { ...nat.settings, ports }, true);
  }

  async changeNat(nat: NatPlan, kind: NatSettings['kind'], more: NatChange = {}): Promise<void> {
    const settings = { ...nat.settings, ...more, kind };
    if (more.idleS !== undefined) {
      const names = ['nf_conntrack_udp_timeout', 'nf_conntrack_udp_timeout_stream'];
      const values = names.map((name) => `net.netfilter.${name}=${more.idleS}`);
      await run([...inside(nat.namespace), 'sysctl', '-qw', ...values]);
    }
    await this.#loadNat(nat, settings, false);
  }

  async #loadNat(nat: NatPlan, settings: NatSettings, rebound: boolean): Promise<void> {
    nat.settings = settings;
    const load = (input: string) => run([...inside(nat.namespace), 'nft', '-f', '-'], { input });
    await load(NAT_OFF);
    await this.flushConntrack(nat.namespace);
    await load(natRules(settings, rebound));
  }

  /** Every way takes so many times as long as it was planned to. */
  async stretch(times: number): Promise<void> {
    const planned = this.#plan.namespaces.get(INET)?.tc ?? [];
    const lines = planned.map((line) =>
      line.replace('qdisc add', 'qdisc change').replace(/delay ([\d.]+)ms/, (_, ms) => `delay ${Number(ms) * times}ms`),
    );
    await run([...inside(INET), 'tc', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  async linkDown(namespace: string, device: string): Promise<void> {
    await run([...inside(namespace), 'ip', 'link', 'set', device, 'down']);
  }

  /** The default route, which the kernel drops with its link, comes back as it was planned. */
  async linkUp(namespace: string, device: string): Promise<void> {
    const routes = this.#plan.namespaces.get(namespace)?.ip.filter((line) => line.startsWith('route add ')) ?? [];
    const lines = [`link set ${device} up`, ...routes.map((line) => line.replace('route add', 'route replace'))];
    await run([...inside(namespace), 'ip', '-batch', '-'], { input: `${lines.join('\n')}\n` });
  }

  async #inet(commands: string): Promise<void> {
    await run([...inside(INET), 'nft', '-f', '-'], { input: `${commands}\n` });
  }
}

function table(address: string): string {
  return `${address.includes(':') ? 'ip6' : 'ip'} faults`;
}

function pairs(from: string, to: string, direction: Direction): string {
  const elements: string[] = [];
  if (direction !== 'back') elements.push(`${from} . ${to}`);
  if (direction !== 'forth') elements.push(`${to} . ${from}`);
  return elements.join(', ');
}
