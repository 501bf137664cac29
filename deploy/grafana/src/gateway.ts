/** One gateway and every peer of it: which path, since when, and how both planes do. */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline';
import { board, choice, HALF, lines, now, RATIO, range, SECONDS, SOURCE, stat, table, values, WIDE } from './common.js';

/** Only what this gateway's agent tells. */
const own = (expr: string): string =>
  `(${expr} and on (job, instance) corax_node_info{job=~"$job",gateway="$gateway"})`;
const PEER = 'peer=~"$peer"';
const loss = `rate(corax_peer_probes_lost_total{${PEER}}[$__rate_interval]) / (rate(corax_peer_probes_sent_total{${PEER}}[$__rate_interval]) > 0)`;

function paths(): StateTimeline {
  return new StateTimeline()
    .title('Paths')
    .description('Which plane carried traffic to each peer.')
    .datasource(SOURCE)
    .withTarget(range(own(`corax_peer_path{${PEER},path="direct"}`), '{{peer}}'))
    .mappings(values({ '0': { text: 'relay', color: 'orange' }, '1': { text: 'direct', color: 'green' } }))
    .mergeValues(true)
    .height(9)
    .span(WIDE);
}

export function gateway(): Dashboard {
  return board('corax-gateway', 'corax: gateway', 'The paths of one gateway, and both planes of each.')
    .withVariable(choice('gateway', 'Gateway', 'label_values(corax_node_info{job=~"$job",gateway!=""}, gateway)'))
    .withVariable(
      choice('peer', 'Peer', 'label_values(corax_peer_info{job=~"$job"}, peer)')
        .includeAll(true)
        .allValue('.+')
        .multi(true),
    )
    .withPanel(
      stat(
        'Direct',
        `sum(${own(`corax_peer_path{${PEER},path="direct"}`)})`,
        'none',
        'Peers that are reached directly.',
      ),
    )
    .withPanel(stat('Peers', `count(${own(`corax_peer_info{${PEER}}`)})`, 'none', 'Gateways that this one knows.'))
    .withPanel(stat('MTU', `max(${own('corax_tunnel_mtu_bytes')})`, 'decbytes', 'Of the tunnel devices.'))
    .withPanel(
      stat(
        'Handshake, 95 %',
        `histogram_quantile(0.95, sum by (le) (increase(corax_handshake_rtt_seconds_bucket[$__range]) and on (job, instance) corax_node_info{job=~"$job",gateway="$gateway"}))`,
        SECONDS,
        'From an initiation to its response on the wire, in the time shown.',
      ),
    )
    .withPanel(paths())
    .withPanel(
      lines(
        'Round trip',
        SECONDS,
        'Of the probes, on both planes.',
        range(own(`corax_peer_rtt_seconds{${PEER}}`), '{{peer}}, {{plane}}'),
      ),
    )
    .withPanel(lines('Loss', RATIO, 'Of the probes, on both planes.', range(own(loss), '{{peer}}, {{plane}}')).max(1))
    .withPanel(
      lines(
        'Jitter',
        SECONDS,
        'Mean deviation of the round trip.',
        range(own(`corax_peer_rtt_jitter_seconds{${PEER}}`), '{{peer}}, {{plane}}'),
      ),
    )
    .withPanel(
      lines(
        'Handshake age',
        SECONDS,
        'Since the latest on any plane. In use, WireGuard renews a session every two minutes, Libreswan within eight hours.',
        range(`time() - ${own(`corax_peer_last_handshake_timestamp_seconds{${PEER}} > 0`)}`, '{{peer}}'),
      ),
    )
    .withPanel(
      lines(
        'Handshake round trip',
        SECONDS,
        'From the latest initiation to its response, seen on the wire.',
        range(own(`corax_peer_handshake_rtt_seconds{${PEER}}`), '{{peer}}'),
      ),
    )
    .withPanel(
      lines(
        'Traffic',
        'Bps',
        'Of the tunnels that end here, on both planes. What goes by a relay is the relay’s.',
        range(own(`rate(corax_peer_receive_bytes_total{${PEER}}[$__rate_interval])`), '{{peer}}, received'),
        range(own(`rate(corax_peer_transmit_bytes_total{${PEER}}[$__rate_interval])`), '{{peer}}, sent', 'B'),
      ),
    )
    .withPanel(
      table(
        'Peers',
        'What they are.',
        { peer: 'Peer', driver: 'Driver', nat_type: 'NAT', public_key: 'Public key' },
        now(own(`corax_peer_info{${PEER}}`)),
      ),
    )
    .withPanel(
      table(
        'NAT',
        'That this gateway is behind.',
        { type: 'Type', mapping: 'Mapping', filtering: 'Filtering' },
        now(own('corax_nat_info')),
      ).span(HALF),
    )
    .withPanel(
      lines(
        'Changes of paths',
        'short',
        'In each interval, by cause.',
        range(
          `sum by (from, to, reason) (${own('increase(corax_path_transitions_total[$__rate_interval])')}) > 0`,
          '{{from}} → {{to}}, {{reason}}',
        ),
      ),
    )
    .build();
}
