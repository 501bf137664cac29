/**
 * The series of peers, rendered when they are scraped: nothing is kept up to date in between, and a peer
 * that is gone has no series. Text as in "Prometheus text-based format", version 0.0.4.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PLANES, type Plane } from '../model/names.js';
import { CounterKeeper } from './counter-keeper.js';

export interface PlaneMetrics {
  /** Smoothed, milliseconds; null before the first answer. */
  readonly rttMs: number | null;
  /** As the prober counts; null where this plane is not probed. May fall when a target is re-created. */
  readonly probesSent: number | null;
  readonly probesLost: number | null;
  /** Unix seconds, 0 = never; null where the plane has no peer of its own. */
  readonly lastHandshake: number | null;
  /** As the kernel counts; may fall when the peer is re-added. */
  readonly rxBytes: number | null;
  readonly txBytes: number | null;
}

export interface PeerMetrics {
  /** The gateway's name. */
  readonly gateway: string;
  readonly path: Plane | null;
  readonly planes: Readonly<Record<Plane, PlaneMetrics | null>>;
}

const FAMILIES = {
  corax_peer_last_handshake_timestamp_seconds: ['gauge', 'Latest handshake on any plane, 0 = never.'],
  corax_peer_receive_bytes_total: ['counter', 'Bytes received from the peer, on all planes.'],
  corax_peer_transmit_bytes_total: ['counter', 'Bytes sent to the peer, on all planes.'],
  corax_peer_path: ['gauge', '1 for the path that carries traffic, 0 for the other.'],
  corax_peer_rtt_seconds: ['gauge', 'Smoothed round-trip time of the probes on a plane.'],
  corax_peer_probes_sent_total: ['counter', 'Probes sent on a plane.'],
  corax_peer_probes_lost_total: ['counter', 'Probes on a plane that no answer came to.'],
} as const;

type Family = keyof typeof FAMILIES;
type Counted = 'rxBytes' | 'txBytes' | 'probesSent' | 'probesLost';
const COUNTED: readonly Counted[] = ['rxBytes', 'txBytes', 'probesSent', 'probesLost'];

/** Peers rendered before other work gets its turn. */
const SLICE = 500;

export class PeerExposition {
  readonly #counters = new CounterKeeper();
  #known = new Set<string>();

  /** `peers` is one state of all peers; peers that it leaves out are forgotten. */
  async render(peers: readonly PeerMetrics[]): Promise<string> {
    this.#forget(peers);
    const samples = new Map<Family, string>();
    for (let index = 0; index < peers.length; index += SLICE) {
      if (index > 0) await nextTurn();
      for (const peer of peers.slice(index, index + SLICE)) this.#renderPeer(peer, samples);
    }
    return Object.entries(FAMILIES)
      .map(
        ([name, [type, help]]) =>
          `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.get(name as Family) ?? ''}`,
      )
      .join('');
  }

  #forget(peers: readonly PeerMetrics[]): void {
    const current = new Set(peers.map((peer) => peer.gateway));
    for (const gateway of this.#known) {
      if (current.has(gateway)) continue;
      for (const plane of PLANES) for (const what of COUNTED) this.#counters.delete(counterKey(gateway, plane, what));
    }
    this.#known = current;
  }

  #renderPeer(peer: PeerMetrics, samples: Map<Family, string>): void {
    const label = `peer="${escapeLabel(peer.gateway)}"`;
    const add = (family: Family, extra: string, value: number) => {
      samples.set(family, `${samples.get(family) ?? ''}${family}{${label}${extra}} ${formatValue(value)}\n`);
    };
    const handshakes: number[] = [];
    const bytes = { rxBytes: 0, txBytes: 0 };
    let counted = false;
    for (const plane of PLANES) {
      const extra = `,plane="${plane}"`;
      const metrics = peer.planes[plane];
      if (metrics?.lastHandshake != null) handshakes.push(metrics.lastHandshake);
      for (const direction of ['rxBytes', 'txBytes'] as const) {
        const key = counterKey(peer.gateway, plane, direction);
        const kernel = metrics?.[direction] ?? null;
        // A plane that is taken down keeps what it carried: the sum must not fall
        bytes[direction] += kernel === null ? this.#counters.value(key) : this.#counters.update(key, kernel);
        counted ||= kernel !== null;
      }
      add('corax_peer_path', `,path="${plane}"`, peer.path === plane ? 1 : 0);
      if (metrics === null) continue;
      if (metrics.rttMs !== null) add('corax_peer_rtt_seconds', extra, metrics.rttMs / 1000);
      for (const [what, family] of [
        ['probesSent', 'corax_peer_probes_sent_total'],
        ['probesLost', 'corax_peer_probes_lost_total'],
      ] as const) {
        const value = metrics[what];
        if (value === null) continue;
        add(family, extra, this.#counters.update(counterKey(peer.gateway, plane, what), value));
      }
    }
    if (handshakes.length > 0) add('corax_peer_last_handshake_timestamp_seconds', '', Math.max(...handshakes));
    if (counted || bytes.rxBytes + bytes.txBytes > 0) {
      add('corax_peer_receive_bytes_total', '', bytes.rxBytes);
      add('corax_peer_transmit_bytes_total', '', bytes.txBytes);
    }
  }
}

function counterKey(gateway: string, plane: Plane, what: Counted): string {
  return `${plane} ${what} ${gateway}`;
}

export function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (char) => (char === '\n' ? '\\n' : `\\${char}`));
}

function formatValue(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}
