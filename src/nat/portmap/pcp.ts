/** A mapping by PCP (RFC 6887). */
import { Epoch, pcpEpochIsValid } from './epoch.js';
import { type Answer, type Ask, ask, doubling } from './exchange.js';
import { announceRequest, mapRequest, type PcpAnswer, parsePcpAnswer } from './pcp-codec.js';
import { type MapOutcome, type MappingClient, ROUTER_PORT, type RouterLink, type Wish } from './protocol.js';

/** Seconds: a router that dies unheard, or a node, leaves no hole behind for longer. */
const LIFETIME_S = 3600;
/** RFC 6887 8.1.1: the first retransmission after 3 s ± a tenth, then twice as long. Others are tried after three. */
const FIRST_WAIT_MS = 3000;
const TRIES = 3;
/** Who stops does not wait for long. */
const RELEASE_WAIT_MS = 1000;
const CHECK_EVERY_MS = 20_000;

export interface PcpOptions extends RouterLink {
  /** Kept for as long as the node wants its mapping: only who knows it may change the mapping (RFC 6887 11.3). */
  readonly nonce: Uint8Array;
  readonly ask?: Ask;
}

export class PcpClient implements MappingClient {
  readonly name = 'pcp';
  readonly atRouterPort = true;
  readonly checkEveryMs = CHECK_EVERY_MS;
  readonly #options: PcpOptions;
  readonly #ask: Ask;
  readonly #epoch = new Epoch(pcpEpochIsValid);

  constructor(options: PcpOptions) {
    this.#options = options;
    this.#ask = options.ask ?? ask;
  }

  async map(wish: Wish, signal: AbortSignal): Promise<MapOutcome> {
    const answer = await this.#request(wish, LIFETIME_S, TRIES, signal);
    if (answer.kind === 'closed') return { kind: 'unsupported', closed: true };
    if (answer.kind === 'silent') return { kind: 'silent' };
    const { value } = answer;
    if (value.kind === 'other-version') return NOT_SPOKEN;
    if (value.kind === 'announce') return { kind: 'silent' };
    this.#observe(value.epoch);
    if (value.kind === 'error') {
      return UNSUPPORTED.has(value.name) ? NOT_SPOKEN : { kind: 'refused', reason: value.name };
    }
    if (value.lifetime === 0) return { kind: 'refused', reason: 'a lifetime of 0' };
    return { kind: 'granted', external: value.external, lifetimeS: value.lifetime };
  }

  async check(_wish: Wish, signal: AbortSignal): Promise<'kept' | 'lost' | 'silent'> {
    const answer = await this.#ask({
      ...this.#address(signal),
      request: announceRequest,
      parse: (bytes) => {
        const found = parsePcpAnswer(bytes);
        return found !== null && 'epoch' in found && !('nonce' in found && found.nonce !== null) ? found.epoch : null;
      },
      waitsMs: doubling(FIRST_WAIT_MS, TRIES),
    });
    if (answer.kind !== 'answered') return 'silent';
    return this.#observe(answer.value) ? 'kept' : 'lost';
  }

  async release(wish: Wish): Promise<void> {
    await this.#request(wish, 0, 1, undefined, RELEASE_WAIT_MS);
  }

  announced(bytes: Uint8Array): boolean {
    const found = parsePcpAnswer(bytes);
    return found?.kind === 'announce' && !this.#observe(found.epoch);
  }

  /** RFC 6887 11.4: an answer belongs to a request by internal port, protocol and nonce. */
  #request(
    wish: Wish,
    lifetime: number,
    tries: number,
    signal: AbortSignal | undefined,
    firstWaitMs = FIRST_WAIT_MS,
  ): Promise<Answer<PcpAnswer>> {
    const { nonce } = this.#options;
    const { internalPort, externalPort } = wish;
    return this.#ask({
      ...this.#address(signal),
      request: (client) =>
        mapRequest({ client, nonce, internalPort, lifetime, suggested: { ip: null, port: externalPort } }),
      parse: (bytes) => {
        const found = parsePcpAnswer(bytes);
        if (found === null || found.kind === 'announce') return null;
        if (found.kind === 'other-version') return found;
        if (found.kind === 'error') {
          return found.of === 'map' && (found.nonce === null || same(found.nonce, nonce)) ? found : null;
        }
        return same(found.nonce, nonce) && found.internalPort === internalPort ? found : null;
      },
      waitsMs: doubling(firstWaitMs, tries),
    });
  }

  #address(signal: AbortSignal | undefined) {
    return { router: this.#options.router, port: ROUTER_PORT, signal };
  }

  #observe(epoch: number): boolean {
    return this.#epoch.observe(epoch, this.#options.now() / 1000);
  }
}

const NOT_SPOKEN: MapOutcome = { kind: 'unsupported', closed: false };
const UNSUPPORTED: ReadonlySet<string> = new Set(['UNSUPP_VERSION', 'UNSUPP_OPCODE', 'UNSUPP_PROTOCOL']);

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
