/** The device that contenders are measured on, and who is on it. */
import { randomBytes } from 'node:crypto';
import type { Engine } from '#src/native.js';
import { packPeers } from '#src/tunnel/columns.js';
import { changeOf, hundredth, type Peer, peer, population } from '../peers/records.js';

/** The driver knows its devices by name. */
export const DEVICE = 'raven-wg0';

export class Device {
  readonly #engine: Engine;
  #count: number | null = null;
  #move = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** No peers. With a private key, as every device that works: it is what makes a new peer dear. */
  async empty(): Promise<void> {
    await this.#engine.wgDestroy(DEVICE);
    const results = await this.#engine.network([
      { op: 'link-create', name: DEVICE, kind: 'wireguard' },
      { op: 'link-set', name: DEVICE, mtu: 1420 },
    ]);
    const failure = results.find((result) => result !== null);
    if (failure) throw failure;
    await this.#engine.wgConfigure(DEVICE, { privateKey: randomBytes(32) });
    this.#count = 0;
  }

  /** The first `count` of the population are on it, and nobody else. */
  async holds(count: number): Promise<void> {
    if (this.#count === count) return;
    await this.empty();
    await this.#put(population(count));
    this.#count = count;
  }

  /** Somebody else put them there. */
  filled(count: number): void {
    this.#count = count;
  }

  async #put(peers: readonly Peer[]): Promise<void> {
    await this.#engine.wgApply(DEVICE, packPeers(peers.map((each) => changeOf(each, 'put'))));
  }

  /** Those that {@link hundredth} names are there again. */
  async mend(count: number): Promise<void> {
    await this.#put(hundredth(count).map((index) => peer(index)));
  }

  /** One peer in a hundred moves on, to where it never was. */
  async stir(count: number): Promise<void> {
    this.#move += 1;
    const moved = hundredth(count).map((index) => peer(index, this.#move));
    await this.#engine.wgApply(DEVICE, packPeers(moved.map((each) => changeOf(each, 'move'))));
  }
}
