/** What happens, told: to the log, one child a peer, and to the metrics. */
import type { PathMemory } from '../decide/path.js';
import { messageOf } from '../errors.js';
import { formatHostPort, type HostPort } from '../model/address.js';
import type { NatReport } from '../model/nat.js';
import type { PublishDeed } from '../model/step.js';
import { type Logger, peerLogger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
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

  return {
    transition(remote: Remote, from: PathMemory | null, to: PathMemory): void {
      const before = from?.state ?? 'relayed';
      const { name } = remote.gateway;
      tell.transition(name, from, to);
      peer(name).info({ from: before, to: to.state }, to.reason);
      metrics.pathTransitions.inc({ from: before, to: to.state, reason: cause(from, to) });
      if (to.state === 'punching' && before === 'relayed') remote.puttingThroughSince = to.startedAt;
      if (to.state === 'direct' && remote.puttingThroughSince !== null) {
        const handshake = (remote.facts.direct.peer?.lastHandshake ?? 0) * 1000;
        const at = handshake >= remote.puttingThroughSince ? handshake : to.since;
        metrics.timeToDirect.observe((at - remote.puttingThroughSince) / 1000);
        remote.puttingThroughSince = null;
      }
    },

    failed({ step, error }: Outcome & { error: Error }, stage: Stage, times: number): void {
      metrics.reconcileErrors.inc({ stage });
      if (isRare(times)) logger.warn({ stage, times, err: error }, `${step.op} ${filedUnder(step)} failed`);
    },

    applied(_stage: Stage, seconds: number): void {
      metrics.applyDuration.observe(seconds);
    },

    turned(_steps: number): void {
      heartbeat.beat();
    },

    nat(report: NatReport | null): void {
      if (report === null) return;
      const { type, mapping, filtering } = report;
      metrics.setNat({ type: type ?? 'unknown', mapping: mapping ?? 'unknown', filtering: filtering ?? 'unknown' });
      for (const { status } of report.servers) metrics.stunRequests.inc({ result: status });
      logger.info({ type, mapping, filtering, udpBlocked: report.udpBlocked }, 'NAT behaviour found');
    },

    harvested(gateway: string, hole: HostPort | null): void {
      if (hole === null) return;
      metrics.harvestChanges.inc();
      // A relay sees all its edges at once when it starts: nobody's logger is made for nothing.
      if (logger.isLevelEnabled('debug')) peer(gateway).debug({ hole: formatHostPort(hole) }, 'seen at');
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

    /** Told when it changes, not each time it is met, until it is {@link overcome}. */
    trouble(what: string, error: unknown): void {
      const message = messageOf(error);
      if (troubles.get(what) === message) return;
      troubles.set(what, message);
      logger.warn({ err: error }, what);
    },

    /** It works: should it fail again, that is told again. */
    overcome(what: string): void {
      if (troubles.delete(what)) logger.info(`${what}: works again`);
    },
  };
}

/** Once, then rarer and rarer: what fails is retried for as long as it is wanted. */
function isRare(times: number): boolean {
  return (times & (times - 1)) === 0;
}

/** Few values, because they are a label. */
function cause(from: PathMemory | null, to: PathMemory): string {
  if (to.state === 'direct') return 'answers';
  if (to.state === 'punching') return from?.state === 'direct' ? 'direct-failed' : 'try';
  return from?.state === 'direct' ? 'direct-failed' : 'gave-up';
}
