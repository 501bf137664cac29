/** Where this node's agent and those of the remotes talk to each other, and who is told of what is heard there. */
import type { Ip } from '../model/address.js';
import type { SiteFacts } from '../model/facts.js';
import type { OpeningEvent } from '../model/opening.js';
import type { NativeEvent } from '../native.js';
import { type Opener, type RendezvousPlace, saidIn } from '../probe/opener.js';
import type { Openings } from './openings.js';
import type { Remotes } from './remotes.js';
import type { World } from './world.js';

export interface RendezvousParts {
  readonly opener: Opener;
  readonly openings: Openings;
  readonly remotes: Remotes;
  readonly world: World;
  readonly mark: (owner: string) => void;
  readonly failed: (what: string, error: unknown) => void;
  readonly worked: (what: string) => void;
}

type OpeningsEvent = Extract<NativeEvent, { type: 'rendezvous' | 'fan' | 'spray' }>;

export function isOpenings(event: NativeEvent): event is OpeningsEvent {
  return event.type === 'rendezvous' || event.type === 'fan' || event.type === 'spray';
}

export class Rendezvous {
  readonly #parts: RendezvousParts;

  constructor(parts: RendezvousParts) {
    this.#parts = parts;
  }

  /** On the relay plane's device; until that and the address are there, there is nothing to open. */
  async open(site: SiteFacts): Promise<void> {
    const { opener, failed, worked } = this.#parts;
    await opener.open(this.#placeOf(site)).then(
      () => worked('rendezvous'),
      (error: unknown) => failed('rendezvous', error),
    );
  }

  #placeOf({ role, driver, probeAddress: address }: SiteFacts): RendezvousPlace | null {
    const { devices, observed } = this.#parts.world;
    const device = devices.relay;
    const stands = observed.has(`device ${device}`) && observed.has(`address ${device} ${address}`);
    return role === 'edge' && driver === 'wireguard' && address !== null && stands ? { device, address } : null;
  }

  /** Where the NAT's ports stand, for the opening that asked. */
  sampled(event: Extract<OpeningEvent, { type: 'sample' }>): void {
    this.#told(this.#parts.openings.sampled(event));
  }

  #told(name: string | undefined): void {
    if (name !== undefined) this.#parts.mark(name);
  }

  /**
   * A message counts where it comes from a known remote's probe address: who says that it is from there is behind the
   * tunnel, whose cryptokey routing holds senders to their own addresses.
   */
  hear(event: OpeningsEvent, { role }: SiteFacts): void {
    const { openings, remotes, mark } = this.#parts;
    if (event.type !== 'rendezvous') {
      this.#told(openings.ended(event));
      return;
    }
    const remote = remotes.withProbeAddress(event.address as Ip);
    const message = saidIn(event);
    if (remote === undefined || message === null || role !== 'edge') return;
    if (openings.hear(remote, message)) mark(remote.gateway.name);
  }
}
