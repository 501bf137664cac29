/**
 * The hole by STUN: where the tunnel's own port is seen from outside. The kernel's tunnel holds that port,
 * so requests leave and answers arrive through the engine's raw socket (rawSend, 'raw' events).
 */
import type { HostPort } from '../model/address.js';
import type { RawPacket } from '../native.js';
import { type BindingOutcome, RFC_8489, StunClient } from './client.js';
import { hearRaw } from './tap.js';
import type { OpenUdp } from './udp.js';

export interface RawLink {
  /** Resolves to the kernel's error, or null: for example `async (p) => (await engine.rawSend([p]))[0] ?? null`. */
  readonly send: (packet: RawPacket) => Promise<Error | null>;
  /** Calls back for every 'raw' event until the returned function is called. */
  readonly onRaw: (listener: (packet: RawAnswer) => void) => () => void;
}

/** The part of a 'raw' event that counts. */
export interface RawAnswer {
  readonly address: string;
  readonly port: number;
  readonly payload: Uint8Array;
}

export interface HoleProbeOptions {
  /** The tunnel's port, 4500. */
  readonly sourcePort: number;
  /** IP TTL, 64. */
  readonly ttl?: number;
  readonly rtoMs?: number;
}

export interface AskOptions {
  /** Milliseconds for all retransmissions; 5,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Answered: `mapped` is the hole. Aborted counts as unanswered. */
export type HoleOutcome = BindingOutcome;

export class HoleProbe {
  readonly #link: RawLink;
  readonly #options: HoleProbeOptions;

  constructor(link: RawLink, options: HoleProbeOptions) {
    this.#link = link;
    this.#options = options;
  }

  /** Asks one server for the hole. Several may be asked at a time. Never rejects. */
  async ask(server: HostPort, { timeoutMs = 5000, signal }: AskOptions = {}): Promise<HoleOutcome> {
    const client = await StunClient.open(this.#open, null);
    const close = () => client.close();
    signal?.addEventListener('abort', close, { once: true });
    if (signal?.aborted) close();
    try {
      const retransmission = { ...RFC_8489, rtoMs: this.#options.rtoMs ?? RFC_8489.rtoMs };
      return await client.ask({ to: server, retransmission, deadline: performance.now() + timeoutMs });
    } finally {
      signal?.removeEventListener('abort', close);
      close();
    }
  }

  readonly #open: OpenUdp = async (_bindAddress, onDatagram) => {
    const { sourcePort, ttl = 64 } = this.#options;
    const close = hearRaw(this.#link.onRaw, onDatagram);
    const send = async (payload: Uint8Array, to: HostPort) => {
      const error = await this.#link.send({ sourcePort, address: to.ip, port: to.port, ttl, payload });
      if (error !== null) throw error;
    };
    return { localPort: sourcePort, send, close };
  };
}
