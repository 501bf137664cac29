/** Remembers the node's part of before, for as long as it takes to hand over. */
import { type Part, type PartInForce, partInForce } from '../decide/handover.js';
import type { SiteFacts } from '../model/facts.js';

export class HandingOver {
  readonly #again: () => void;
  #given: Part | null = null;
  #former: { readonly part: Part; readonly at: number } | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** @param again the part in force changes by itself now */
  constructor(again: () => void) {
    this.#again = again;
  }

  /** The node's part as the store has it; what is in force of it. */
  follow({ role, self, overlay }: Part, now: number): Pick<SiteFacts, 'role' | 'self' | 'overlay' | 'handover'> {
    const given = { role, self, overlay };
    const before = this.#given;
    if (before !== null && before.role !== role) this.#former = { part: before, at: now };
    this.#given = given;
    const { until, ...force }: PartInForce = partInForce(now, given, this.#former);
    clearTimeout(this.#timer);
    if (Number.isFinite(until)) this.#timer = setTimeout(this.#again, until - now);
    return force;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
