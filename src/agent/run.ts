/** Builds an agent from its configuration, serves what it knows, and runs it until it is told to stop. */
import type { AgentConfig, Config } from '../config.js';
import { type NativeEvent, openEngine } from '../native.js';
import { Network } from '../network/network.js';
import type { EventRecorder } from '../store/events.js';
import { serveControl } from '../telemetry/control.js';
import type { Logger } from '../telemetry/log.js';
import { createMetrics } from '../telemetry/metrics.js';
import { createPage } from '../telemetry/page/page.js';
import { Heartbeat, serveHealth, serveMetrics } from '../telemetry/server.js';
import { VERSION } from '../version.js';
import { Agent } from './agent.js';
import { cleanUp } from './cleanup.js';
import { chooseDriver, driversToRemove } from './drivers.js';
import { createEvents, NO_EVENTS } from './events.js';
import { faultFrom } from './executor.js';
import { explanation } from './explanation.js';
import { History } from './history.js';
import { natPairs, nodeState, peerMetrics } from './measured.js';
import { pageSource, type Sources, status } from './status.js';
import { openStore } from './stores.js';
import { createStory } from './story.js';
import { Untold } from './untold.js';

/** A loop that has not turned for so long is stuck: it ticks every 5 s when nothing happens. */
const MAX_SILENCE_MS = 30_000;
const EXPLAINED_CHANGES = 8;

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
    const untold = new Untold();
    const { store, recorder, name } = await openStore(config, (error) => {
      untold.see(error);
      if (error === null) story.overcome('events on Gateways');
      else story.trouble('events on Gateways', error);
    });
    const metrics = createMetrics({
      version: VERSION,
      driver: driver.name,
      ...config.metricsOptions,
      peers: () => measuredPeers(config, agent, driver.name),
      natPairs: () => natPairs(agent.site, agent.remotes.all),
      node: () => {
        const unanswered = engine.stats().handshakesUnanswered + (driver.refusals?.() ?? 0);
        return nodeState(agent.site, agent.gateways.own?.name ?? null, store.health(), unanswered);
      },
    });
    const heartbeat = new Heartbeat(MAX_SILENCE_MS);
    const history = new History();
    const told = history.listening(recorder === null ? NO_EVENTS : events(recorder));
    const story = createStory(logger, metrics, heartbeat, told);
    const agent = new Agent({ config, engine, driver, store, publicKey }, story, fault);
    deliver = (events) => agent.onEvents(events);
    function events(recorder: EventRecorder) {
      const own = () => agent.gateways.own?.name ?? null;
      return createEvents(recorder, { node: config.node, own, isRelay: () => agent.site.role === 'relay' });
    }

    const onError = (error: unknown) => story.trouble('server', error);
    const sources = { config, agent, store, history, untold };
    const control = await serveControl(config.socket, handlers(sources), onError);
    closers.push(() => control.close());
    if (config.metrics !== null) {
      const server = await serveMetrics(config.metrics, metrics, onError);
      closers.push(() => server.close());
    }
    if (config.health !== null) {
      const checks = { live: () => heartbeat.check(), ready: () => agent.unready() };
      const page = config.statusPage ? createPage(pageSource(sources), onError) : null;
      const server = await serveHealth(config.health, checks, onError, page);
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

function measuredPeers(config: AgentConfig, agent: Agent, driver: string) {
  const remotes = [...agent.remotes.all];
  const now = Date.now();
  // Of WireGuard's peers only: an SA has no public key for these names.
  const named = config.metricsOptions.wireguardNames && driver === 'wireguard';
  const measured = { site: agent.site, driver, world: named ? agent.world : null };
  function* each() {
    for (const remote of remotes) yield peerMetrics(measured, remote, now);
  }
  return { count: remotes.length, each: each() };
}

function handlers(sources: Sources) {
  const { agent, history } = sources;
  return {
    status: () => status(sources),
    explain: (gateway: string) => {
      const remote = agent.remotes.get(gateway);
      if (remote === undefined) return null;
      return explanation(agent.site, agent.remotes, remote, history.of(gateway, EXPLAINED_CHANGES), Date.now());
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
