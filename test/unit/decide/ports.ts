/** How NATs give out ports, for tests. */
import type { NatPorts } from '#src/model/nat-profile.js';

export const RANDOM_PORTS: NatPorts = { assignment: 'random', step: null, between: null, ports: null, block: false };

export function aSequence(more: Partial<NatPorts> = {}): NatPorts {
  return { assignment: 'sequential', step: 1, between: 0, ports: null, block: null, ...more };
}

export function aBlock(first: number, size: number): Pick<NatPorts, 'ports' | 'block'> {
  return { ports: { first, last: first + size - 1 }, block: true };
}
