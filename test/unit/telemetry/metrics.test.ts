import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { profileOf } from '#src/nat/profile.js';
import type { Format } from '#src/telemetry/format.js';
import { createMetrics, type MetricsOptions, type PeerMetrics } from '#src/telemetry/metrics.js';
import { PeerExposition } from '#src/telemetry/peer-metrics.js';
import { fullPeer, metricsOptions, NODE_STATE, peerOf, planeMetrics } from './fixtures.js';

/** The samples of an exposition, and a check that every family is whole, typed, and in one piece. */
function parse(text: string): Map<string, number> {
  assert.ok(text.endsWith('\n'));
  const samples = new Map<string, number>();
  const families: string[] = [];
  for (const line of text.split('\n').slice(0, -1)) {
    const head = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (head !== null) {
      if (head[1] === 'HELP') {
        assert.ok(!families.includes(head[2] ?? ''), `${head[2]} comes twice`);
        families.push(head[2] ?? '');
      }
      continue;
    }
    if (line === '' || line === '# EOF') continue;
    const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/.exec(line);
    assert.ok(sample, `no sample: ${line}`);
    assert.ok((sample[1] ?? '').startsWith(families.at(-1) ?? '?'), `${sample[1]} stands below ${families.at(-1)}`);
    const series = `${sample[1]}${sample[2] ?? ''}`;
    assert.ok(!samples.has(series), `${series} comes twice`);
    samples.set(series, Number(sample[3]));
  }
  return samples;
}

async function render(peers: readonly PeerMetrics[], options: Partial<MetricsOptions> = {}, format: Format = 'text') {
  const exposition = new PeerExposition(metricsOptions({ maxPeers: 10_000, ...options }));
  return Buffer.concat(await exposition.render(peers, peers.length, format)).toString('utf8');
}

async function samplesOf(peers: readonly PeerMetrics[], options: Partial<MetricsOptions> = {}) {
  const samples = parse(await render(peers, options));
  samples.delete('corax_metrics_dropped_peers');
  return samples;
}

describe('series of peers', () => {
  test('every one of a peer, with its labels', async () => {
    const samples = await samplesOf([
      peerOf('gw-b', {
        publicKey: 'a+/=',
        natType: 'Full cone NAT',
        path: 'direct',
        lastHandshake: 2000.25,
        handshakeRttMs: 31.5,
        rxBytes: 107,
        txBytes: 208,
        planes: {
          relay: planeMetrics({ rttMs: 62.5, jitterMs: 0.5, probesSent: 10, probesLost: 1 }),
          direct: planeMetrics({ rttMs: 31.25, jitterMs: 0.25, probesSent: 20, probesLost: 0 }),
        },
      }),
    ]);
    assert.deepEqual(Object.fromEntries(samples), {
      'corax_peer_info{peer="gw-b",driver="wireguard",public_key="a+/=",nat_type="Full cone NAT"}': 1,
      'corax_peer_last_handshake_timestamp_seconds{peer="gw-b"}': 2000.25,
      'corax_peer_handshake_rtt_seconds{peer="gw-b"}': 0.0315,
      'corax_peer_receive_bytes_total{peer="gw-b"}': 107,
      'corax_peer_transmit_bytes_total{peer="gw-b"}': 208,
      'corax_peer_path{peer="gw-b",path="relay"}': 0,
      'corax_peer_path{peer="gw-b",path="direct"}': 1,
      'corax_peer_rtt_seconds{peer="gw-b",plane="relay"}': 0.0625,
      'corax_peer_rtt_seconds{peer="gw-b",plane="direct"}': 0.03125,
      'corax_peer_rtt_jitter_seconds{peer="gw-b",plane="relay"}': 0.0005,
      'corax_peer_rtt_jitter_seconds{peer="gw-b",plane="direct"}': 0.00025,
      'corax_peer_probes_sent_total{peer="gw-b",plane="relay"}': 10,
      'corax_peer_probes_sent_total{peer="gw-b",plane="direct"}': 20,
      'corax_peer_probes_lost_total{peer="gw-b",plane="relay"}': 1,
      'corax_peer_probes_lost_total{peer="gw-b",plane="direct"}': 0,
    });
  });

  test('what is unknown has no series; never is 0; a relay is up or not', async () => {
    const unknown = await samplesOf([peerOf('gw-b', { path: null })]);
    const [info, ...rest] = [...unknown.keys()];
    assert.equal(info, 'corax_peer_info{peer="gw-b",driver="wireguard",public_key="",nat_type=""}');
    assert.deepEqual(rest, ['corax_peer_path{peer="gw-b",path="relay"}', 'corax_peer_path{peer="gw-b",path="direct"}']);
    const never = await samplesOf([peerOf('gw-b', { lastHandshake: 0, relayUp: false })]);
    assert.equal(never.get('corax_peer_last_handshake_timestamp_seconds{peer="gw-b"}'), 0);
    assert.equal(never.get('corax_relay_up{peer="gw-b"}'), 0);
  });

  test('no more peers than are wanted; those that are left out are counted', async () => {
    const three = ['a', 'b', 'c'].map((name) => peerOf(name));
    for (const [maxPeers, left, dropped] of [
      [0, [], 3],
      [2, ['a', 'b'], 1],
      [3, ['a', 'b', 'c'], 0],
    ] as const) {
      const samples = parse(await render(three, { maxPeers }));
      const names = [...samples.keys()].flatMap((series) => /^corax_peer_info\{peer="(.)"/.exec(series)?.[1] ?? []);
      assert.deepEqual(names, left);
      assert.equal(samples.get('corax_metrics_dropped_peers'), dropped);
    }
  });

  test("the names of MindFlavor's exporter, where they are switched on", async () => {
    const tunnel = { device: 'raven-wg0', allowedIps: ['10.1.0.0/24', '10.2.0.0/24'], lastHandshake: 7.5 };
    const peer = peerOf('gw-b', { publicKey: 'key', tunnels: [{ ...tunnel, rxBytes: 1, txBytes: 2 }] });
    const names = async (wireguardNames: boolean) =>
      [...(await samplesOf([peer], { wireguardNames }))].filter(([series]) => series.startsWith('wireguard_'));
    const labels =
      '{interface="raven-wg0",public_key="key",allowed_ips="10.1.0.0/24,10.2.0.0/24",friendly_name="gw-b"}';
    assert.deepEqual(await names(true), [
      [`wireguard_sent_bytes_total${labels}`, 2],
      [`wireguard_received_bytes_total${labels}`, 1],
      [`wireguard_latest_handshake_seconds${labels}`, 7.5],
    ]);
    assert.deepEqual(await names(false), []);
  });

  test('any gateway name gives a valid exposition', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 20 }), async (names) => {
        // A lone surrogate is no Unicode text, and becomes U+FFFD in UTF-8.
        const whole = [...new Set(names.map((name) => Buffer.from(name).toString()))];
        assert.equal((await samplesOf(whole.map((name) => peerOf(name)))).size, whole.length * 3);
      }),
    );
  });

  test('many peers: every series is there, and other work gets its turn in between', async () => {
    const many = Array.from({ length: 3000 }, (_, index) => fullPeer(`gw-${index}`, index));
    let turns = 0;
    let done = false;
    const count = () => {
      turns += 1;
      if (!done) setImmediate(count);
    };
    setImmediate(count);
    const samples = await samplesOf(many);
    done = true;
    assert.equal(samples.size, 3000 * 15);
    assert.equal(samples.get('corax_peer_receive_bytes_total{peer="gw-2999"}'), 1_002_999);
    assert.ok(turns > 3, `${turns} turns`);
  });
});

test('the whole exposition is one valid text, and asks for the peers once a scrape', async (t) => {
  let asked = 0;
  const metrics = createMetrics(
    metricsOptions({
      version: '1.2.3',
      peers: () => {
        asked += 1;
        return { count: 1, each: [fullPeer('gw-b', 0)] };
      },
      natPairs: () => [{ local: 'Full cone NAT', remote: 'Symmetric NAT' }],
      node: () => ({ ...NODE_STATE, handshakesUnanswered: 4 }),
    }),
  );
  t.after(() => metrics.clear());
  metrics.pathTransitions.inc({ from: 'relayed', to: 'direct', reason: 'probe-answered' });
  metrics.holePunchAttempts.inc({ local_nat: 'Full cone NAT', remote_nat: 'Symmetric NAT', result: 'direct' });
  metrics.reconcileErrors.inc({ stage: 'route' });
  metrics.harvestChanges.inc();
  metrics.stunRequests.inc({ result: 'answered' }, 3);
  metrics.timeToDirect.observe({ attempt: 'first', driver: 'wireguard' }, 0.4);
  metrics.applyDuration.observe({ driver: 'wireguard', stage: 'tunnel' }, 0.002);
  metrics.setNat({ type: 'Full cone NAT', mapping: 'endpoint-independent', filtering: 'endpoint-independent' });
  metrics.setNat({ type: 'Symmetric NAT', mapping: 'address-dependent', filtering: 'unknown' });
  metrics.setNatProfile({ ...profileOf([]), ports: { first: 1, last: 9 } });
  metrics.setNatProfile({
    ...profileOf([]),
    assignment: 'sequential',
    pooling: 'paired',
    ports: { first: 10_240, last: 10_303 },
    lifetime: { livedS: 30, goneS: 45 },
  });
  const expected: Array<[string, number]> = [
    ['corax_nat_profile_info{port_assignment="sequential",pooling="paired",block="unknown"}', 1],
    ['corax_nat_ports', 64],
    ['corax_nat_mapping_lifetime_seconds{bound="lived"}', 30],
    ['corax_nat_mapping_lifetime_seconds{bound="gone"}', 45],
    [`corax_build_info{version="1.2.3",node_version="${process.versions.node}"}`, 1],
    ['corax_path_transitions_total{from="relayed",to="direct",reason="probe-answered"}', 1],
    ['corax_hole_punch_attempts_total{local_nat="Full cone NAT",remote_nat="Symmetric NAT",result="direct"}', 1],
    [`corax_hole_punch_attempts_total{local_nat="Full cone NAT",remote_nat="Symmetric NAT",result="failed"}`, 0],
    ['corax_reconcile_errors_total{stage="route"}', 1],
    ['corax_harvest_changes_total', 1],
    ['corax_harvest_last_timestamp_seconds', 0],
    ['corax_stun_requests_total{result="answered"}', 3],
    ['corax_time_to_direct_seconds_count{attempt="first",driver="wireguard"}', 1],
    ['corax_handshake_rtt_seconds_count', 0],
    ['corax_apply_duration_seconds_count{driver="wireguard",stage="tunnel"}', 1],
    ['corax_nat_info{type="Symmetric NAT",mapping="address-dependent",filtering="unknown"}', 1],
    ['corax_node_info{node_name="edge-a",gateway="gw-a",role="edge"}', 1],
    ['corax_tunnel_mtu_bytes', 1420],
    ['corax_store_synced', 1],
    ['corax_store_up', 1],
    ['corax_store_access_denied', 0],
    ['corax_store_last_sync_timestamp_seconds', 1_790_000_000.5],
    ['corax_store_reads_total', 3],
    ['corax_store_writes_total', 2],
    ['corax_handshakes_unanswered_total', 4],
    ['corax_peer_receive_bytes_total{peer="gw-b"}', 1_000_000],
    ['corax_metrics_dropped_peers', 0],
  ];
  // In turns: one form must leave the other as it is.
  for (const format of ['text', 'openmetrics', 'text', 'openmetrics'] as const) {
    const text = Buffer.concat(await metrics.render(format)).toString('utf8');
    const samples = parse(text);
    for (const [series, value] of expected) assert.equal(samples.get(series), value, `${format}: ${series}`);
    for (const name of ['corax_nat_info', 'corax_nat_profile_info'])
      assert.equal([...samples.keys()].filter((series) => series.startsWith(name)).length, 1);
    assert.ok(samples.has('process_resident_memory_bytes') && samples.has('nodejs_eventloop_lag_p99_seconds'));
    assert.equal(text.endsWith('\n# EOF\n'), format === 'openmetrics');
    assert.equal(text.match(/# EOF/g)?.length ?? 0, format === 'openmetrics' ? 1 : 0);
    assert.equal(text.includes('# TYPE corax_harvest_changes counter\n'), format === 'openmetrics');
    assert.equal(text.includes('# TYPE corax_peer_receive_bytes_total counter\n'), format === 'text');
  }
  assert.equal(asked, 4);
});
