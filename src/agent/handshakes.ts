/** What WireGuard's handshakes, seen on the wire, say of the remotes. */
import type { HostPort, Ip } from '../model/address.js';
import { DIRECT_PORT, PLANES, TUNNEL_PORT } from '../model/names.js';
import type { Engine, NativeEvent } from '../native.js';
import type { TunnelDriver } from '../tunnel/driver.js';
import type { Remote, Remotes } from './remotes.js';

export interface HandshakeEvents {
  /** A handshake of this node with the remote was answered; milliseconds. */
  readonly answered: (remote: Remote, rttMs: number) => void;
  /** The kernel took the answer, or threw it away: the other end has another pre-shared key. */
  readonly ended: (remote: Remote, result: 'completed' | 'refused') => void;
}

/** So many wait for the look at the peers that tells whose they are; what is beyond is of little worth. */
const MOST_UNKNOWN = 64;
/** By then the kernel has dealt with an answer, and its peer was looked at. */
const SETTLED_MS = 2_000;
/** The kernel's time of a handshake may lie so much before the event of its answer. */
const SLACK_MS = 3_000;

type Answer = Extract<NativeEvent, { type: 'handshake' }>;

/** On the uplink; only WireGuard's are known by their looks. Rejects where no packet socket can be had. */
export async function tapHandshakes(
  engine: Pick<Engine, 'handshakeTap'>,
  driver: TunnelDriver['name'],
  device: string | null,
): Promise<void> {
  if (driver !== 'wireguard') return;
  await engine.handshakeTap(device === null ? null : { device, ports: [TUNNEL_PORT, DIRECT_PORT] });
}

export class Handshakes {
  readonly #remotes: Remotes;
  readonly #events: HandshakeEvents;
  #unknown: Answer[] = [];
  /** When the latest answer came, of those whose end is not known; by gateway. */
  readonly #open = new Map<string, { readonly remote: Remote; readonly at: number }>();

  constructor(remotes: Remotes, events: HandshakeEvents) {
    this.#remotes = remotes;
    this.#events = events;
  }

  /** @param now Unix milliseconds, as the kernel's handshake times are */
  answered(event: Answer, now: number): void {
    if (!this.#take(event, now) && this.#unknown.length < MOST_UNKNOWN) this.#unknown.push(event);
  }

  /** The peers were looked at: some may be where they were not known to be. */
  looked(now: number): void {
    const unknown = this.#unknown;
    this.#unknown = [];
    for (const event of unknown) this.#take(event, now);
    for (const [name, { remote, at }] of this.#open) {
      if (now - at < SETTLED_MS) continue;
      this.#open.delete(name);
      if (this.#remotes.get(name) !== remote) continue;
      const peers = PLANES.flatMap((plane) => remote.facts[plane].peer ?? []);
      if (peers.length === 0) continue;
      const latest = Math.max(...peers.map((peer) => peer.lastHandshake)) * 1000;
      this.#events.ended(remote, latest >= at - SLACK_MS ? 'completed' : 'refused');
    }
  }

  #take({ address, port, rttMs }: Answer, now: number): boolean {
    const at: HostPort = { ip: address as Ip, port };
    const remote = this.#remotes.withEndpoint(at);
    if (remote === undefined) return false;
    this.#events.answered(remote, rttMs);
    this.#open.set(remote.gateway.name, { remote, at: now });
    return true;
  }
}
