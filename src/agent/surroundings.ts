/** What this node has of the network around it: its underlay, its router, the addresses that its devices hold. */
import type { Ip } from '../model/address.js';
import type { Underlay } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { Network, NodeAddress } from '../network/network.js';
import { chooseProbeAddress } from './site.js';

export class Surroundings {
  readonly #network: Network;
  #underlay: Underlay | null = null;
  #router: Ip | null = null;
  #held: NodeAddress[] = [];
  #rejected: Ip | null = null;

  constructor(network: Network) {
    this.#network = network;
  }

  get underlay(): Underlay | null {
    return this.#underlay;
  }

  get router(): Ip | null {
    return this.#router;
  }

  probeAddress(own: Gateway | null, node: string): Ip | null {
    return chooseProbeAddress(own, node, this.#held, this.#rejected);
  }

  /** @returns whether anything is another than at the last look */
  async look(): Promise<boolean> {
    const before = this.#fingerprint();
    this.#underlay = await this.#network.underlay();
    this.#held = await this.#network.nodeAddresses();
    this.#router = await this.#network.router();
    return this.#fingerprint() !== before;
  }

  /**
   * A probe address that no device of the node's own holds must be delivered here all the same, once it is set on ours;
   * one that is not is not chosen again.
   */
  async rejects(probeAddress: Ip, isSet: boolean): Promise<boolean> {
    if (!isSet || this.#held.some(({ ip }) => ip === probeAddress)) return false;
    if (await this.#network.isLocal(probeAddress)) return false;
    this.#rejected = probeAddress;
    return true;
  }

  #fingerprint(): string {
    return JSON.stringify([this.#underlay, this.#held, this.#router]);
  }
}
