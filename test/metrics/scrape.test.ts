/** A scrape of very many peers: valid, cheap, in short slices, beside prom-client's way of doing it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createMetrics, type PeerMetrics } from '#src/telemetry/metrics.js';
import { serveMetrics } from '#src/telemetry/server.js';
import { byPromClient, type Cost, costOf } from '../../bench/agent/scraped.js';
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

/** The machine is shared: its best of several runs is what the code can do. */
async function best(runs: number, act: () => Promise<unknown>): Promise<Cost> {
  const costs: Cost[] = [];
  for (let run = 0; run < runs; run++) costs.push(await costOf(act));
  return {
    cpuMs: Math.min(...costs.map(({ cpuMs }) => cpuMs)),
    longestMs: Math.min(...costs.map(({ longestMs }) => longestMs)),
  };
}

test('10,000 peers cost a third of prom-client, and the event loop goes on turning', async (t) => {
  const peers = full(PEERS);
  const metrics = metricsOf(peers);
  t.after(() => metrics.clear());
  const said = (what: string, { cpuMs, longestMs }: Cost) =>
    t.diagnostic(`${what}: ${cpuMs.toFixed(0)} ms of CPU, event loop held for at most ${longestMs.toFixed(1)} ms`);

  let pieces: readonly Buffer[] = [];
  const ours = await best(7, async () => {
    pieces = await metrics.render('openmetrics');
  });
  const scrape = byPromClient(peers);
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
  assert.ok(ours.cpuMs < theirs.cpuMs / 3, `${ours.cpuMs} and ${theirs.cpuMs} ms`);
  assert.ok(ours.longestMs < theirs.longestMs / 5, `${ours.longestMs} and ${theirs.longestMs} ms`);
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
