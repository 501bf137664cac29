/**
 * The series of peers, rendered when they are scraped: nothing is kept up to date in between, and a peer
 * that is gone has no series.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PLANES, type Plane } from '../model/names.js';
import { escapeLabel, type Format, familyHead, formatValue, type MetricType } from './format.js';
import { wireguardFamilies } from './wireguard-names.js';

export interface PlaneMetrics {
  /** Smoothed, milliseconds; null before the first answer. */
  readonly rttMs: number | null;
  /** Its mean deviation, milliseconds. */
  readonly jitterMs: number | null;
  /** Null where this plane is not, and never was, probed. Never falls. */
  readonly probesSent: number | null;
  readonly probesLost: number | null;
}

/** A peer of a tunnel device, for the names that others have for it. */
export interface TunnelMetrics {
  readonly device: string;
  readonly allowedIps: readonly string[];
  /** Unix seconds, 0 = never. */
  readonly lastHandshake: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

export interface PeerMetrics {
  /** The gateway's name. */
  readonly gateway: string;
  readonly driver: string;
  readonly publicKey: string | null;
  readonly natType: string | null;
  readonly path: Plane | null;
  /** Is the relay's own tunnel alive? Null for whoever is no relay. */
  readonly relayUp: boolean | null;
  /** Unix seconds of the latest on any plane, 0 = never; null where it has no peer of its own. */
  readonly lastHandshake: number | null;
  /** From a handshake's initiation to its response, milliseconds, the latest; null = none seen. */
  readonly handshakeRttMs: number | null;
  /** On all planes; null where it has no peer of its own. Never falls. */
  readonly rxBytes: number | null;
  readonly txBytes: number | null;
  readonly planes: Readonly<Record<Plane, PlaneMetrics | null>>;
  /** Only asked for with `wireguardNames`. */
  readonly tunnels: readonly TunnelMetrics[];
}

export interface Family {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  /** The samples of a peer, "" where there is nothing to say; `label` is `peer="…"`. */
  readonly samples: (peer: PeerMetrics, label: string) => string;
}

const FAMILIES: readonly Family[] = [
  {
    ...gauge('corax_peer_info', 'Always 1; what the peer is, is in the labels.'),
    samples: (peer, label) => {
      const { driver, publicKey, natType } = peer;
      const rest = `driver="${driver}",public_key="${escapeLabel(publicKey ?? '')}",nat_type="${escapeLabel(natType ?? '')}"`;
      return `corax_peer_info{${label},${rest}} 1\n`;
    },
  },
  single('gauge', 'corax_peer_last_handshake_timestamp_seconds', 'Latest handshake on any plane, 0 = never.', (peer) =>
    peer.lastHandshake === null ? null : peer.lastHandshake,
  ),
  single('gauge', 'corax_peer_handshake_rtt_seconds', 'From the latest handshake to its response.', (peer) =>
    inSeconds(peer.handshakeRttMs),
  ),
  single('counter', 'corax_peer_receive_bytes_total', 'Bytes received from the peer, on all planes.', (peer) => {
    return peer.rxBytes;
  }),
  single('counter', 'corax_peer_transmit_bytes_total', 'Bytes sent to the peer, on all planes.', (peer) => {
    return peer.txBytes;
  }),
  {
    ...gauge('corax_peer_path', '1 for the path that carries traffic, 0 for the other.'),
    samples: (peer, label) =>
      PLANES.map((plane) => `corax_peer_path{${label},path="${plane}"} ${peer.path === plane ? 1 : 0}\n`).join(''),
  },
  perPlane('gauge', 'corax_peer_rtt_seconds', 'Smoothed round-trip time of the probes on a plane.', (plane) =>
    inSeconds(plane.rttMs),
  ),
  perPlane('gauge', 'corax_peer_rtt_jitter_seconds', 'Mean deviation of the round-trip time on a plane.', (plane) =>
    inSeconds(plane.jitterMs),
  ),
  perPlane('counter', 'corax_peer_probes_sent_total', 'Probes sent on a plane.', (plane) => plane.probesSent),
  perPlane('counter', 'corax_peer_probes_lost_total', 'Probes on a plane that no answer came to.', (plane) => {
    return plane.probesLost;
  }),
  single('gauge', 'corax_relay_up', 'Whether the tunnel to a relay is alive.', ({ relayUp }) =>
    relayUp === null ? null : Number(relayUp),
  ),
];

/** Peers rendered before other work gets its turn. */
const SLICE = 250;

export interface PeerOptions {
  /** No more peers than these have series. */
  readonly maxPeers: number;
  /** The names of MindFlavor's prometheus_wireguard_exporter too. */
  readonly wireguardNames: boolean;
}

export class PeerExposition {
  readonly #families: readonly Family[];
  readonly #maxPeers: number;
  #dropped = 0;

  constructor({ maxPeers, wireguardNames }: PeerOptions) {
    this.#maxPeers = maxPeers;
    this.#families = wireguardNames ? [...FAMILIES, ...wireguardFamilies] : FAMILIES;
  }

  /** @param peers `count` of them; each is asked for as its turn comes */
  async render(peers: Iterable<PeerMetrics>, count: number, format: Format): Promise<Buffer[]> {
    this.#dropped = Math.max(0, count - this.#maxPeers);
    const chunks: Buffer[][] = this.#families.map(({ name, type, help }) => [
      Buffer.from(familyHead(name, type, help, format)),
    ]);
    for await (const slice of inSlices(peers, this.#maxPeers)) {
      const labels = slice.map((peer) => `peer="${escapeLabel(peer.gateway)}"`);
      this.#families.forEach(({ samples }, index) => {
        let text = '';
        slice.forEach((peer, at) => {
          text += samples(peer, labels[at] as string);
        });
        if (text !== '') chunks[index]?.push(Buffer.from(text));
      });
    }
    return [...chunks.flat(), Buffer.from(droppedFamily(this.#dropped, format))];
  }
}

/** Up to so many, in slices between which others get their turn. */
async function* inSlices(peers: Iterable<PeerMetrics>, most: number): AsyncGenerator<PeerMetrics[]> {
  let slice: PeerMetrics[] = [];
  let left = most;
  if (left === 0) return;
  for (const peer of peers) {
    slice.push(peer);
    left -= 1;
    if (left === 0) break;
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
    await nextTurn();
  }
  yield slice;
}

function droppedFamily(dropped: number, format: Format): string {
  const name = 'corax_metrics_dropped_peers';
  return `${familyHead(name, 'gauge', 'Peers without series, because there are too many.', format)}${name} ${dropped}\n`;
}

function gauge(name: string, help: string): Pick<Family, 'name' | 'type' | 'help'> {
  return { name, type: 'gauge', help };
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}

function single(type: MetricType, name: string, help: string, read: (peer: PeerMetrics) => number | null): Family {
  const samples = (peer: PeerMetrics, label: string): string => {
    const value = read(peer);
    return value === null ? '' : `${name}{${label}} ${formatValue(value)}\n`;
  };
  return { name, type, help, samples };
}

function perPlane(type: MetricType, name: string, help: string, read: (plane: PlaneMetrics) => number | null): Family {
  const samples = (peer: PeerMetrics, label: string): string => {
    let text = '';
    for (const plane of PLANES) {
      const metrics = peer.planes[plane];
      const value = metrics === null ? null : read(metrics);
      if (value !== null) text += `${name}{${label},plane="${plane}"} ${formatValue(value)}\n`;
    }
    return text;
  };
  return { name, type, help, samples };
}
