/** `--forward-node-ip`, as raven has it: nodes' own addresses are carried like their pods' subnets. */
import { hostPrefix, type Ip } from '../model/address.js';
import type { Gateway } from '../model/gateway.js';
import { mergePrefixes } from '../model/subnets.js';

/**
 * Sites often have the same private addresses: whoever is known first with one has it, and the others go without it
 * rather than being refused for it. Nor is one carried that a tunnel itself is reached by, or that must not be routed.
 */
export class NodeAddresses {
  readonly #holders = new Map<Ip, string>();
  readonly #held = new Map<string, Ip[]>();

  /** @param isTaken may the address not be routed into a tunnel? Not asked for the own gateway's */
  extend(gateway: Gateway, isOwn: boolean, isTaken: (ip: Ip) => boolean): Gateway {
    this.release(gateway.name);
    const reached = new Set(gateway.endpoints.map(({ publicIp }) => publicIp));
    const held: Ip[] = [];
    const nodes = gateway.nodes.map((node) => {
      const { privateIp, subnets } = node;
      if (reached.has(privateIp) || this.#holders.has(privateIp) || (!isOwn && isTaken(privateIp))) return node;
      this.#holders.set(privateIp, gateway.name);
      held.push(privateIp);
      return { ...node, subnets: [...subnets, hostPrefix(privateIp)] };
    });
    if (held.length > 0) this.#held.set(gateway.name, held);
    return { ...gateway, nodes, subnets: mergePrefixes(nodes.flatMap(({ subnets }) => subnets)) };
  }

  release(name: string): void {
    for (const ip of this.#held.get(name) ?? []) this.#holders.delete(ip);
    this.#held.delete(name);
  }
}
