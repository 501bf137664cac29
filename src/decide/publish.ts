/** What this node writes into Gateways: of its own endpoint, and as the central relay the edges' holes. */
import { formatHostPort, type HostPort, type Ip, isPrivate, isUnicast, sameHostPort } from '../model/address.js';
import type { Site, SiteFacts } from '../model/facts.js';
import { CONFIG_KEYS, type Gateway, ONE_PLANE, type TunnelEndpoint } from '../model/gateway.js';
import { DIRECT_PORT, TUNNEL_PORT } from '../model/names.js';
import type { NatType } from '../model/nat.js';
import type { EndpointFields } from '../model/step.js';
import { hasDirectPlane } from './desired.js';
import { centralRelay, isCorax, MAPPED_TYPE } from './relations.js';

/** Fields of the own endpoint that differ from what the store has; null when nothing does. */
export function ownFields(site: SiteFacts, gateway: Gateway, coraxVersion: string): EndpointFields | null {
  const endpoint = gateway.endpoints.find((candidate) => candidate.nodeName === site.node);
  if (endpoint === undefined) return null;
  const address = addressToPublish(site, endpoint);
  const config = changedConfig(endpoint.config, {
    // One that an agent with WireGuard left behind is taken back: who connected to it would not be answered.
    publicKey: site.driver === 'wireguard' ? site.publicKey : '',
    corax: site.onePlane ? `${coraxVersion} ${ONE_PLANE}` : coraxVersion,
    // Empty is as good as absent, and takes back an address that turned out not to answer.
    probeAddress: site.probeAddress ?? '',
    [CONFIG_KEYS.coraxIPv6]: globalAddress(site),
    [CONFIG_KEYS.coraxPortMapping]: endpoint.underNat && site.mapped !== null ? formatHostPort(site.mapped) : '',
    ...(address === null ? {} : { [CONFIG_KEYS.coraxPublicIP]: address }),
  });
  const natType = endpoint.underNat ? natTypeToPublish(site, endpoint) : 'Undefined';
  const isPlaced = address !== null || endpoint.publicIp !== null;
  const fields: EndpointFields = {
    ...(natType !== null && natType !== endpoint.natType ? { natType } : {}),
    // raven ignores a gateway that is not under NAT and does not say where it is.
    ...(!endpoint.underNat && endpoint.publicPort === null && isPlaced ? { publicPort: TUNNEL_PORT } : {}),
    ...(address === null ? {} : { publicIP: address }),
    ...ownHole(site, endpoint),
    ...(config === null ? {} : { config }),
  };
  return Object.keys(fields).length === 0 ? null : fields;
}

/**
 * Nothing is translated there, so the direct plane's own port is the one to send to. pluto has one port for both planes,
 * and follows nobody who moves: with libreswan none is said.
 */
function globalAddress(site: SiteFacts): string {
  const ip = site.driver === 'wireguard' && hasDirectPlane(site) ? (site.underlay?.ipv6 ?? null) : null;
  return ip === null ? '' : formatHostPort({ ip, port: DIRECT_PORT });
}

/** A mapping counts once it is the hole: before, others are still sent elsewhere. Without it the type may be unknown. */
function natTypeToPublish(site: SiteFacts, endpoint: TunnelEndpoint): NatType | null {
  if (site.mapped !== null && sameHostPort(site.mapped, endpoint.hole)) return MAPPED_TYPE;
  const isOver = site.mapped === null && endpoint.mapped !== null && endpoint.natType === MAPPED_TYPE;
  return site.nat?.type ?? (isOver ? 'Undefined' : null);
}

/** Nobody else tells where an edge is when there is no relay to see it; raven's tells nobody. */
function ownHole(site: SiteFacts, endpoint: TunnelEndpoint): EndpointFields {
  if (!endpoint.underNat) return {};
  const central = centralRelay(site.relays);
  if (central !== null && (isCorax(central.endpoint) || site.mapped === null)) return {};
  const hole = mappedOr(site.stunHole, site.mapped);
  if (hole === null || sameHostPort(hole, endpoint.hole)) return {};
  return { publicIP: hole.ip, publicPort: hole.port };
}

/** What the router says counts where the world sees the same address: it may be behind another NAT itself. */
function mappedOr(seen: HostPort | null, mapped: HostPort | null): HostPort | null {
  const isOutside = mapped !== null && (seen === null ? !isPrivate(mapped.ip) : mapped.ip === seen.ip);
  return isOutside ? mapped : seen;
}

function changedConfig(present: Readonly<Record<string, string>>, wanted: Record<string, string>) {
  const changed = Object.entries(wanted).filter(([key, value]) => (present[key] ?? '') !== value);
  return changed.length === 0 ? null : Object.fromEntries(changed);
}

/**
 * Where a relay is, when the user does not say, or when this agent said another address that is not its own any
 * more: a cloud's machine gets a new one with its next start. Null: nothing to say.
 */
function addressToPublish(site: SiteFacts, { underNat, publicIp, config }: TunnelEndpoint): Ip | null {
  const address = underNat ? null : publicAddress(site);
  if (publicIp === null || address === null || address === publicIp) return publicIp === null ? address : null;
  const isOurWord = config[CONFIG_KEYS.coraxPublicIP] === publicIp;
  const isStillOurs =
    site.underlay === null || site.underlay.addresses.includes(publicIp) || site.nat?.publicAddress?.ip === publicIp;
  return isOurWord && !isStillOurs ? address : null;
}

function publicAddress(site: SiteFacts) {
  const own = site.underlay?.addresses.find(
    (address) => isUnicast(address) && !isPrivate(address) && !address.includes(':'),
  );
  return own ?? site.nat?.publicAddress?.ip ?? null;
}

/**
 * The hole of an edge as the kernel of the central relay sees it, or as the edge's router maps it there, when it is not
 * what the store has.
 *
 * @param seen the edge's endpoint on the relay plane, after a handshake
 * @returns the fields to publish, or why nothing is published
 */
export function holeFields(site: SiteFacts, edge: Site, seen: HostPort | null): EndpointFields | string | null {
  const central = centralRelay(site.relays);
  if (site.role !== 'relay' || central?.endpoint.nodeName !== site.node) return null;
  if (!edge.endpoint.underNat || seen === null) return null;
  // An edge may name another port of the address that it is seen at, and nothing else: it could point others anywhere.
  const hole = mappedOr(seen, edge.endpoint.mapped) ?? seen;
  if (sameHostPort(hole, edge.endpoint.hole)) return null;
  const doubt = implausible(site, hole, central.address);
  if (doubt !== null) return doubt;
  return { publicIP: hole.ip, publicPort: hole.port };
}

/** A peer chooses the source address of its packets, so what is seen is not simply true. */
function implausible(site: SiteFacts, seen: HostPort, central: HostPort): string | null {
  const at = formatHostPort(seen);
  if (seen.port === 0 || !isUnicast(seen.ip)) return `${at} is no place to send to`;
  if (isPrivate(seen.ip) && !isPrivate(central.ip)) return `${at} is private, and this relay is not`;
  if (site.underlay?.addresses.includes(seen.ip)) return `${at} is this node's own address`;
  if (site.relays.some((relay) => sameHostPort(relay.address, seen))) return `${at} is a relay's`;
  return null;
}
