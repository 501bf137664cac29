import { formatHostPort, type HostPort } from '../model/address.js';
import type { Gateway } from '../model/gateway.js';

/** Where edges are reached from outside. Two may say the same: what an edge says of itself is only believed so far. */
export class Holes {
  readonly #byName = new Map<string, string>();
  readonly #names = new Map<string, Set<string>>();

  /** The gateway has this hole, and no other. */
  set(name: string, hole: HostPort): void {
    this.delete(name);
    const place = formatHostPort(hole);
    this.#byName.set(name, place);
    this.#names.set(place, (this.#names.get(place) ?? new Set()).add(name));
  }

  delete(name: string): void {
    const place = this.#byName.get(name);
    if (place === undefined) return;
    this.#byName.delete(name);
    const names = this.#names.get(place);
    names?.delete(name);
    if (names?.size === 0) this.#names.delete(place);
  }

  /** Who is reached there, or null. */
  at(place: HostPort): string | null {
    const [name] = this.#names.get(formatHostPort(place)) ?? [];
    return name ?? null;
  }
}

/** The hole of an edge; null for who is no edge or has none yet. */
export function holeOf({ active }: Gateway): HostPort | null {
  return active?.underNat ? active.hole : null;
}
