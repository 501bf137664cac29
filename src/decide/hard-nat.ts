/** Where a pair's openings meet the rest: who takes part, what an opening puts in force, what is to be done. */
import { formatHostPort, type HostPort, isIpv4 } from '../model/address.js';
import type { RemoteFacts, Site, SiteFacts } from '../model/facts.js';
import type { Item } from '../model/item.js';
import type { NatType } from '../model/nat.js';
import type { Opened, OpeningDeed, OpeningRole, Refusal } from '../model/opening.js';
import { decideOpening } from './opening.js';
import type { OpeningDecision, OpeningInput } from './opening-input.js';
import { describeOpening } from './opening-words.js';
import type { PathMemory } from './path.js';
import { globalAddress, lanAddress } from './places.js';
import { centralRelay, type PairVerdict, probeAddressOf } from './relations.js';
import { fanFor, type Strategies, strategiesFor } from './strategies.js';
import { isWithin, SESSION_MS } from './timing.js';

/** A relay that answers so soon leaves nothing to gain: a direct path saves at most this. */
export const NEAR_MS = 10;

type Pair = readonly [local: NatType | null, remote: NatType | null];

/** Why the pair's agents cannot agree on an opening at all; null where they can. */
function cannotAgree(site: SiteFacts, remote: Site): string | null {
  if (site.driver !== 'wireguard') return `with ${site.driver} the tunnel's port is the kernel's`;
  if (centralRelay(site.relays) === null) return 'there is no relay to agree by';
  const theirs = probeAddressOf(remote.endpoint);
  if (theirs === null) return 'the other end is no corax with a probe address';
  return site.probeAddress === null || !isIpv4(theirs) ? 'this end has no probe address' : null;
}

/** By the two NATs. */
export function natVerdict(site: SiteFacts, remote: Site, pair: Pair, facts: RemoteFacts): PairVerdict {
  const { list, reason } = strategiesFor(...pair, site.portBlock);
  const [best] = list;
  if (best === undefined) return { may: false, reason };
  if (best.kind === 'hole') return { may: true, reason };
  const cannot = cannotAgree(site, remote);
  if (cannot !== null) return { may: false, reason: `${reason}, but ${cannot}` };
  const memory = facts.opening?.memory;
  // What stands is not ended by the option: no new one is begun.
  const told = site.hardNat ? (memory ? describeOpening(memory) : null) : 'switched off (--hard-nat off)';
  const near = isNear(facts) ? 'the relay is as good' : null;
  const words = [reason, near ?? told].filter((word) => word !== null).join('; ');
  return { may: memory?.phase === 'opened', byOpening: true, reason: words };
}

function isNear({ relay }: RemoteFacts): boolean {
  return relay.probe?.rttMs != null && relay.probe.rttMs <= NEAR_MS;
}

function roleIn(site: SiteFacts, remote: Site, strategies: Strategies, mayTry: boolean): OpeningRole | null {
  const [best] = strategies.list;
  const elsewhere = lanAddress(site, remote) ?? globalAddress(site, remote);
  if (!mayTry || best?.kind !== 'birthday' || elsewhere !== null) return null;
  return cannotAgree(site, remote) === null ? best.role : null;
}

function against(site: SiteFacts, facts: RemoteFacts): Refusal | null {
  if (!site.hardNat) return 'off';
  return isNear(facts) ? 'near' : null;
}

/** @param mayTry nothing but the two NATs stands against a direct plane */
export function openingOf(
  site: SiteFacts,
  remote: Site,
  facts: RemoteFacts,
  path: PathMemory,
  { now, pair, types, mayTry }: { now: number; pair: string; types: Pair; mayTry: boolean },
): OpeningDecision | null {
  if (facts.opening === undefined) return null;
  const role = roleIn(site, remote, strategiesFor(...types), mayTry);
  const { hole } = remote.endpoint;
  const ownHole = site.self?.endpoint.hole ?? null;
  const { peer } = facts.direct;
  const input: OpeningInput = {
    ...facts.opening,
    now,
    pair,
    role,
    fan: fanFor(site.portBlock),
    against: against(site, facts),
    ownHole: onlyIpv4(ownHole),
    hole: onlyIpv4(hole),
    fingerprint: [ownHole, hole]
      .map((at) => (at ? formatHostPort(at) : '-'))
      .concat(remote.key)
      .join(' '),
    scale: site.scale,
    state: path.state,
    peer: peer !== null,
    session: peer !== null && isWithin(SESSION_MS, peer.lastHandshake * 1000, now),
  };
  return decideOpening(facts.opening.memory, input);
}

function onlyIpv4(at: HostPort | null): HostPort | null {
  return at !== null && isIpv4(at.ip) ? at : null;
}

/** What the path goes by now; null where that is the two holes. */
export function openedOf({ opening }: RemoteFacts): Opened | null {
  return opening?.memory.phase === 'opened' ? opening.memory.opened : null;
}

/** The rule that makes the direct device's outside port another; for as long as the direct peer stands. */
export function outsideItems({ opening }: RemoteFacts, items: readonly Item[]): Item[] {
  const opened = opening?.memory.opened ?? null;
  const heard = items.some((item) => item.kind === 'peer' && item.plane === 'direct');
  if (opened === null || opened.localPort === null || !heard) return [];
  return [{ kind: 'outside-port', remote: opened.target, localPort: opened.localPort }];
}

export function openingDeeds({ gateway, endpoint }: Site, { acts }: OpeningDecision): OpeningDeed[] {
  const probeAddress = probeAddressOf(endpoint);
  return acts.flatMap((act): OpeningDeed[] => {
    const { name } = gateway;
    if (act.op === 'say') {
      return probeAddress === null ? [] : [{ op: 'say', gateway: name, to: probeAddress, message: act.message }];
    }
    if (act.op === 'end-opening') return [{ op: 'end-opening', gateway: name, token: act.token }];
    if (act.to === undefined) return [];
    const { to, ...rest } = act;
    return rest.op === 'fan' ? [{ ...rest, gateway: name, to }] : [{ ...rest, gateway: name, to: to.ip }];
  });
}
