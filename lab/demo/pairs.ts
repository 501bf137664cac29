/** Which pairs of NATs let a direct path through: the proposal's figure 2, and those that openings get through. */
import { NAT_KINDS, type NatKind } from '../net/nat.js';

/** What the demo can put an edge behind. */
export const DEMO_NATS: readonly NatKind[] = NAT_KINDS.filter((kind) => kind !== 'none' && kind !== 'udp-blocked');

const isSymmetric = (kind: NatKind): boolean => kind.startsWith('symmetric');
const isSequential = (kind: NatKind): boolean => kind.startsWith('symmetric-sequential');

export function mayGoDirect(a: NatKind, b: NatKind): boolean {
  return !(isSymmetric(a) && isSymmetric(b)) || (isSequential(a) && isSequential(b));
}

/** Takes the lab's names and the field's: "restricted", "Full cone NAT", "port_restricted". */
export function parseNatKind(text: string): NatKind | null {
  const plain = text
    .toLowerCase()
    .replaceAll(/[\s_]+/g, '-')
    .replace(/-nat$/, '');
  const aliases: Readonly<Record<string, NatKind>> = {
    full: 'full-cone',
    restricted: 'restricted-cone',
    'port-restricted-cone': 'port-restricted',
    sequential: 'symmetric-sequential',
    masquerade: 'linux',
  };
  return aliases[plain] ?? DEMO_NATS.find((kind) => kind === plain) ?? null;
}
