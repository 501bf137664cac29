/** A mapping by UPnP's Internet Gateway Device (WANIPConnection:1 and :2). */
import { isIpv4, isPort, isUnicast, parseIp } from '../../model/address.js';
import { type Fetch, fetchFromRouter } from './http.js';
import { DYNAMIC_PORTS, type MapOutcome, type MappingClient, type RouterLink, type Wish } from './protocol.js';
import { type Discover, discoverIgd, routerUrl } from './ssdp.js';
import { type ActionAnswer, actionRequest, parseActionAnswer, parseDescription } from './upnp-xml.js';

const LIFETIME_S = 3600;
/** There is no epoch: the router is asked for the entry itself. */
const CHECK_EVERY_MS = 30_000;
/** Outside ports that are tried when another node has the first. */
const PORTS = 4;

/** WANIPConnection:2, 2.5.16 to 2.5.18 */
const NO_SUCH_ENTRY = 714;
const CONFLICT = 718;
const ONLY_PERMANENT = 725;

export interface UpnpOptions extends RouterLink {
  /** Of this node, toward the router: whom the router is to send to. */
  readonly ownAddress: () => Promise<string | null>;
  readonly discover?: Discover;
  readonly fetch?: Fetch;
}

interface Service {
  readonly type: string;
  readonly control: URL;
}

export class UpnpClient implements MappingClient {
  readonly name = 'upnp';
  readonly atRouterPort = false;
  readonly checkEveryMs = CHECK_EVERY_MS;
  readonly #options: UpnpOptions;
  readonly #discover: Discover;
  readonly #fetch: Fetch;
  #service: Service | null = null;
  /** The outside port that was granted; 0: none. */
  #port = 0;

  constructor(options: UpnpOptions) {
    this.#options = options;
    this.#discover = options.discover ?? discoverIgd;
    this.#fetch = options.fetch ?? fetchFromRouter;
  }

  async map(wish: Wish, signal: AbortSignal): Promise<MapOutcome> {
    const own = await this.#options.ownAddress();
    const address = await this.#action('GetExternalIPAddress', [], signal);
    if (own === null || address === null) return { kind: 'silent' };
    if (address.kind === 'fault') return refusal(address);
    const ip = parseIp(address.values.get('NewExternalIPAddress') ?? '');
    if (ip === null || !isIpv4(ip) || !isUnicast(ip)) return { kind: 'refused', reason: 'no outside address' };
    let refused: ActionAnswer | null = null;
    for (let turn = 0; turn < PORTS; turn += 1) {
      const port = anotherPort(wish.externalPort, turn);
      refused = await this.#add({ ...wish, externalPort: port }, own, signal);
      if (refused === null) return { kind: 'silent' };
      if (refused.kind === 'done') {
        this.#port = port;
        return { kind: 'granted', external: { ip, port }, lifetimeS: LIFETIME_S };
      }
      if (refused.code !== CONFLICT) break;
    }
    return refused?.kind === 'fault' ? refusal(refused) : { kind: 'silent' };
  }

  async check({ internalPort }: Wish, signal: AbortSignal): Promise<'kept' | 'lost' | 'silent'> {
    const entry = await this.#action('GetSpecificPortMappingEntry', key(this.#port), signal);
    if (entry === null) return 'silent';
    if (entry.kind === 'fault') return entry.code === NO_SUCH_ENTRY ? 'lost' : 'silent';
    const own = await this.#options.ownAddress();
    const [client, port] = [entry.values.get('NewInternalClient'), entry.values.get('NewInternalPort')];
    return client === own && port === String(internalPort) ? 'kept' : 'lost';
  }

  async release(): Promise<void> {
    if (isPort(this.#port)) await this.#action('DeletePortMapping', key(this.#port), undefined);
    this.#port = 0;
  }

  announced(): boolean {
    return false;
  }

  /** Some routers grant what lasts for ever, and nothing else: it is renewed and taken back all the same. */
  async #add(wish: Wish, own: string, signal: AbortSignal): Promise<ActionAnswer | null> {
    const values = (lifetime: number) =>
      [
        ...key(wish.externalPort),
        ['NewInternalPort', String(wish.internalPort)],
        ['NewInternalClient', own],
        ['NewEnabled', '1'],
        ['NewPortMappingDescription', 'corax'],
        ['NewLeaseDuration', String(lifetime)],
      ] as const;
    const answer = await this.#action('AddPortMapping', values(LIFETIME_S), signal);
    if (answer?.kind !== 'fault' || answer.code !== ONLY_PERMANENT) return answer;
    return this.#action('AddPortMapping', values(0), signal);
  }

  /** A router that started anew may have its description elsewhere: it is looked for once more. */
  async #action(
    action: string,
    values: ReadonlyArray<readonly [string, string]>,
    signal: AbortSignal | undefined,
  ): Promise<ActionAnswer | null> {
    const known = this.#service;
    if (known !== null) {
      const answer = await this.#call(known, action, values, signal);
      if (answer !== null) return answer;
    }
    this.#service = await this.#find(signal ?? AbortSignal.timeout(5000));
    return this.#service === null ? null : this.#call(this.#service, action, values, signal);
  }

  async #find(signal: AbortSignal): Promise<Service | null> {
    const { router } = this.#options;
    const location = await this.#discover(router, signal);
    const description = location === null ? null : await this.#fetch({ url: location, signal });
    if (location === null || description?.status !== 200) return null;
    const service = parseDescription(description.body);
    const control = service === null ? null : routerUrl(service.controlUrl, router, location);
    return service === null || control === null ? null : { type: service.type, control };
  }

  async #call(
    { type, control }: Service,
    action: string,
    values: ReadonlyArray<readonly [string, string]>,
    signal: AbortSignal | undefined,
  ): Promise<ActionAnswer | null> {
    const headers = { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` };
    const body = actionRequest(type, action, values);
    const answer = await this.#fetch({ url: control, headers, body, signal });
    return answer === null ? null : parseActionAnswer(answer.body, action);
  }
}

/** What names a mapping. */
function key(externalPort: number): ReadonlyArray<readonly [string, string]> {
  return [
    ['NewRemoteHost', ''],
    ['NewExternalPort', String(externalPort)],
    ['NewProtocol', 'UDP'],
  ];
}

function refusal(fault: ActionAnswer & { kind: 'fault' }): MapOutcome {
  return { kind: 'refused', reason: `error ${fault.code} ${fault.description}`.trim() };
}

/** Spread over the dynamic ports, so that nodes that clash once do not clash again. */
function anotherPort(wished: number, turn: number): number {
  if (turn === 0) return wished;
  const { first, count } = DYNAMIC_PORTS;
  return first + ((wished + turn * 4099) % count);
}
