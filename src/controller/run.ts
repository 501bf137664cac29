/** Builds a controller from its configuration, serves what it knows, and runs it until it is told to stop. */
import { randomUUID } from 'node:crypto';
import { CoraxError, messageOf } from '../errors.js';
import { Access } from '../store/kubernetes/access.js';
import { KubeApi } from '../store/kubernetes/api.js';
import { KubernetesEvents } from '../store/kubernetes/events.js';
import type { Logger } from '../telemetry/log.js';
import { Heartbeat, serveHealth, serveMetrics } from '../telemetry/server.js';
import { VERSION } from '../version.js';
import type { ControllerConfig } from './config.js';
import { CONTROLLER_TIMES, Controller } from './controller.js';
import { compareStatus } from './elect.js';
import { Leadership, leaseTimes } from './lease.js';
import { type ControllerMetrics, createControllerMetrics } from './metrics.js';
import { type Presence, YURT_TIMES, YurtManager } from './yurt-manager.js';

const BEAT_MS = 5000;
const MAX_SILENCE_MS = 30_000;

export async function runController(config: ControllerConfig, logger: Logger, signal: AbortSignal): Promise<number> {
  const api = connect(config);
  const closers: Array<() => Promise<void> | void> = [() => api.close()];
  // A replica that was killed and comes back under its name must not take its old self's lease for its own
  const identity = `${config.identity}_${randomUUID()}`;
  const wake = () => {
    if (mayWrite()) controller.reconsider();
  };
  const told = {
    changed: (leads: boolean, holder: string | null) => {
      if (leads) logger.info({ identity }, 'this replica leads');
      else logger.warn({ holder }, 'this replica leads no more');
      wake();
    },
    failed: (reason: string) =>
      logger.warn({ reason }, `the Lease ${config.lease.namespace}/${config.lease.name} fails`),
  };
  const times = leaseTimes(config.leaseDurationS);
  const leadership = new Leadership(api, config.lease, identity, told, times);
  const seen = (presence: Presence) => {
    tellPresence(logger, config, presence);
    wake();
  };
  // As often as a leader may be away unnoticed: 10 s where nothing else is said.
  const looks = { ...YURT_TIMES, lookMs: times.deadlineMs };
  const yurt = new YurtManager(api, config.yurtManager, seen, looks);
  const mayWrite = () => leadership.leads && yurt.presence.kind === 'absent';
  const controller = new Controller({
    api,
    logger,
    metrics: () => metrics,
    events: () => events,
    mayWrite,
    times: timesOf(config),
  });
  const events = new KubernetesEvents({
    api,
    uidOf: (gateway) => controller.world.uidOf(gateway),
    instance: config.identity,
    controller: 'openyurt.io/corax-controller',
    onTrouble: (error) => {
      if (error !== null) logger.debug({ reason: messageOf(error) }, 'an event was not told');
    },
  });
  const metrics: ControllerMetrics = createControllerMetrics(VERSION, () => ({
    leads: leadership.leads,
    idle: yurt.presence.kind !== 'absent',
    gateways: controller.world.members.sites.size,
    nodes: controller.world.members.nodes.size,
    refused: controller.world.refused.size,
    waiting: controller.waiting,
  }));
  try {
    const onError = (error: unknown) => logger.error({ reason: messageOf(error) }, 'a request was not answered');
    if (config.metrics !== null) {
      const server = await serveMetrics(config.metrics, metrics, onError);
      closers.push(() => server.close());
    }
    if (config.health !== null) {
      const heartbeat = new Heartbeat(MAX_SILENCE_MS);
      const timer = setInterval(() => heartbeat.beat(), BEAT_MS);
      const ready = () => controller.unready ?? leadership.lastError ?? unknownPresence(yurt.presence);
      const server = await serveHealth(config.health, { live: () => heartbeat.check(), ready }, onError);
      closers.push(async () => {
        clearInterval(timer);
        await server.close();
      });
    }
    logger.info({ version: VERSION, identity, lease: config.lease }, 'corax controller starts');
    closers.push(() => yurt.stop());
    await yurt.start();
    closers.push(() => events.stop());
    closers.push(() => controller.stop());
    await controller.start();
    closers.push(() => leadership.stop());
    leadership.start();
    await aborted(signal);
    return 0;
  } finally {
    for (const close of closers.reverse()) await close();
    metrics.clear();
    logger.info('corax controller stopped');
  }
}

/** What the controller would write now, of every gateway. */
export interface Preview {
  /** Null: none, everything would be written by corax. */
  readonly yurtManager: string | null;
  readonly gateways: readonly {
    readonly gateway: string;
    readonly active: readonly string[];
    readonly nodes: readonly string[];
    /** Would the status be written? */
    readonly change: boolean;
    readonly leftOut: readonly string[];
  }[];
  readonly refused: readonly { readonly gateway: string; readonly reason: string }[];
}

/** Reads everything once and writes nothing. */
export async function previewController(config: ControllerConfig, logger: Logger): Promise<Preview> {
  const api = connect(config);
  const metrics = createControllerMetrics(VERSION, () => ({
    leads: false,
    idle: true,
    gateways: 0,
    nodes: 0,
    refused: 0,
    waiting: 0,
  }));
  const yurt = new YurtManager(api, config.yurtManager, () => {});
  const events = { record: () => {}, stop: async () => {} };
  const parts = {
    api,
    logger,
    metrics: () => metrics,
    events: () => events,
    mayWrite: () => false,
    times: timesOf(config),
  };
  const controller = new Controller(parts);
  try {
    await Promise.all([yurt.start(), controller.start()]);
    const { unready, world } = controller;
    if (unready !== null) throw new CoraxError('CORAX_STORE', `Gateways and Nodes cannot be read: ${unready}`);
    const sites = [...world.members.sites.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      yurtManager: yurt.presence.kind === 'runs' ? yurt.presence.holder : null,
      gateways: sites.map((site) => {
        const { status, leftOut } = controller.elect(site);
        return {
          gateway: site.name,
          active: status.activeEndpoints.map(({ nodeName }) => nodeName),
          nodes: status.nodes.map(({ nodeName }) => nodeName),
          change: compareStatus(site.status, status) !== 'none',
          leftOut,
        };
      }),
      refused: Array.from(world.refused, ([gateway, { reason }]) => ({ gateway, reason })),
    };
  } finally {
    await Promise.all([yurt.stop(), controller.stop()]);
    await api.close();
    metrics.clear();
  }
}

function connect(config: ControllerConfig): KubeApi {
  return new KubeApi(new Access(config.source), `corax-controller/${VERSION}`);
}

function timesOf({ graceMs }: ControllerConfig) {
  return { ...CONTROLLER_TIMES, graceMs };
}

function unknownPresence(presence: Presence): string | null {
  return presence.kind === 'unknown'
    ? `whether yurt-manager runs is not known: ${presence.why ?? 'not asked yet'}`
    : null;
}

function tellPresence(logger: Logger, { yurtManager }: ControllerConfig, presence: Presence): void {
  const lease = `${yurtManager.namespace}/${yurtManager.name}`;
  if (presence.kind === 'runs') {
    const what = `yurt-manager runs (it holds the Lease ${lease}) and fills the status of Gateways: this controller idles`;
    logger.warn({ holder: presence.holder }, what);
  } else if (presence.kind === 'absent')
    logger.info({ lease }, 'no yurt-manager runs: the status of Gateways is ours to fill');
  else
    logger.warn(
      { reason: presence.why },
      `whether yurt-manager runs is not known (Lease ${lease}): this controller idles`,
    );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
