/** A NAT that gives every new destination another port (RFC 4787 4.1), one after the other, as its ports say. */
import { portAt, sequenceOf } from '#src/decide/prediction.js';
import type { NatPorts } from '#src/model/nat-profile.js';

export class SimulatedMapping {
  /** How many mappings others make before each of ours. */
  others: () => number = () => 0;
  readonly #next: (latest: number, position: number) => number;
  readonly #mappings = new Map<string, number>();
  #latest: number;

  constructor(ports: NatPorts, latest: number) {
    const sequence = sequenceOf(ports);
    if (sequence === null) throw new TypeError('these ports are in no order');
    this.#next = (from, position) => portAt(sequence, from, position);
    this.#latest = latest;
  }

  /** The outside port towards there. */
  to(place: string): number {
    const known = this.#mappings.get(place);
    if (known !== undefined) return known;
    this.#latest = this.#next(this.#latest, this.others() + 1);
    this.#mappings.set(place, this.#latest);
    return this.#latest;
  }

  /** All that nobody used for long. */
  forget(): void {
    this.#mappings.clear();
  }
}
