/** All agents together: who is direct, how soon, over which relays, and how the gateways hang together. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { RowBuilder } from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as NodeGraph } from '@grafana/grafana-foundation-sdk/nodegraph';
import { board, HALF, lines, now, RATIO, range, SECONDS, SOURCE, stat, THIRD, table, WIDE } from './common.js';

const JOB = 'job=~"$job"';
/** Between edges: neither seen from a relay, nor of one. */
const edges = (expr: string): string =>
  `(${expr} unless on (job, instance, peer) corax_relay_up and on (job, instance) corax_node_info{role="edge"})`;
const relays = (expr: string): string => `(${expr} and on (job, instance, peer) corax_relay_up)`;

const direct = edges(`corax_peer_path{${JOB},path="direct"}`);
const paths = edges(`corax_peer_path{${JOB}}`);
const relayRtt = relays(`corax_peer_rtt_seconds{${JOB},plane="relay"}`);
const relayLoss = relays(
  `rate(corax_peer_probes_lost_total{${JOB},plane="relay"}[$__rate_interval]) / (rate(corax_peer_probes_sent_total{${JOB},plane="relay"}[$__rate_interval]) > 0)`,
);
const quantile = (q: number, by: string, metric: string, over: string): string =>
  `histogram_quantile(${q}, sum by (${by}) (increase(${metric}_bucket{${JOB}}[${over}])))`;

/** A gateway is a node, a path that carries traffic an edge of the graph. */
function map(): NodeGraph {
  const whose = `* on (job, instance) group_left (gateway) corax_node_info{gateway!=""}`;
  const drawn = `label_replace(label_replace(label_join(max by (gateway, peer, path) (corax_peer_path{${JOB}} ${whose}) == 1, "id", " → ", "gateway", "peer"), "source", "$1", "gateway", "(.*)"), "target", "$1", "peer", "(.*)")`;
  const nodes = `label_replace(label_replace(max by (gateway, role) (corax_node_info{${JOB},gateway!="",role!~"idle|member"}), "id", "$1", "gateway", "(.*)"), "title", "$1", "gateway", "(.*)")`;
  const renameByName = { role: 'subtitle', path: 'mainstat' };
  const excludeByName = { Time: true, gateway: true, peer: true, 'Value #nodes': true, 'Value #edges': true };
  return new NodeGraph()
    .title('Gateways')
    .description('Each arrow is the path by which one gateway sends to another.')
    .datasource(SOURCE)
    .targets([now(nodes, 'nodes'), now(drawn, 'edges')])
    .withTransformation({ id: 'organize', options: { renameByName, excludeByName } })
    .height(14)
    .span(WIDE);
}

export function fleet(): Dashboard {
  return board('corax-fleet', 'corax: fleet', 'Who is direct, how soon, and over which relays.')
    .withPanel(stat('Direct', `sum(${direct}) / sum(${paths})`, RATIO, 'Of all paths between edges.'))
    .withPanel(stat('Agents', `count(corax_node_info{${JOB}})`, 'none', 'That answered the latest scrape.'))
    .withPanel(
      stat(
        'Relays lost',
        `count(corax_relay_up{${JOB}} == 0) or vector(0)`,
        'none',
        'Tunnels to a relay that are dead.',
      ),
    )
    .withPanel(
      stat(
        'Time to direct, 95 %',
        quantile(0.95, 'le', 'corax_time_to_direct_seconds', '$__range'),
        SECONDS,
        'From knowing both holes to the first direct handshake, in the time shown.',
      ),
    )
    .withPanel(
      lines('Paths between edges', 'none', 'How many go which way.', range(`sum by (path) (${paths})`, '{{path}}')),
    )
    .withPanel(
      lines(
        'Time to direct',
        SECONDS,
        'Median and 95 %, by driver.',
        range(quantile(0.5, 'driver, le', 'corax_time_to_direct_seconds', '$__rate_interval'), '{{driver}}, half'),
        range(
          quantile(0.95, 'driver, le', 'corax_time_to_direct_seconds', '$__rate_interval'),
          '{{driver}}, 95 %',
          'B',
        ),
      ),
    )
    .withPanel(
      table(
        'Paths by NATs',
        'Now: paths between edges and how many of them are direct, by the NATs of both ends.',
        { type: 'Own NAT', nat_type: "The other's NAT", 'Value #A': 'Paths', 'Value #B': 'Direct' },
        now(`sum by (type, nat_type) (${byNats(paths)})`),
        now(`sum by (type, nat_type) (${byNats(direct)})`, 'B'),
      ),
    )
    .withPanel(
      table(
        'Tries to go direct, by NATs',
        'In the time shown, by how they ended.',
        { local_nat: 'Own NAT', remote_nat: "The other's NAT", result: 'Result', Value: 'Tries' },
        now(`sum by (local_nat, remote_nat, result) (increase(corax_hole_punch_attempts_total{${JOB}}[$__range])) > 0`),
      ),
    )
    .withPanel(
      table(
        'Worst relays',
        'By the mean round trip of those who use them.',
        { peer: 'Relay', 'Value #A': 'Round trip', 'Value #B': 'Loss', 'Value #C': 'Tunnels down' },
        now(`topk(10, avg by (peer) (${relayRtt}))`),
        now(`avg by (peer) (${relayLoss})`, 'B'),
        now(`count by (peer) (corax_relay_up{${JOB}}) - sum by (peer) (corax_relay_up{${JOB}})`, 'C'),
      ).overrideByName('Round trip', [{ id: 'unit', value: SECONDS }]),
    )
    .withPanel(
      table(
        'Alerts',
        'That fire now; docs/runbook.md has an entry for each.',
        { alertname: 'Alert', severity: 'Severity', instance: 'Agent', peer: 'Peer' },
        now('ALERTS{alertname=~"Corax.+",alertstate="firing"}'),
      ),
    )
    .withPanel(map())
    .withRow(new RowBuilder('Agents'))
    .withPanel(
      lines(
        'Changes of paths',
        'short',
        'A second, over all agents.',
        range(
          `sum by (from, to, reason) (rate(corax_path_transitions_total{${JOB}}[$__rate_interval])) > 0`,
          '{{from}} → {{to}}, {{reason}}',
        ),
      ),
    )
    .withPanel(
      lines(
        'Holes that moved',
        'short',
        'A second, as relays see them.',
        range(`sum by (instance) (rate(corax_harvest_changes_total{${JOB}}[$__rate_interval])) > 0`, '{{instance}}'),
      ),
    )
    .withPanel(
      lines(
        'Steps that failed',
        'short',
        'A second, by stage.',
        range(`sum by (stage) (rate(corax_reconcile_errors_total{${JOB}}[$__rate_interval]))`, '{{stage}}'),
      ).span(THIRD),
    )
    .withPanel(
      lines(
        'Carrying out steps, 95 %',
        SECONDS,
        'Of a stage in one turn of the loop.',
        range(quantile(0.95, 'driver, stage, le', 'corax_apply_duration_seconds', '$__rate_interval'), '{{stage}}'),
      ).span(THIRD),
    )
    .withPanel(
      lines(
        'Event loop delay, 99 %',
        SECONDS,
        'The ten agents that are held most.',
        range(`topk(10, nodejs_eventloop_lag_p99_seconds{${JOB}})`, '{{instance}}'),
      ).span(THIRD),
    )
    .withPanel(
      table(
        'Store',
        'Agents that cannot read or watch the Gateways.',
        { instance: 'Agent', Value: 'Last read' },
        now(`corax_store_last_sync_timestamp_seconds{${JOB}} * 1000 and on (job, instance) corax_store_up == 0`),
      )
        .overrideByName('Last read', [{ id: 'unit', value: 'dateTimeAsIso' }])
        .span(HALF),
    )
    .withPanel(
      lines(
        'STUN',
        'short',
        'Transactions a second, by result.',
        range(`sum by (result) (rate(corax_stun_requests_total{${JOB}}[$__rate_interval]))`, '{{result}}'),
      ),
    )
    .build();
}

function byNats(expr: string): string {
  return `${expr} * on (job, instance, peer) group_left (nat_type) corax_peer_info * on (job, instance) group_left (type) corax_nat_info`;
}
