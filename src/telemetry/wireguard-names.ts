/**
 * Peers under the names of MindFlavor's prometheus_wireguard_exporter, so that dashboards made for it work: one series
 * a device and peer, the prefixes in a label.
 */
import { escapeLabel, formatValue, type MetricType } from './format.js';
import type { Family, PeerMetrics, TunnelMetrics } from './peer-metrics.js';

function family(type: MetricType, name: string, help: string, read: (tunnel: TunnelMetrics) => number): Family {
  const samples = ({ gateway, publicKey, tunnels }: PeerMetrics): string => {
    let text = '';
    for (const tunnel of tunnels) {
      const allowed = escapeLabel(tunnel.allowedIps.join(','));
      const labels = `interface="${escapeLabel(tunnel.device)}",public_key="${escapeLabel(publicKey ?? '')}",allowed_ips="${allowed}",friendly_name="${escapeLabel(gateway)}"`;
      text += `${name}{${labels}} ${formatValue(read(tunnel))}\n`;
    }
    return text;
  };
  return { name, type, help, samples };
}

export const wireguardFamilies: readonly Family[] = [
  family('counter', 'wireguard_sent_bytes_total', 'Bytes sent to the peer.', ({ txBytes }) => txBytes),
  family('counter', 'wireguard_received_bytes_total', 'Bytes received from the peer.', ({ rxBytes }) => rxBytes),
  family('gauge', 'wireguard_latest_handshake_seconds', 'Unix time of the latest handshake, 0 = never.', (tunnel) => {
    return tunnel.lastHandshake;
  }),
];
