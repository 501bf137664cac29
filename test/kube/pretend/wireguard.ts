/**
 * Stands for src/tunnel/wireguard.ts in a built agent where the kernel has no WireGuard: the devices are veths whose
 * other ends lie where CORAX_PRETEND_BEYOND (a process) is, peers are only remembered, and all of them are alive.
 * Everything else of the agent is what is shipped. What it spares: reading peers out of the kernel, which
 * docs/results has figures of.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { HostPort } from '#src/model/address.js';
import { type DeviceItem, type Item, keyOf } from '#src/model/item.js';
import type { PublicKey } from '#src/model/key.js';
import { DEVICES, PLANES, type Plane } from '#src/model/names.js';
import type { Engine } from '#src/native.js';
import type { PeerUpdate, PlaneReading, TunnelDriver, TunnelStep } from '#src/tunnel/driver.js';
import type { Deed, Reply } from './deeds.js';
import { TurnMeter } from './turn-meter.js';

const beyond = process.env.CORAX_PRETEND_BEYOND ?? '';
/** Both ends of a link without ARP send to their own address. */
const MAC = '02:00:00:00:00:01';
/** As WireGuard has them: keepalives, and handshakes of sessions that are used (REKEY_AFTER_TIME). */
const KEEPALIVE_S = 5;
const REKEY_S = 120;
const KEEPALIVE_BYTES = 32;

interface Peer {
  readonly key: PublicKey;
  readonly number: number;
  endpoint: HostPort | null;
  lastHandshake: number;
  bytes: number;
  news: boolean;
}

let meter: TurnMeter | null = null;
const execute = promisify(execFile);

export class WireguardDriver implements TunnelDriver {
  readonly name = 'wireguard';
  readonly #engine: Engine;
  readonly #peers: Record<Plane, Map<PublicKey, Peer>> = { relay: new Map(), direct: new Map() };
  readonly #gone: Record<Plane, PublicKey[]> = { relay: [], direct: [] };
  #polls = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    process.on('message', (deed: Deed) => this.#do(deed));
    process.channel?.unref();
  }

  /** Comes before the first Gateway, and after all programs are loaded. */
  async observe(): Promise<Item[]> {
    meter = new TurnMeter();
    return [];
  }

  async apply(steps: readonly TunnelStep[]): Promise<Array<Error | null>> {
    const results: Array<Error | null> = [];
    for (const step of steps) results.push(await this.#applyOne(step));
    return results;
  }

  async poll({ plane }: DeviceItem): Promise<PlaneReading> {
    this.#polls += 1;
    const now = Math.floor(Date.now() / 1000);
    return { altered: false, peers: this.#changed(plane, now) };
  }

  async isUp({ name, mtu }: DeviceItem): Promise<boolean> {
    const link = (await this.#engine.links()).find((candidate) => candidate.name === name);
    return link === undefined || (link.up && link.mtu === mtu);
  }

  async destroy(): Promise<void> {
    for (const plane of PLANES) await execute('ip', ['link', 'delete', DEVICES[plane]]);
  }

  async #applyOne(step: TunnelStep): Promise<Error | null> {
    if (!('item' in step)) return null;
    const { item, op } = step;
    if (item.kind === 'device') return op === 'put' ? this.#setUp(item) : new Error(`${keyOf(item)} stays`);
    if (item.kind === 'carry') return null;
    const peers = this.#peers[item.plane];
    if (op === 'delete') {
      if (peers.delete(item.key)) this.#gone[item.plane].push(item.key);
    } else if (!peers.has(item.key)) {
      const lastHandshake = Math.floor(Date.now() / 1000);
      const { key, endpoint } = item;
      peers.set(key, { key, number: peers.size, endpoint, lastHandshake, bytes: 1000, news: true });
    }
    return null;
  }

  async #setUp({ name, mtu }: DeviceItem): Promise<Error | null> {
    const other = ['peer', 'name', `${name}-end`, 'address', MAC, 'netns', beyond];
    await execute('ip', ['link', 'add', name, 'address', MAC, 'arp', 'off', 'type', 'veth', ...other]);
    const inside = (...words: string[]) => execute('nsenter', ['-t', beyond, '-n', 'ip', ...words]);
    await inside('link', 'set', `${name}-end`, 'arp', 'off', 'up');
    await inside('route', 'replace', 'default', 'dev', `${name}-end`);
    const up = { op: 'link-set', name, mtu, rpFilter: 2, forwarding: true, up: true } as const;
    const [failure = null] = await this.#engine.network([up]);
    return failure;
  }

  *#changed(plane: Plane, now: number): Generator<PeerUpdate> {
    for (const key of this.#gone[plane].splice(0)) yield this.#update(plane, { ...NOBODY, key }, { gone: true });
    for (const peer of this.#peers[plane].values()) {
      const isNews = peer.news;
      peer.news = false;
      const rekeys = peer.number % REKEY_S === this.#polls % REKEY_S;
      if (rekeys) peer.lastHandshake = now;
      if (!isNews && !rekeys && peer.number % KEEPALIVE_S !== this.#polls % KEEPALIVE_S) continue;
      peer.bytes += KEEPALIVE_BYTES;
      yield this.#update(plane, peer, { moved: isNews || rekeys });
    }
  }

  #update(plane: Plane, { key, endpoint, lastHandshake, bytes }: Peer, more: Partial<PeerUpdate>): PeerUpdate {
    const update = {
      plane,
      key,
      endpoint,
      lastHandshake,
      session: null,
      rxBytes: bytes,
      txBytes: bytes,
      carries: null,
    };
    return { ...update, gone: false, moved: false, ...more };
  }

  #do(deed: Deed): void {
    if (deed.kind === 'meter') {
      process.send?.({ kind: 'meter', ...(meter as TurnMeter).stop() } satisfies Reply);
      return;
    }
    for (const [key, port] of deed.ports) {
      const peer = this.#peers.relay.get(key as PublicKey);
      if (peer === undefined || peer.endpoint === null) continue;
      peer.endpoint = { ...peer.endpoint, port };
      peer.news = true;
    }
    process.send?.({ kind: 'moved' } satisfies Reply);
  }
}

const NOBODY = { number: 0, endpoint: null, lastHandshake: 0, bytes: 0, news: false };
