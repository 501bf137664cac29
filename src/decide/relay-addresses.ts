import { hostPrefix, type Ip, type Prefix } from '../model/address.js';
import type { Gateway } from '../model/gateway.js';
import { PrefixIndex } from './prefix-index.js';
import { relayOf } from './relations.js';

/** Who is a relay, by address; several may share one behind one NAT. */
export class RelayAddresses {
  readonly #names = new Map<Ip, string[]>();
  readonly #index = new PrefixIndex();

  add(gateway: Gateway): void {
    const ip = relayOf(gateway)?.address.ip;
    if (ip === undefined) return;
    this.#names.set(ip, [...(this.#names.get(ip) ?? []), gateway.name]);
    this.#index.add(hostPrefix(ip), ip);
  }

  delete(gateway: Gateway): void {
    const ip = relayOf(gateway)?.address.ip;
    if (ip === undefined) return;
    const names = (this.#names.get(ip) ?? []).filter((name) => name !== gateway.name);
    if (names.length > 0) {
      this.#names.set(ip, names);
      return;
    }
    this.#names.delete(ip);
    this.#index.delete(hostPrefix(ip));
  }

  at(ip: Ip): readonly string[] {
    return this.#names.get(ip) ?? [];
  }

  within(prefix: Prefix): { readonly address: Ip; readonly names: readonly string[] } | null {
    const address = this.#index.holderOf(prefix) as Ip | null;
    return address === null ? null : { address, names: this.#names.get(address) ?? [] };
  }

  coveredBy(gateway: Gateway): Ip | null {
    for (const prefix of gateway.subnets) {
      const relay = this.within(prefix);
      if (relay !== null) return relay.address;
    }
    return null;
  }
}
