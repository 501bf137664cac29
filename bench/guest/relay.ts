/**
 * A relay's agent over a real device, and edges that complete handshakes with it (bench/peers/load), each from an
 * address of its own.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TUNNEL_FWMARK, TUNNEL_PORT } from '#src/model/names.js';
import { type Engine, openEngine } from '#src/native.js';
import { packPeers } from '#src/tunnel/columns.js';
import { publicKeyOf } from '#src/tunnel/keys.js';
import { run } from '../../lab/process.js';
import { edgeGateway, RELAY } from '../agent/gateways.js';
import { observing } from '../agent/observe.js';
import { PRIVATE_KEY, type Rig } from '../agent/rig.js';
import { relayWith } from '../agent/work.js';
import { changeOf, type Peer, PRESHARED_KEY } from '../peers/records.js';
import { DEVICE, type Device } from './device.js';

/**
 * Handshakes begun each second. Generator, kernel and agent share one processor: with many more the kernel is under
 * load and asks for cookies, which the generator does not know.
 */
const RATE = 40;
const BATCH = 500;
/** All of the edges' addresses are this machine's own (AnyIP). */
const EDGES = ['local', '198.18.0.0/15', 'dev', 'lo'] as const;

export class Relay {
  readonly rig: Rig;
  /** When each edge's Gateway was last written, Unix milliseconds. */
  readonly writtenAt = new Map<number, number>();
  readonly #device: Device;
  readonly #reader: Engine;
  readonly #load: string;
  readonly #watch: ReturnType<typeof observing>;
  #move = 0;

  private constructor(rig: Rig, device: Device, load: string, peers: readonly Peer[]) {
    this.rig = rig;
    this.#device = device;
    this.#load = load;
    // The agent's own: the other engine may be at work meanwhile.
    this.#reader = openEngine((events) => {
      // As src/agent/agent.ts does: whoever was answered may have a hole that nobody knows yet.
      if (events.some(({ type }) => type === 'answered')) this.#watch.observer.lookSoon();
    });
    rig.kernel.delta = () => this.#reader.wgDelta(DEVICE);
    rig.echo = ({ gateway }) => {
      const index = Number(gateway.slice('edge-'.length));
      this.writtenAt.set(index, Date.now());
      return edgeGateway(index, this.#move, index, peers[index]);
    };
    this.#watch = observing(rig);
  }

  /** The store knows the edges' keys and subnets, and nobody's hole. */
  static async start(engine: Engine, device: Device, peers: readonly Peer[], load: string): Promise<Relay> {
    await device.empty();
    await engine.wgConfigure(DEVICE, { privateKey: PRIVATE_KEY, listenPort: TUNNEL_PORT, fwmark: TUNNEL_FWMARK });
    // Without an endpoint, and no keepalive that would have the kernel speak first.
    const change = (each: Peer) => ({ key: changeOf(each, 'put').key, presharedKey: PRESHARED_KEY });
    for (let from = 0; from < peers.length; from += BATCH) {
      await engine.wgApply(DEVICE, packPeers(peers.slice(from, from + BATCH).map(change)));
    }
    await run(['ip', 'address', 'replace', `${RELAY.address}/32`, 'dev', 'lo']);
    await run(['ip', 'route', 'replace', ...EDGES]);
    await run(['ip', 'link', 'set', DEVICE, 'up']);
    const rig = await relayWith(peers.length, (index) => edgeGateway(index, null, index, peers[index]));
    const relay = new Relay(rig, device, load, peers);
    relay.#watch.observer.start();
    await relay.#reader.handshakeTap({ device: 'lo', ports: [TUNNEL_PORT] });
    return relay;
  }

  /** Edges shake hands from where they are at that move. @returns the time of each one's first packet, Unix milliseconds */
  async connect(first: number, count: number, move: number): Promise<Map<number, number>> {
    this.#move = move;
    const keys = [publicKeyOf(PRIVATE_KEY), Buffer.from(PRESHARED_KEY).toString('base64')];
    const numbers = [first, count, move, RATE].map(String);
    const { stdout } = await run([this.#load, `${RELAY.address}:${TUNNEL_PORT}`, ...keys, ...numbers]);
    this.#watch.check();
    const lines = stdout.trim().split('\n');
    return new Map(lines.map((line) => line.split(' ').map(Number) as [number, number]));
  }

  /** Longer than what is seen takes to be written. */
  async quiet(): Promise<void> {
    await delay(5_000);
    this.#watch.check();
  }

  async close(): Promise<void> {
    await this.#watch.observer.stop();
    await this.rig.stop();
    this.#reader.close();
    await run(['ip', 'route', 'del', ...EDGES], { allowFailure: true });
    await this.#device.empty();
  }
}
