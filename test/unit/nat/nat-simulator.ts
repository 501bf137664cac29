/** A STUN server behind a NAT that gives out ports by rule and forgets idle mappings, on a clock of its own. */
import type { HostPort, Ip } from '#src/model/address.js';
import { decodeMessage, encodeMessage } from '#src/nat/codec.js';
import type { OnDatagram, OpenUdp } from '#src/nat/udp.js';
import { ip } from './stun-server.js';

export interface SimulatedNat {
  /** The public port of a new mapping. */
  readonly nextPort: (localPort: number) => number;
  readonly addresses?: readonly Ip[];
  /** RFC 4787 4.1 */
  readonly symmetric?: boolean;
  /** Of idle mappings; never. */
  readonly timeoutMs?: number;
  /** The server honours RESPONSE-PORT (RFC 5780 7.5). */
  readonly responsePort?: boolean;
}

interface Mapping {
  readonly outside: HostPort;
  readonly inward: OnDatagram;
  readonly server: string;
  usedAt: number;
}

export const SERVER: HostPort = { ip: ip('198.51.100.1'), port: 3478 };
export const SECOND: HostPort = { ip: ip('198.51.100.2'), port: 3479 };

export class NatSimulator {
  readonly #nat: SimulatedNat;
  readonly #mappings = new Map<string, Mapping>();
  #made = 0;
  #nextLocal = 30_000;
  now = 0;
  /** Requests that reached the NAT. */
  sent = 0;
  opened = 0;
  closed = 0;
  /** Nothing gets through any more. */
  down = false;
  /** This node's firewall, with a time-out of its own for what it let out. */
  firewallMs = Number.POSITIVE_INFINITY;
  readonly taps = new Set<OnDatagram>();

  constructor(nat: SimulatedNat) {
    this.#nat = nat;
  }

  readonly sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    this.now += ms;
  };

  readonly open: OpenUdp = async (_bindAddress, onDatagram) => {
    this.#nextLocal += 7;
    const localPort = this.#nextLocal;
    this.opened += 1;
    let spokeAt = Number.NEGATIVE_INFINITY;
    const inward: OnDatagram = (bytes, from) => {
      for (const tap of this.taps) tap(bytes, from);
      if (this.now - spokeAt < this.firewallMs) onDatagram(bytes, from);
    };
    const send = async (bytes: Uint8Array, to: HostPort) => {
      this.sent += 1;
      spokeAt = this.now;
      if (!this.down) this.#answer(bytes, this.#mappingOf(localPort, to, inward), to);
    };
    let isOpen = true;
    const close = () => {
      if (isOpen) this.closed += 1;
      isOpen = false;
    };
    return { localPort, send, close };
  };

  #isAlive({ usedAt }: Mapping): boolean {
    return this.now - usedAt < (this.#nat.timeoutMs ?? Number.POSITIVE_INFINITY);
  }

  #mappingOf(localPort: number, to: HostPort, inward: OnDatagram): Mapping {
    const server = `${to.ip}:${to.port}`;
    const key = this.#nat.symmetric ? `${localPort} ${server}` : `${localPort}`;
    const known = this.#mappings.get(key);
    if (known !== undefined && this.#isAlive(known)) {
      known.usedAt = this.now;
      return known;
    }
    const { addresses = [ip('203.0.113.10')], nextPort } = this.#nat;
    const address = addresses[this.#made++ % addresses.length] as Ip;
    const mapping = { outside: { ip: address, port: nextPort(localPort) }, inward, server, usedAt: this.now };
    this.#mappings.set(key, mapping);
    return mapping;
  }

  #answer(bytes: Uint8Array, { outside }: Mapping, from: HostPort): void {
    const request = decodeMessage(bytes);
    if (request?.kind !== 'request') return;
    const answer = { kind: 'success', transactionId: request.transactionId, xorMappedAddress: outside } as const;
    const port = this.#nat.responsePort ? (request.responsePort ?? outside.port) : outside.port;
    const target = [...this.#mappings.values()].find((each) => {
      return each.outside.ip === outside.ip && each.outside.port === port && this.#isAlive(each);
    });
    // After the sender's own turn, as from a network.
    queueMicrotask(() => target?.inward(encodeMessage(answer), from));
  }
}
