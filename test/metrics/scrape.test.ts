/** A scrape of very many peers: valid, cheap, in short slices, beside prom-client's way of doing it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { peerMetrics } from '#src/agent/measured.js';
import { Remotes } from '#src/agent/remotes.js';
import { newPath } from '#src/decide/path.js';
import { createMetrics, type PeerMetrics } from '#src/telemetry/metrics.js';
import { serveMetrics } from '#src/telemetry/server.js';
import { byPromClient, type Cost, costOf } from '../../bench/agent/scraped.js';
import { at, gateway, keyOf, probeFacts, relay, siteFacts } from '../unit/decide/fixtures.js';
import { fullPeer, metricsOptions, peerOf } from '../unit/telemetry/fixtures.js';
import { promtool } from './promtool.js';

const PEERS = 10_000;

function metricsOf(peers: readonly PeerMetrics[], wireguardNames = false) {
  return createMetrics(
    metricsOptions({ maxPeers: PEERS, wireguardNames, peers: () => ({ count: peers.length, each: peers }) }),
  );
}

const full = (count: number) => Array.from({ length: count }, (_, index) => fullPeer(`gw-${index}`, index));

test('promtool finds nothing wrong with 0, 1 and 10,000 peers, nor with names that need escaping', async (t) => {
  const odd = ['a "quoted" \\ name', 'two\nlines', 'Zürich 🐦', "{peer='x'} 1"].map((name, index) => {
    const tunnels = [{ device: 'raven-wg0', allowedIps: ['10.0.0.0/8'], lastHandshake: 1, rxBytes: 2, txBytes: 3 }];
    return { ...fullPeer(name, index), tunnels };
  });
  for (const peers of [full(0), full(1), full(PEERS), odd]) {
    const metrics = metricsOf(peers, peers === odd);
    t.after(() => metrics.clear());
    const text = Buffer.concat(await metrics.render('text'));
    assert.equal(promtool(['check', 'metrics'], text), '', `${peers.length} peers`);
  }
});

/** As an agent has them: remote edges that are direct, measured when they are scraped. */
function remotePeers(count: number): () => Iterable<PeerMetrics> {
  const now = Date.now();
  const site = siteFacts(gateway(0), [relay(1)]);
  const remotes = new Remotes();
  for (let index = 1; index <= count; index++) {
    remotes.put(gateway(index));
    const rest = { gone: false, moved: true, session: null, carries: null, endpoint: at('198.51.100.1', index) };
    const told = { key: keyOf(index), lastHandshake: now / 1000 - 60, rxBytes: 1_000_000 + index, txBytes: 2_000_000 };
    remotes.seePeer({ plane: 'direct', ...rest, ...told }, now);
    const remote = remotes.get(`gw-${index}`) ?? assert.fail();
    remote.path = { ...newPath(now), state: 'direct' };
    remote.handshakeRttMs = 30.5 + (index % 10);
    for (const [plane, rttMs] of [
      ['relay', 54.7],
      ['direct', 37.4],
    ] as const) {
      const probe = probeFacts({
        sent: 1000 + index,
        lost: index % 7,
        received: 900,
        rttMs: rttMs + index / 1000,
        jitterMs: 2,
      });
      remotes.seeProbe(remote.gateway.name, plane, probe);
    }
  }
  return function* each() {
    for (const remote of remotes.all) yield peerMetrics({ site, driver: 'wireguard', world: null }, remote, now);
  };
}

/** The machine is shared: its best of several runs is what the code can do. */
async function best(runs: number, act: () => Promise<unknown>): Promise<Cost> {
  const costs: Cost[] = [];
  for (let run = 0; run < runs; run++) costs.push(await costOf(act));
  const least = (of: keyof Cost) => Math.min(...costs.map((cost) => cost[of]));
  return { cpuMs: least('cpuMs'), heldMs: least('heldMs'), sliceMs: least('sliceMs') };
}

/** What a scrape may cost by the design, with eight series a peer. */
const BAR: Pick<Cost, 'cpuMs' | 'sliceMs'> = { cpuMs: 100, sliceMs: 10 };

test('10,000 peers: 100 ms of CPU in slices of 10 ms, and a third of prom-client at most', async (t) => {
  const each = remotePeers(PEERS);
  const metrics = createMetrics(metricsOptions({ maxPeers: PEERS, peers: () => ({ count: PEERS, each: each() }) }));
  t.after(() => metrics.clear());
  const said = (what: string, { cpuMs, heldMs, sliceMs }: Cost) =>
    t.diagnostic(
      `${what}: ${cpuMs.toFixed(0)} ms of CPU, at most ${sliceMs.toFixed(1)} ms in one slice; event loop held for ${heldMs.toFixed(1)} ms`,
    );

  let pieces: readonly Buffer[] = [];
  const ours = await best(7, async () => {
    pieces = await metrics.render('openmetrics');
  });
  const scrape = byPromClient([...each()]);
  let text = '';
  const theirs = await best(3, async () => {
    text = await scrape();
  });
  const lines = (of: string) => of.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  const whole = Buffer.concat(pieces).toString('utf8');
  t.diagnostic(
    `ours ${lines(whole)} series, ${whole.length} bytes; prom-client ${lines(text)} series, ${text.length} bytes`,
  );
  assert.ok(lines(whole) >= PEERS * 15);
  said('rendered', ours);
  said('prom-client', theirs);
  assert.ok(ours.cpuMs <= BAR.cpuMs && ours.sliceMs <= BAR.sliceMs, `${ours.cpuMs} ms, slices of ${ours.sliceMs} ms`);
  assert.ok(ours.cpuMs < theirs.cpuMs / 3, `${ours.cpuMs} and ${theirs.cpuMs} ms`);
  assert.ok(ours.heldMs < theirs.heldMs / 5, `${ours.heldMs} and ${theirs.heldMs} ms`);
});

test('10,000 peers over HTTP, plain and gzip: whole, in either form', async (t) => {
  const peers = [...full(PEERS - 1), peerOf('last "one"')];
  const metrics = metricsOf(peers);
  t.after(() => metrics.clear());
  const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, metrics, (error) => assert.fail(String(error)));
  const url = `http://127.0.0.1:${server.where.port}/metrics`;
  try {
    for (const encoding of ['identity', 'gzip']) {
      const accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5';
      let body = '';
      const started = performance.now();
      const cost = await costOf(async () => {
        const response = await fetch(url, { headers: { accept, 'accept-encoding': encoding } });
        assert.match(response.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
        body = await response.text();
      });
      const ms = performance.now() - started;
      // The one that asks is in this process too.
      t.diagnostic(`${encoding}: ${cost.cpuMs.toFixed(0)} ms of CPU with the asker's own, ${ms.toFixed(0)} ms in all`);
      assert.ok(body.endsWith('# EOF\n'));
      assert.ok(body.includes('corax_peer_path{peer="last \\"one\\"",path="relay"} 1\n'));
      assert.ok(body.includes('corax_peer_rtt_seconds{peer="gw-9998",plane="direct"} '));
    }
  } finally {
    await server.close();
  }
});

test('gzip is what gunzip reads', async (t) => {
  const metrics = metricsOf(full(10));
  t.after(() => metrics.clear());
  const plainText = Buffer.concat(await metrics.render('text')).toString('utf8');
  const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, metrics, (error) => assert.fail(String(error)));
  try {
    const asked = get({ ...server.where, path: '/metrics', headers: { 'accept-encoding': 'gzip' } });
    const [response] = await once(asked, 'response');
    const packed = Buffer.concat(await response.toArray());
    const families = (text: string) => text.match(/^# TYPE .*$/gm);
    assert.deepEqual(families(gunzipSync(packed).toString('utf8')), families(plainText));
  } finally {
    await server.close();
  }
});
