/** Builds an agent from its configuration, serves what it knows, and runs it until it is told to stop. */
import type { AgentConfig, Config } from '../config.js';
import { formatHostPort } from '../model/address.js';
import type { Status, StatusError } from '../model/status.js';
import { type NativeEvent, openEngine } from '../native.js';
import { Network } from '../network/network.js';
import type { EventRecorder } from '../store/events.js';
import type { GatewayStore } from '../store/store.js';
import { serveControl } from '../telemetry/control.js';
import type { Logger } from '../telemetry/log.js';
import { createMetrics } from '../telemetry/metrics.js';
import { Heartbeat, serveHealth, serveMetrics } from '../telemetry/server.js';
import { VERSION } from '../version.js';
import { Agent } from './agent.js';
import { cleanUp } from './cleanup.js';
import { chooseDriver, driversToRemove } from './drivers.js';
import { createEvents } from './events.js';
import { faultFrom } from './executor.js';
import { explanation, peerMetrics, peerStatus } from './report.js';
import { openStore } from './stores.js';
import { createStory } from './story.js';

/** A loop that has not turned for so long is stuck: it ticks every 5 s when nothing happens. */
const MAX_SILENCE_MS = 30_000;

export function runAgent(config: Config, logger: Logger, signal: AbortSignal): Promise<number> {
  return config.cleanup ? runCleanup(config, logger) : runUntilStopped(config, logger, signal);
}

async function runCleanup({ stateDir }: Config, logger: Logger): Promise<number> {
  const engine = openEngine(() => undefined);
  try {
    const { removed, failed } = await cleanUp(engine, driversToRemove(engine, stateDir), new Network(engine));
    for (const what of removed) logger.info(`removed ${what}`);
    for (const what of failed) logger.error(`could not remove ${what}`);
    return failed.length === 0 ? 0 : 1;
  } finally {
    engine.close();
  }
}

async function runUntilStopped(config: AgentConfig, logger: Logger, signal: AbortSignal): Promise<number> {
  const fault = faultFrom(process.env.CORAX_FAULT);
  let deliver: (events: readonly NativeEvent[]) => void = () => undefined;
  const engine = openEngine((events) => deliver(events));
  const closers: Array<() => Promise<void> | void> = [() => engine.close()];
  try {
    const { driver, publicKey } = await chooseDriver(config, engine);
    const { store, recorder, name } = await openStore(config, (error) => {
      if (error !== null) story.trouble('events on Gateways', error);
    });
    const metrics = createMetrics({
      version: VERSION,
      collect: () => [...agent.remotes.all].map((remote) => peerMetrics(agent.site, remote)),
    });
    const heartbeat = new Heartbeat(MAX_SILENCE_MS);
    const story = createStory(logger, metrics, heartbeat, recorder === null ? undefined : events(recorder));
    const agent = new Agent({ config, engine, driver, store, publicKey }, story, fault);
    deliver = (events) => agent.onEvents(events);
    function events(recorder: EventRecorder) {
      const own = () => agent.gateways.own?.name ?? null;
      return createEvents(recorder, { node: config.node, own, isRelay: () => agent.site.role === 'relay' });
    }

    const onError = (error: unknown) => story.trouble('server', error);
    const control = await serveControl(config.socket, handlers(config, agent, store), onError);
    closers.push(() => control.close());
    if (config.metrics !== null) {
      const server = await serveMetrics(config.metrics, metrics, onError);
      closers.push(() => server.close());
    }
    if (config.health !== null) {
      const checks = { live: () => heartbeat.check(), ready: () => agent.unready() };
      const server = await serveHealth(config.health, checks, onError);
      closers.push(() => server.close());
    }
    logger.info({ version: VERSION, driver: driver.name, publicKey, gateways: name }, 'corax agent starts');
    await agent.start();
    closers.push(() => agent.stop());
    if (recorder !== null) closers.push(() => recorder.stop());
    await aborted(signal);
    return 0;
  } finally {
    for (const close of closers.reverse()) await close();
    logger.info('corax agent stopped; tunnels stay as they are');
  }
}

function handlers(config: AgentConfig, agent: Agent, store: GatewayStore) {
  return {
    status: () => status(config, agent, store),
    explain: (gateway: string) => {
      const remote = agent.remotes.get(gateway);
      return remote === undefined ? null : explanation(agent.site, agent.remotes, remote, Date.now());
    },
  };
}

function status(config: AgentConfig, agent: Agent, store: GatewayStore): Status {
  const { site } = agent;
  const health = store.health();
  const own = agent.gateways.own?.endpoints.find((endpoint) => endpoint.nodeName === site.node);
  const hole = site.stunHole ?? own?.hole ?? null;
  const { report } = agent.nat;
  const now = Date.now();
  const peers = [...agent.remotes.all].map((remote) => peerStatus(site, agent.remotes, remote, now));
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
    },
    store: {
      kind: config.gateways === null ? 'kubernetes' : 'directory',
      synced: health.synced,
      lastError: health.lastError?.message ?? null,
    },
    engine: agent.engineStats(),
    peers: peers.sort((a, b) => (a.gateway < b.gateway ? -1 : 1)),
    errors: errors(agent, store),
  };
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
