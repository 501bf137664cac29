/** Many peers to be scraped, as corax renders them and as prom-client does. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { Gauge, Registry } from 'prom-client';
import { createMetrics, type PeerMetrics } from '#src/telemetry/metrics.js';

/** One that has all: twelve lines and more. */
export function scrapedPeer(gateway: string, index: number): PeerMetrics {
  const plane = (rttMs: number) => ({
    ...{ rttMs, jitterMs: rttMs / 10, probesSent: 1000 + index, probesLost: index % 7 },
  });
  return {
    gateway,
    driver: 'wireguard',
    publicKey: Buffer.alloc(32, index % 251).toString('base64'),
    natType: 'Port Restricted cone NAT',
    path: index % 2 === 0 ? 'direct' : 'relay',
    relayUp: null,
    lastHandshake: 1_790_000_000.125 + index,
    handshakeRttMs: 30.5 + (index % 10),
    rxBytes: 1_000_000 + index,
    txBytes: 2_000_000 + index,
    planes: { relay: plane(54.7 + index / 1000), direct: plane(37.4 + index / 1000) },
    tunnels: [],
  };
}

export type Scrape = () => Promise<string>;

export function byCorax(peers: readonly PeerMetrics[]): Scrape {
  const metrics = createMetrics({
    version: '9',
    driver: 'wireguard',
    maxPeers: peers.length,
    wireguardNames: false,
    peers: () => ({ count: peers.length, each: peers }),
    natPairs: () => [],
    node: () => ({
      ...{ node: 'relay-node', gateway: 'relay', role: 'relay', tunnelMtu: 1420, handshakesUnanswered: 0 },
      store: { synced: true, ok: true, refusedUs: false, lastSync: 1, refused: 0, reads: 1, writes: 0 },
    }),
  });
  return async () => Buffer.concat(await metrics.render('openmetrics')).toString('utf8');
}

/** The same 80,000 series and more as prom-client has them: every gauge of every peer set before a scrape. */
export function byPromClient(peers: readonly PeerMetrics[]): Scrape {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, ...more: string[]) =>
    new Gauge({ name, help: name, labelNames: ['peer', ...more], registers });
  const [handshake, shake, rx, tx] = ['handshake', 'handshake_rtt', 'rx', 'tx'].map((name) => gauge(name));
  const [rtt, jitter, sent, lost] = ['rtt', 'jitter', 'sent', 'lost'].map((name) => gauge(name, 'plane'));
  const path = gauge('path', 'path');
  const info = gauge('info', 'driver', 'public_key', 'nat_type');
  return () => {
    for (const { gateway: peer, ...of } of peers) {
      handshake?.set({ peer }, of.lastHandshake ?? 0);
      shake?.set({ peer }, of.handshakeRttMs ?? 0);
      rx?.set({ peer }, of.rxBytes ?? 0);
      tx?.set({ peer }, of.txBytes ?? 0);
      info.set({ peer, driver: of.driver, public_key: of.publicKey ?? '', nat_type: of.natType ?? '' }, 1);
      for (const plane of ['relay', 'direct'] as const) {
        path.set({ peer, path: plane }, Number(of.path === plane));
        rtt?.set({ peer, plane }, of.planes[plane]?.rttMs ?? 0);
        jitter?.set({ peer, plane }, of.planes[plane]?.jitterMs ?? 0);
        sent?.set({ peer, plane }, of.planes[plane]?.probesSent ?? 0);
        lost?.set({ peer, plane }, of.planes[plane]?.probesLost ?? 0);
      }
    }
    return registry.metrics();
  };
}

export interface Cost {
  readonly cpuMs: number;
  /** The longest time that the event loop could not turn, on the clock. */
  readonly heldMs: number;
  /** The most CPU that the process took between two turns of the event loop: other processes do not count. */
  readonly sliceMs: number;
}

export async function costOf(act: () => Promise<unknown>): Promise<Cost> {
  // It counts from its first tick, which has to come before what is measured.
  const delay = monitorEventLoopDelay({ resolution: 1 });
  await pause(20);
  delay.enable();
  await pause(20);
  const began = cpuMs();
  let [last, sliceMs, done] = [began, 0, false];
  const turn = () => {
    const now = cpuMs();
    sliceMs = Math.max(sliceMs, now - last);
    last = now;
    if (!done) setImmediate(turn);
  };
  setImmediate(turn);
  await act();
  const spent = cpuMs() - began;
  done = true;
  await pause(20);
  delay.disable();
  return { cpuMs: spent, heldMs: delay.max / 1e6, sliceMs };
}

/** Of the whole process. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
