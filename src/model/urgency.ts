/** Which peer a person should look at first. */
import type { PeerStatus } from './status.js';

/** The worst first. */
export const URGENCIES = ['silent', 'punching', 'relayed', 'waiting', 'well'] as const;

/**
 * `silent`: nothing carries its traffic, or what does is not known to live; `punching`: on the way to direct;
 * `relayed`: it may be direct and is not; `waiting`: no answer yet; `well`: direct, or as good as it can be.
 */
export type Urgency = (typeof URGENCIES)[number];

type Judged = Pick<PeerStatus, 'path' | 'state' | 'mayBeDirect' | 'planes'>;

export function urgencyOf({ path, state, mayBeDirect, planes }: Judged): Urgency {
  if (path === null || planes[path]?.alive === false) return 'silent';
  if (state === 'punching') return 'punching';
  if (path === 'relay' && mayBeDirect === true) return 'relayed';
  return planes[path]?.alive === true ? 'well' : 'waiting';
}

type Named = Judged & Pick<PeerStatus, 'gateway'>;

/** For sort(): the worst first, then on the relay before direct, then by name. */
export function byUrgency(a: Named, b: Named): number {
  return (
    URGENCIES.indexOf(urgencyOf(a)) - URGENCIES.indexOf(urgencyOf(b)) ||
    Number(a.path === 'direct') - Number(b.path === 'direct') ||
    (a.gateway < b.gateway ? -1 : Number(a.gateway > b.gateway))
  );
}
