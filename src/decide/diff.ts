/** From what is in force and what ought to be to the steps between. */
import { type Item, type ItemKey, keyOf, sameItem } from '../model/item.js';
import { TABLES } from '../model/names.js';
import type { ItemStep, Step } from '../model/step.js';

/**
 * Steps for one owner's items, in an order in which traffic never finds a gap: what is relied on comes
 * first, and goes last.
 *
 * @param desired what the owner wants now
 * @param formerly keys that the owner wanted before; those it no longer wants are deleted
 * @param observed what is in force
 */
export function diff(
  desired: ReadonlyMap<ItemKey, Item>,
  formerly: Iterable<ItemKey>,
  observed: ReadonlyMap<ItemKey, Item>,
): ItemStep[] {
  const steps: ItemStep[] = [];
  for (const [key, item] of desired) {
    const present = observed.get(key);
    if (present === undefined || !sameItem(item, present)) steps.push({ op: 'put', item, present: present ?? null });
  }
  for (const key of formerly) {
    const present = observed.get(key);
    if (present !== undefined && !desired.has(key)) steps.push({ op: 'delete', item: present });
  }
  return order(steps);
}

export function keyed(items: readonly Item[]): Map<ItemKey, Item> {
  return new Map(items.map((item) => [keyOf(item), item]));
}

export function order<S extends ItemStep>(steps: S[]): S[] {
  return steps.sort((a, b) => rank(a) - rank(b));
}

/** Puts go up the ranks, then deletes go down them. */
function rank(step: ItemStep): number {
  const layer = layerOf(step.item);
  return step.op === 'put' ? layer : 100 - layer;
}

function layerOf(item: Item): number {
  switch (item.kind) {
    case 'device':
    case 'overlay':
      return 0;
    case 'address':
    case 'fdb':
    case 'neighbour':
      return 1;
    case 'firewall':
      return 2;
    case 'outside-port':
      // In the firewall's table, and before the peer that goes by it.
      return 3;
    case 'route':
      // The planes' own routes before the peers that their probes come from; what carries traffic after.
      // Below it the unreachable one, so that traffic has never only the main table to fall to.
      if (item.table !== TABLES.path) return 3;
      return item.device === null ? 6 : 7;
    case 'peer':
      return 4;
    case 'carry':
      return 5;
    case 'rule':
      // What is sent on by the tunnels of before must find them before the path turns away from them.
      return item.table === TABLES.former ? 3 : 8;
    case 'probe':
      return 9;
  }
}

/** All owners' steps in one order, in which nothing is relied on before it is there; deeds between puts and deletes. */
export function orderSteps(steps: readonly Step[]): Step[] {
  const items: ItemStep[] = [];
  const deeds: Step[] = [];
  for (const step of steps) {
    if ('item' in step) items.push(step);
    else deeds.push(step);
  }
  return interleave(items, deeds);
}

function interleave(items: readonly ItemStep[], deeds: readonly Step[]): Step[] {
  const sorted = order([...items]);
  const firstPeer = sorted.findIndex((step) => step.op === 'delete' || step.item.kind === 'peer');
  const at = firstPeer < 0 ? sorted.length : firstPeer;
  const punches = deeds.filter((deed) => deed.op !== 're-add' && deed.op !== 'aim');
  const peerDeeds = deeds.filter((deed) => deed.op === 're-add' || deed.op === 'aim');
  // The own NAT is opened before the peer that uses the opening is added; peers that stand are dealt with last.
  return [...sorted.slice(0, at), ...punches, ...sorted.slice(at), ...peerDeeds];
}
