/** What was read before the whole was: many small batches that are told as one. */
import type { Gateway } from '../../model/gateway.js';
import type { Refusal, StoreBatch } from '../store.js';

type Changes = Omit<StoreBatch, 'synced'>;

export class Held {
  readonly #upserted = new Map<string, Gateway>();
  readonly #refused = new Map<string, Refusal>();
  #last: Changes = { upserted: [], refused: [], removed: [] };

  add(batch: Changes): void {
    const { upserted, refused, removed } = batch;
    this.#last = batch;
    for (const gateway of upserted) this.#upserted.set(gateway.name, gateway);
    for (const refusal of refused) this.#refused.set(refusal.source, refusal);
    // Told of to nobody, so its end is none either.
    for (const name of removed) this.#upserted.delete(name);
  }

  /** All of it, once. Of refusals, those that still stand. */
  take(standing: readonly Refusal[]): Changes {
    const sources = new Set(standing.map(({ source }) => source));
    const changes = {
      ...this.#last,
      upserted: [...this.#upserted.values()],
      refused: [...this.#refused.values()].filter(({ source }) => sources.has(source)),
      removed: [],
    };
    this.#upserted.clear();
    this.#refused.clear();
    return changes;
  }
}
