import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { createMetrics, type PeerMetrics, type PlaneMetrics } from '#src/telemetry/metrics.js';
import { escapeLabel, PeerExposition } from '#src/telemetry/peer-metrics.js';

function plane(values: Partial<PlaneMetrics> = {}): PlaneMetrics {
  return {
    rttMs: null,
    probesSent: null,
    probesLost: null,
    lastHandshake: null,
    rxBytes: null,
    txBytes: null,
    ...values,
  };
}

function peer(gateway: string, values: Partial<PeerMetrics> = {}): PeerMetrics {
  return { gateway, path: 'relay', planes: { relay: plane(), direct: null }, ...values };
}

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
    if (line === '') continue;
    const sample = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/.exec(line);
    assert.ok(sample, `no sample: ${line}`);
    assert.ok((sample[1] ?? '').startsWith(families.at(-1) ?? '?'), `${sample[1]} stands below ${families.at(-1)}`);
    const series = `${sample[1]}${sample[2] ?? ''}`;
    assert.ok(!samples.has(series), `${series} comes twice`);
    samples.set(series, Number(sample[3]));
  }
  return samples;
}

test('the series of a peer', async () => {
  const samples = parse(
    await new PeerExposition().render([
      peer('gw-b', {
        path: 'direct',
        planes: {
          relay: plane({ rttMs: 62.5, probesSent: 10, probesLost: 1, lastHandshake: 1000.5, rxBytes: 7, txBytes: 8 }),
          direct: plane({
            rttMs: 31.25,
            probesSent: 20,
            probesLost: 0,
            lastHandshake: 2000.25,
            rxBytes: 100,
            txBytes: 200,
          }),
        },
      }),
    ]),
  );
  assert.deepEqual(Object.fromEntries(samples), {
    'corax_peer_last_handshake_timestamp_seconds{peer="gw-b"}': 2000.25,
    'corax_peer_receive_bytes_total{peer="gw-b"}': 107,
    'corax_peer_transmit_bytes_total{peer="gw-b"}': 208,
    'corax_peer_path{peer="gw-b",path="relay"}': 0,
    'corax_peer_path{peer="gw-b",path="direct"}': 1,
    'corax_peer_rtt_seconds{peer="gw-b",plane="relay"}': 0.0625,
    'corax_peer_rtt_seconds{peer="gw-b",plane="direct"}': 0.03125,
    'corax_peer_probes_sent_total{peer="gw-b",plane="relay"}': 10,
    'corax_peer_probes_sent_total{peer="gw-b",plane="direct"}': 20,
    'corax_peer_probes_lost_total{peer="gw-b",plane="relay"}': 1,
    'corax_peer_probes_lost_total{peer="gw-b",plane="direct"}': 0,
  });
});

test('what is unknown has no series; never is 0', async () => {
  const unknown = parse(await new PeerExposition().render([peer('gw-b', { path: null })]));
  assert.deepEqual(
    [...unknown.keys()],
    ['corax_peer_path{peer="gw-b",path="relay"}', 'corax_peer_path{peer="gw-b",path="direct"}'],
  );
  assert.deepEqual([...unknown.values()], [0, 0]);
  const never = parse(
    await new PeerExposition().render([peer('gw-b', { planes: { relay: plane({ lastHandshake: 0 }), direct: null } })]),
  );
  assert.equal(never.get('corax_peer_last_handshake_timestamp_seconds{peer="gw-b"}'), 0);
});

test('counters survive a peer that is re-added and a plane that comes and goes, and go with their peer', async () => {
  const exposition = new PeerExposition();
  const received = async (...peers: PeerMetrics[]) =>
    parse(await exposition.render(peers)).get('corax_peer_receive_bytes_total{peer="gw-b"}');
  const bytes = (relay: number, direct: number | null) =>
    peer('gw-b', {
      planes: {
        relay: plane({ rxBytes: relay, txBytes: 0 }),
        direct: direct === null ? null : plane({ rxBytes: direct, txBytes: 0 }),
      },
    });
  assert.equal(await received(bytes(100, null)), 100);
  assert.equal(await received(bytes(100, 50)), 150);
  assert.equal(await received(bytes(10, 60)), 170, 'the relay peer was re-added');
  assert.equal(await received(bytes(10, null)), 170, 'the direct plane was taken down');
  assert.equal(await received(bytes(10, 5)), 175, 'and came back');
  assert.equal(await received(peer('gw-c')), undefined, 'the peer is gone');
  assert.equal(await received(bytes(3, null)), 3, 'and is another one now');
});

test('label values are escaped', () => {
  assert.equal(escapeLabel('a"b\\c\nd é 🐦'), 'a\\"b\\\\c\\nd é 🐦');
});

test('any gateway name gives a valid exposition', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.string({ unit: 'binary' }), { maxLength: 20 }), async (names) => {
      const samples = parse(await new PeerExposition().render(names.map((name) => peer(name))));
      assert.equal(samples.size, names.length * 2);
    }),
  );
});

test('many peers: every series is there, and other work gets its turn in between', async () => {
  const many = Array.from({ length: 3000 }, (_, index) =>
    peer(`gw-${index}`, {
      planes: { relay: plane({ rxBytes: index, txBytes: 1, rttMs: 1, lastHandshake: 5 }), direct: null },
    }),
  );
  let turns = 0;
  let done = false;
  const count = () => {
    turns += 1;
    if (!done) setImmediate(count);
  };
  setImmediate(count);
  const samples = parse(await new PeerExposition().render(many));
  done = true;
  assert.equal(samples.size, 3000 * 6);
  assert.equal(samples.get('corax_peer_receive_bytes_total{peer="gw-2999"}'), 2999);
  assert.ok(turns > 3, `${turns} turns`);
});

test('the whole exposition is one valid text, and asks for the peers once a scrape', async () => {
  let asked = 0;
  const metrics = createMetrics({
    version: '1.2.3',
    collect: () => {
      asked += 1;
      return [peer('gw-b')];
    },
  });
  after(() => metrics.clear());
  metrics.pathTransitions.inc({ from: 'relayed', to: 'direct', reason: 'probe-answered' });
  metrics.reconcileErrors.inc({ stage: 'route' });
  metrics.harvestChanges.inc();
  metrics.stunRequests.inc({ result: 'answered' }, 3);
  metrics.timeToDirect.observe(0.4);
  metrics.applyDuration.observe(0.002);
  metrics.setNat({ type: 'Full cone NAT', mapping: 'endpoint-independent', filtering: 'endpoint-independent' });
  metrics.setNat({ type: 'Symmetric NAT', mapping: 'address-dependent', filtering: 'unknown' });
  const text = await metrics.render();
  const samples = parse(text);
  assert.equal(asked, 1);
  assert.equal(samples.get(`corax_build_info{version="1.2.3",node_version="${process.versions.node}"}`), 1);
  assert.equal(samples.get('corax_path_transitions_total{from="relayed",to="direct",reason="probe-answered"}'), 1);
  assert.equal(samples.get('corax_reconcile_errors_total{stage="route"}'), 1);
  assert.equal(samples.get('corax_harvest_changes_total'), 1);
  assert.equal(samples.get('corax_stun_requests_total{result="answered"}'), 3);
  assert.equal(samples.get('corax_time_to_direct_seconds_count'), 1);
  assert.equal(samples.get('corax_apply_duration_seconds_count'), 1);
  assert.deepEqual(
    [...samples.keys()].filter((series) => series.startsWith('corax_nat_info')),
    ['corax_nat_info{type="Symmetric NAT",mapping="address-dependent",filtering="unknown"}'],
  );
  assert.ok(samples.has('process_resident_memory_bytes'));
  assert.match(metrics.contentType, /^text\/plain; version=0\.0\.4/);
});
