/** Who there is traffic with, where direct planes are given on demand. */
import type { Ip } from '../model/address.js';
import type { Network } from '../network/network.js';
import type { Remotes } from './remotes.js';

export interface TrafficParts {
  readonly network: Pick<Network, 'busy'>;
  readonly remotes: Remotes;
  /** Whose subnets hold the address. */
  readonly holderOf: (ip: Ip) => string | null;
  /** Is it remembered in the kernel? */
  readonly watched: () => boolean;
  readonly mark: (owner: string) => void;
  readonly failed: (what: string, error: unknown) => void;
  readonly worked: (what: string) => void;
}

/**
 * Both ends see the first packet within so long of each other. Less than a packet is held back for an end whose NAT must be
 * opened from inside first (HOLD_BACK_MS).
 */
const LOOK_MS = 250;
/** Reading very many takes long: looking takes no more than a tenth of the time. */
const REST = 9;
const WHAT = 'look at the traffic';

export class TrafficWatch {
  readonly #parts: TrafficParts;
  /** How long the latest look took. */
  #tookMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | null = null;
  #stopped = false;

  constructor(parts: TrafficParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#looking = this.look().finally(() => this.start());
    }, this.waitMs);
  }

  /** Until the next look. */
  get waitMs(): number {
    return Math.max(LOOK_MS, this.#tookMs * REST);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  async look(): Promise<void> {
    const { network, remotes, holderOf, watched, mark, failed, worked } = this.#parts;
    const began = performance.now();
    this.#tookMs = 0;
    if (!watched()) return;
    try {
      const now = Date.now();
      for (const ip of await network.busy()) {
        const name = holderOf(ip);
        if (name !== null && remotes.seeTraffic(name, now)) mark(name);
      }
      worked(WHAT);
    } catch (error) {
      failed(WHAT, error);
    }
    this.#tookMs = performance.now() - began;
  }
}
