/** What happens, told: to the log, one child a peer, and to the metrics. */
import type { PathMemory } from '../decide/path.js';
import { CoraxError, messageOf } from '../errors.js';
import { formatHostPort, type HostPort } from '../model/address.js';
import type { SiteFacts } from '../model/facts.js';
import type { Plane } from '../model/names.js';
import type { NatReport } from '../model/nat.js';
import type { NatProfile } from '../model/nat-profile.js';
import type { OpeningMemory } from '../model/opening.js';
import { MAPPING_PROTOCOLS, type MappingProtocol, type PortMapping } from '../model/port-mapping.js';
import type { PublishDeed } from '../model/step.js';
import type { MappingResult } from '../nat/portmap/keeper.js';
import { type Logger, peerLogger } from '../telemetry/log.js';
import type { Metrics, PunchResult } from '../telemetry/metrics.js';
import type { Heartbeat } from '../telemetry/server.js';
import { NO_EVENTS, type StoryEvents } from './events.js';
import { filedUnder, type Outcome, type Stage } from './executor.js';
import type { Remote } from './remotes.js';

export type Story = ReturnType<typeof createStory>;

/** @param tell for those who look at the Gateways: {@link createEvents} */
export function createStory(logger: Logger, metrics: Metrics, heartbeat: Heartbeat, tell: StoryEvents = NO_EVENTS) {
  const peers = new Map<string, Logger>();
  const peer = (gateway: string) => {
    const known = peers.get(gateway) ?? peerLogger(logger, gateway);
    peers.set(gateway, known);
    return known;
  };
  const troubles = new Map<string, string>();
  let ownNat = 'unknown';
  prime(metrics);

  /** Told when it changes, not each time it is met, until it is {@link overcome}. */
  function trouble(what: string, error: unknown): void {
    const message = messageOf(error);
    if (troubles.get(what) === message) return;
    troubles.set(what, message);
    logger.warn({ err: error }, what);
  }

  /** It works: should it fail again, that is told again. */
  function overcome(what: string): void {
    if (troubles.delete(what)) logger.info(`${what}: works again`);
  }

  return {
    transition(remote: Remote, from: PathMemory | null, to: PathMemory): void {
      const before = from?.state ?? 'relayed';
      const { name } = remote.gateway;
      tell.transition(name, from, to);
      peer(name).info({ from: before, to: to.state }, to.reason);
      metrics.pathTransitions.inc({ from: before, to: to.state, reason: cause(from, to) });
      if (before === 'punching') {
        const remoteNat = remote.gateway.active?.natType ?? 'unknown';
        metrics.holePunchAttempts.inc({ local_nat: ownNat, remote_nat: remoteNat, result: resultOf(from, to) });
      }
      if (to.state === 'punching' && before === 'relayed') remote.puttingThroughSince = to.startedAt;
      if (to.state === 'direct' && remote.puttingThroughSince !== null) {
        const handshake = (remote.facts.direct.peer?.lastHandshake ?? 0) * 1000;
        const at = handshake >= remote.puttingThroughSince ? handshake : to.since;
        const attempt = from?.failures === 0 && !from.proven ? 'first' : 'retry';
        metrics.timeToDirect.observe({ attempt, driver: metrics.driver }, (at - remote.puttingThroughSince) / 1000);
        remote.puttingThroughSince = null;
      }
    },

    /** Of an opening: each phase, and why one came to nothing. */
    opening({ gateway }: Remote, from: OpeningMemory, { phase, failure, failures }: OpeningMemory): void {
      if (phase === from.phase) return;
      const ended = phase === 'idle' && failure !== null ? { failure, failures } : {};
      peer(gateway.name).info({ opening: phase, ...ended }, OPENING_WORDS[phase]);
    },

    failed({ step, error }: Outcome & { error: Error }, stage: Stage, times: number): void {
      metrics.reconcileErrors.inc({ stage });
      if (isRare(times)) logger.warn({ stage, times, err: error }, `${step.op} ${filedUnder(step)} failed`);
    },

    applied(stage: Stage, seconds: number): void {
      metrics.applyDuration.observe({ driver: metrics.driver, stage }, seconds);
    },

    /** The node's part in its gateway, where it changed; and of a change, until when the node of before takes part in it. */
    part({ role, handover }: Pick<SiteFacts, 'role' | 'handover'>): void {
      const { as = null } = handover ?? {};
      logger.info({ role, handover: as }, PARTS[as ?? 'settled']);
    },

    /** Of relays, which are few: the other end of one's tunnel has changed nodes, or this end has. */
    detour({ gateway }: Remote, begins: boolean): void {
      if (gateway.active?.underNat) return;
      peer(gateway.name).info(begins ? 'goes by the node of before for now' : 'goes by the tunnel of the node of now');
    },

    turned(_steps: number): void {
      heartbeat.beat();
    },

    nat(report: NatReport | null): void {
      if (report === null) return;
      const { type, mapping, filtering } = report;
      ownNat = type ?? 'unknown';
      metrics.setNat({ type: type ?? 'unknown', mapping: mapping ?? 'unknown', filtering: filtering ?? 'unknown' });
      for (const { status } of report.servers) metrics.stunRequests.inc({ result: status });
      logger.info({ type, mapping, filtering, udpBlocked: report.udpBlocked }, 'NAT behaviour found');
    },

    natProfile(profile: NatProfile | null): void {
      metrics.setNatProfile(profile);
      if (profile === null) return;
      const { assignment, step, ports, block, pooling, lifetime } = profile;
      logger.info({ assignment, step, ports, block, pooling, lifetime }, 'NAT profile');
    },

    portMapping: {
      changed(mapping: PortMapping | null): void {
        tell.mapped(mapping);
        if (mapping === null) logger.info('no port mapping any more');
        else {
          const { protocol, router, external } = mapping;
          logger.info(
            { protocol, router, external: formatHostPort(external) },
            'the router maps the port of the tunnel',
          );
        }
        metrics.setPortMapping(mapping?.protocol ?? null);
      },
      asked(protocol: MappingProtocol, result: MappingResult): void {
        metrics.portMappingRequests.inc({ protocol, result });
      },
      lost(protocol: MappingProtocol): void {
        metrics.portMappingsLost.inc({ protocol });
        logger.warn({ protocol }, 'the router lost the port mapping: it is asked again');
      },
    },

    harvested(gateway: string, hole: HostPort | null): void {
      if (hole === null) return;
      metrics.harvestChanges.inc();
      // A relay sees all its edges at once when it starts: nobody's logger is made for nothing.
      if (logger.isLevelEnabled('debug')) peer(gateway).debug({ hole: formatHostPort(hole) }, 'seen at');
    },

    /** A plane's peers were read. What a relay reads of its own plane is the harvest. */
    looked(plane: Plane, isRelay: boolean): void {
      if (plane === 'relay') metrics.harvestLast.set(isRelay ? Date.now() / 1000 : 0);
    },

    shookHands(remote: Remote, rttMs: number): void {
      remote.handshakeRttMs = rttMs;
      metrics.handshakeRtt.observe(rttMs / 1000);
    },

    /** What the kernel made of an answer to its handshake. */
    handshakeEnded({ gateway }: Remote, result: 'completed' | 'refused'): void {
      metrics.handshakes.inc({ result });
      const what = `handshake with ${gateway.name}`;
      if (result === 'completed') overcome(what);
      else trouble(what, new CoraxError('CORAX_PSK', 'it answers, and the two pre-shared keys differ'));
    },

    published(deed: PublishDeed): void {
      tell.published(deed);
      peer(deed.gateway).info({ endpoint: deed.nodeName, fields: deed.fields }, 'published');
    },

    unpublished(deed: PublishDeed, error: unknown, times: number): void {
      metrics.reconcileErrors.inc({ stage: 'publish' });
      if (isRare(times)) peer(deed.gateway).warn({ stage: 'publish', times, err: error }, 'publishing failed');
    },

    refused(gateway: string, reason: string): void {
      tell.refused(gateway, reason);
      peer(gateway).warn({ code: 'CORAX_GATEWAY' }, `refused: ${reason}`);
    },

    trouble,
    overcome,
  };
}

/** Once, then rarer and rarer: what fails is retried for as long as it is wanted. */
function isRare(times: number): boolean {
  return (times & (times - 1)) === 0;
}

const CHANGES = [
  { from: 'relayed', to: 'punching', reason: 'try' },
  { from: 'punching', to: 'direct', reason: 'answers' },
  { from: 'punching', to: 'relayed', reason: 'gave-up' },
  { from: 'direct', to: 'punching', reason: 'direct-failed' },
  { from: 'direct', to: 'relayed', reason: 'direct-failed' },
] as const;

const PARTS = {
  former: "another node holds the gateway's tunnel now: this one's stand until it carries",
  next: "holds the gateway's tunnel now, and goes by the node of before until it carries",
  settled: 'part in the gateway',
} as const;

const OPENING_WORDS: Readonly<Record<OpeningMemory['phase'], string>> = {
  idle: 'no way is being opened',
  asking: 'asks the other end to probe',
  sampling: "asks where the NAT's ports stand",
  fanned: 'mappings are opened, and wait for a probe',
  spraying: "probes ports of the other end's NAT",
  opened: 'a probe has found a way',
  closing: 'the way that was found is given up',
};

/** Prometheus sees how much a counter rises, and nothing of a first rise that it was not there before. */
function prime(metrics: Metrics): void {
  for (const change of CHANGES) metrics.pathTransitions.inc(change, 0);
  for (const attempt of ['first', 'retry']) metrics.timeToDirect.zero({ attempt, driver: metrics.driver });
  for (const stage of ['tunnel', 'network', 'probe', 'punch', 'opening', 'publish'])
    metrics.reconcileErrors.inc({ stage }, 0);
  for (const result of ['answered', 'refused', 'no-answer', 'unresolved']) metrics.stunRequests.inc({ result }, 0);
  for (const protocol of MAPPING_PROTOCOLS) {
    metrics.portMappingsLost.inc({ protocol }, 0);
    for (const result of ['granted', 'refused', 'silent', 'unsupported'])
      metrics.portMappingRequests.inc({ protocol, result }, 0);
  }
  for (const result of ['completed', 'refused']) metrics.handshakes.inc({ result }, 0);
}

/** How a try to open the direct plane ended. */
function resultOf(from: PathMemory | null, to: PathMemory): PunchResult {
  if (to.state === 'direct') return 'direct';
  return to.failures > (from?.failures ?? 0) ? 'failed' : 'given-up';
}

/** Few values, because they are a label. */
function cause(from: PathMemory | null, to: PathMemory): string {
  if (to.state === 'direct') return 'answers';
  if (to.state === 'punching') return from?.state === 'direct' ? 'direct-failed' : 'try';
  return from?.state === 'direct' ? 'direct-failed' : 'gave-up';
}
