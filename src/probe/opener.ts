/** Openings through hard NATs, over the engine: messages between agents, fans of sockets, sprays of probes. */
import type { Ip } from '../model/address.js';
import { RENDEZVOUS_PORT, TUNNEL_FWMARK, TUNNEL_PORT } from '../model/names.js';
import { type OpeningDeed, type OpeningToken, openingId, type RendezvousMessage } from '../model/opening.js';
import type { Engine, NativeEvent } from '../native.js';
import { encodeMessage, parseMessage } from './rendezvous-codec.js';

/** Where this node's messages come from and go to; null: nowhere. */
export interface RendezvousPlace {
  readonly device: string;
  readonly address: Ip;
}

export class Opener {
  readonly #engine: Engine;
  readonly #sample: (token: OpeningToken) => void;

  /** @param sample begins to ask where the own NAT's ports stand; whoever began it hears of it later */
  constructor(engine: Engine, sample: (token: OpeningToken) => void) {
    this.#engine = engine;
    this.#sample = sample;
  }

  /** Again and again: a device that was made anew is another. */
  async open(place: RendezvousPlace | null): Promise<void> {
    await this.#engine.rendezvousOpen(place === null ? null : { ...place, port: RENDEZVOUS_PORT });
  }

  /** One result a deed, in their order. */
  async apply(deeds: readonly OpeningDeed[]): Promise<Array<Error | null>> {
    const results: Array<Error | null> = [];
    for (const deed of deeds) {
      results.push(await this.#do(deed).catch((error) => (error instanceof Error ? error : new Error(String(error)))));
    }
    return results;
  }

  async #do(deed: OpeningDeed): Promise<Error | null> {
    switch (deed.op) {
      case 'say': {
        const payload = encodeMessage(deed.message);
        const [failure] = await this.#engine.rendezvousSend([{ address: deed.to, payload }]);
        return failure ?? null;
      }
      case 'fan': {
        const { token, to, sockets, ttl, lifeMs } = deed;
        const place = { address: to.ip, port: to.port };
        await this.#engine.fanOpen({ ...known(token), ...place, sockets, ttl, fwmark: TUNNEL_FWMARK, lifeMs });
        return null;
      }
      case 'spray': {
        const { token, to, ports, count } = deed;
        await this.#engine.sprayStart({ ...known(token), sourcePort: TUNNEL_PORT, address: to, ...ports, count });
        return null;
      }
      case 'sample':
        this.#sample(deed.token);
        return null;
      case 'end-opening':
        await this.#engine.openingEnd(openingId(deed.token));
        return null;
    }
  }
}

/** Who says what; null for what is no message. */
export function saidIn(event: Extract<NativeEvent, { type: 'rendezvous' }>): RendezvousMessage | null {
  return parseMessage(event.payload);
}

function known(token: string): { id: number; token: Uint8Array } {
  return { id: openingId(token), token: Uint8Array.from(Buffer.from(token, 'hex')) };
}
