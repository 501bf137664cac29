/** A mapping by NAT-PMP (RFC 6886). */
import { Epoch, natPmpEpochIsValid } from './epoch.js';
import { type Answer, type Ask, ask, doubling } from './exchange.js';
import { addressRequest, type NatPmpAnswer, natPmpMapRequest, parseNatPmpAnswer } from './nat-pmp-codec.js';
import { type MapOutcome, type MappingClient, ROUTER_PORT, type RouterLink, type Wish } from './protocol.js';

/** RFC 6886 3.3 recommends 7,200 s; half of that halves what an agent that was killed leaves behind. */
const LIFETIME_S = 3600;
/** RFC 6886 3.1: 250 ms, then twice as long; after six others are tried. */
const FIRST_WAIT_MS = 250;
const TRIES = 6;
const CHECK_EVERY_MS = 20_000;

export interface NatPmpOptions extends RouterLink {
  readonly ask?: Ask;
}

export class NatPmpClient implements MappingClient {
  readonly name = 'nat-pmp';
  readonly atRouterPort = true;
  readonly checkEveryMs = CHECK_EVERY_MS;
  readonly #options: NatPmpOptions;
  readonly #ask: Ask;
  readonly #epoch = new Epoch(natPmpEpochIsValid);

  constructor(options: NatPmpOptions) {
    this.#options = options;
    this.#ask = options.ask ?? ask;
  }

  async map({ internalPort, externalPort }: Wish, signal: AbortSignal): Promise<MapOutcome> {
    const address = await this.#request('address', addressRequest(), signal);
    if (address.kind !== 'answered') return noAnswer(address);
    const refusal = this.#refusal(address.value);
    if (refusal !== null) return refusal;
    const request = natPmpMapRequest(internalPort, externalPort, LIFETIME_S);
    const answer = await this.#request('map', request, signal, internalPort);
    if (answer.kind !== 'answered') return noAnswer(answer);
    const { value } = answer;
    const refused = this.#refusal(value);
    if (refused !== null) return refused;
    if (address.value.kind !== 'address' || value.kind !== 'map') return { kind: 'silent' };
    if (value.lifetime === 0) return { kind: 'refused', reason: 'a lifetime of 0' };
    const external = { ip: address.value.ip, port: value.externalPort };
    return { kind: 'granted', external, lifetimeS: value.lifetime };
  }

  /** RFC 6886 3.2: asking for the address changes nothing, and tells the epoch. */
  async check(_wish: Wish, signal: AbortSignal): Promise<'kept' | 'lost' | 'silent'> {
    const answer = await this.#request('address', addressRequest(), signal);
    if (answer.kind !== 'answered') return 'silent';
    return this.#observe(answer.value.epoch) ? 'kept' : 'lost';
  }

  async release({ internalPort }: Wish): Promise<void> {
    await this.#request('map', natPmpMapRequest(internalPort, 0, 0), undefined, internalPort, 2);
  }

  announced(bytes: Uint8Array): boolean {
    const found = parseNatPmpAnswer(bytes);
    return found?.kind === 'address' && !this.#observe(found.epoch);
  }

  #request(
    of: 'address' | 'map',
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    internalPort: number | null = null,
    tries = TRIES,
  ): Promise<Answer<NatPmpAnswer>> {
    return this.#ask({
      router: this.#options.router,
      port: ROUTER_PORT,
      signal,
      request: () => bytes,
      parse: (answer) => {
        const found = parseNatPmpAnswer(answer);
        if (found === null) return null;
        if (found.kind === 'error') return found.of === of ? found : null;
        return found.kind === of && (found.kind !== 'map' || found.internalPort === internalPort) ? found : null;
      },
      waitsMs: doubling(FIRST_WAIT_MS, tries),
    });
  }

  /** Null where it is none. The epoch is taken from whatever was said. */
  #refusal(answer: NatPmpAnswer): MapOutcome | null {
    this.#observe(answer.epoch);
    if (answer.kind !== 'error') return null;
    return answer.name === 'Unsupported Version' || answer.name === 'Unsupported opcode'
      ? { kind: 'unsupported', closed: false }
      : { kind: 'refused', reason: answer.name };
  }

  #observe(epoch: number): boolean {
    return this.#epoch.observe(epoch, this.#options.now() / 1000);
  }
}

function noAnswer({ kind }: Answer<NatPmpAnswer>): MapOutcome {
  return kind === 'closed' ? { kind: 'unsupported', closed: true } : { kind: 'silent' };
}
