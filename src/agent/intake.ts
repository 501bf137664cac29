/** The store's batches, one after the other. The first has all that there are: it is taken in slices. */
import { Slices } from '../store/slices.js';
import type { StoreBatch } from '../store/store.js';
import type { Gateways } from './gateways.js';

export class Intake {
  readonly #gateways: Gateways;
  readonly #took: (batch: StoreBatch, changed: ReadonlySet<string>) => void;
  /** The first batch while it is being taken, and those that came meanwhile. */
  #first: Promise<void> | null = null;
  readonly #early: StoreBatch[] = [];

  /** @param took a batch was taken, and these gateways are others than before */
  constructor(gateways: Gateways, took: (batch: StoreBatch, changed: ReadonlySet<string>) => void) {
    this.#gateways = gateways;
    this.#took = took;
  }

  /** The first is being taken: nothing is decided from what there is of it. */
  get begins(): boolean {
    return this.#first !== null;
  }

  take(batch: StoreBatch): void {
    if (this.#first !== null) this.#early.push(batch);
    else if (this.#gateways.synced) this.#took(batch, this.#gateways.take(batch));
    else this.#first = this.#takeFirst(batch);
  }

  async settled(): Promise<void> {
    await this.#first;
  }

  async #takeFirst(batch: StoreBatch): Promise<void> {
    const slices = new Slices();
    const pieces = this.#gateways.taking(batch);
    let piece = pieces.next();
    for (; !piece.done; piece = pieces.next()) await slices.pause();
    this.#first = null;
    this.#took(batch, piece.value);
    for (const early of this.#early.splice(0)) this.take(early);
  }
}
