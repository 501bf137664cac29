import { Observer } from '#src/agent/observer.js';
import type { Rig } from './rig.js';

/** The agent's observer over the rig's kernel; what it fails at is kept for whoever asks. */
export function observing(rig: Rig): { readonly observer: Observer; check(): void } {
  let trouble: unknown = null;
  const observer = new Observer({
    driver: rig.driver,
    network: rig.network,
    prober: rig.prober,
    remotes: rig.remotes,
    world: rig.world,
    mark: (owner) => rig.loop.mark(owner),
    peerMoved: () => {},
    looked: () => {},
    networkChanged: async () => {},
    handingOver: () => false,
    rearm: async () => {},
    failed: (what, error) => {
      // The audit asks for routes and rules, and none of those that the stand-in was told of stands anywhere.
      if (what !== 'audit') trouble = error;
    },
    worked: () => {},
  });
  const check = (): void => {
    if (trouble !== null) throw trouble;
  };
  return { observer, check };
}
