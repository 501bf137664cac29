/** What the agent says of itself and its peers, gathered from all who know. */
import type { AgentConfig } from '../config.js';
import { formatHostPort, sameHostPort } from '../model/address.js';
import type { NatProfile } from '../model/nat-profile.js';
import type { PeerStatus, Status, StatusError } from '../model/status.js';
import type { GatewayStore } from '../store/store.js';
import type { PageSource } from '../telemetry/page/feed.js';
import type { Head } from '../telemetry/page/view.js';
import { VERSION } from '../version.js';
import type { Agent } from './agent.js';
import type { History } from './history.js';
import { peerStatus } from './report.js';
import type { Untold } from './untold.js';

const ONE_PLANE =
  'this kernel has no XFRM interfaces (module xfrm_interface, Linux 4.19 or later): one plane, all goes by the relay';

/** All who know something of it. */
export interface Sources {
  readonly config: AgentConfig;
  readonly agent: Agent;
  readonly store: GatewayStore;
  readonly history: History;
  readonly untold: Untold;
}

/** The answer to `corax status --json`. */
export function status(sources: Sources): Status {
  const peers = [...peersOf(sources.agent)];
  const { errors, ...head } = headOf(sources);
  return {
    ...head,
    engine: sources.agent.engineStats(),
    peers: peers.sort((a, b) => (a.gateway < b.gateway ? -1 : 1)),
    errors,
  };
}

/** One after the other as they are asked for: ten thousand at once would hold up the loop. */
function* peersOf(agent: Agent): Generator<PeerStatus> {
  for (const remote of agent.remotes.all) yield peerStatus(agent.site, agent.remotes, remote, Date.now());
}

export function pageSource(sources: Sources): PageSource {
  return {
    head: () => headOf(sources),
    peers: () => peersOf(sources.agent),
    changes: () => sources.history.all,
  };
}

function headOf({ config, agent, store, untold }: Sources): Head {
  const { site } = agent;
  const health = store.health();
  const own = agent.gateways.own?.endpoints.find((endpoint) => endpoint.nodeName === site.node);
  const hole = site.stunHole ?? own?.hole ?? null;
  const { report } = agent.nat;
  return {
    node: config.node,
    gateway: agent.gateways.own?.name ?? null,
    role: site.role === 'idle' ? null : site.role,
    driver: config.driver,
    version: VERSION,
    startedAt: agent.startedAt / 1000,
    nat: {
      type: report?.type ?? null,
      mapping: report?.mapping ?? null,
      filtering: report?.filtering ?? null,
      hole: hole === null ? null : formatHostPort(hole),
      portMapping: portMapping(agent),
      profile: profileStatus(agent.nat.profile),
    },
    store: {
      kind: config.gateways === null ? 'kubernetes' : 'directory',
      synced: health.synced,
      lastError: health.lastError?.message ?? null,
    },
    errors: [...errors(agent, store), ...untold.errors(Date.now())],
    ...(site.onePlane ? { remarks: [ONE_PLANE] } : {}),
  };
}

/** Null where nobody is asked. */
function portMapping(agent: Agent): Head['nat']['portMapping'] {
  const { state } = agent.portMapper;
  if (state === null) return null;
  const { mapping, reason } = state;
  if (mapping === null) return { protocol: null, external: null, inForce: false, expiresAt: null, reason };
  const own = agent.site.self?.endpoint.hole ?? null;
  return {
    protocol: mapping.protocol,
    external: formatHostPort(mapping.external),
    inForce: sameHostPort(mapping.external, own),
    expiresAt: mapping.expiresAt / 1000,
    reason,
  };
}

function profileStatus(profile: NatProfile | null): Status['nat']['profile'] {
  if (profile === null) return null;
  const { latest: _, addresses, ...rest } = profile;
  return { ...rest, addresses: [...addresses] };
}

function errors(agent: Agent, store: GatewayStore): StatusError[] {
  const { lastError, refused } = store.health();
  const found: StatusError[] = [];
  if (lastError !== null) {
    found.push({ code: lastError.code, gateway: null, message: lastError.message, since: lastError.at / 1000 });
  }
  for (const { name, reason, source } of refused) {
    found.push({ code: 'CORAX_GATEWAY', gateway: name, message: `${reason} (${source})`, since: null });
  }
  for (const [name, reason] of agent.gateways.refused) {
    found.push({ code: 'CORAX_GATEWAY', gateway: name, message: reason, since: null });
  }
  for (const failure of agent.failures.all) {
    const { code, owner, message, since } = failure;
    found.push({ code, gateway: owner === '' ? null : owner, message, since: since / 1000 });
  }
  for (const { code, message, since } of agent.driverProblems) {
    found.push({ code, gateway: null, message, since: since === null ? null : since / 1000 });
  }
  for (const { code, gateway, message, since } of agent.unpublished) {
    found.push({ code, gateway, message, since: since / 1000 });
  }
  for (const remote of agent.remotes.all) {
    if (remote.complaint === null) continue;
    const since = remote.differsSince === null ? null : remote.differsSince / 1000;
    found.push({ code: 'CORAX_PATH', gateway: remote.gateway.name, message: remote.complaint, since });
  }
  return found;
}
