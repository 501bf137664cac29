import { centralRelay } from '../decide/relations.js';
import type { RemoteFacts, SiteFacts } from '../model/facts.js';
import type { Remote, Remotes } from './remotes.js';

/**
 * What decide has to know of a remote. Between edges the relay plane's tunnel is the one to the central relay: its
 * peer, with the pair's own probe.
 */
export function factsOf(site: SiteFacts, remotes: Remotes, { gateway, facts }: Remote): RemoteFacts {
  if (site.role !== 'edge' || !gateway.active?.underNat) return facts;
  const central = centralRelay(site.relays);
  const carrier = central === null ? undefined : remotes.get(central.gateway.name)?.facts;
  if (carrier === undefined) return { ...facts, relay: { peer: null, probe: facts.relay.probe } };
  const { relay, former } = carrier;
  return {
    ...facts,
    relay: { peer: relay.peer, probe: facts.relay.probe },
    central: { relay, ...(former === undefined ? {} : { former }) },
  };
}
