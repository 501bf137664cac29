/** corax as a contender, at two heights: the engine with columns, and the driver with the agent's own steps. */
import { createHash } from 'node:crypto';
import type { CarryItem, PeerItem } from '#src/model/item.js';
import type { Engine } from '#src/native.js';
import { packPeers } from '#src/tunnel/columns.js';
import type { TunnelStep } from '#src/tunnel/driver.js';
import { WireguardDriver } from '#src/tunnel/wireguard.js';
import {
  changeOf,
  endpointOf,
  hundredth,
  type Peer,
  peer,
  population,
  publicKeyOf,
  subnetOf,
} from '../peers/records.js';
import { type Contender, millisecondsSince, settle, type Work } from './contender.js';
import { DEVICE } from './device.js';

const MOVES = [201, 202] as const;

/** From columns to the kernel's answer, and from the kernel to columns: all of it, both threads. */
export class OurEngine implements Contender {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async run(work: Work): Promise<number[]> {
    const columns = this.#peers(work).map((peers) => packPeers(peers.map((each) => changeOf(each, deedOf(work)))));
    const times: number[] = [];
    await settle();
    for (let time = 0; time < work.times; time++) {
      const peers = columns[time % columns.length];
      const start = process.hrtime.bigint();
      if (peers === undefined) await this.#engine.wgSnapshot(DEVICE);
      else await this.#engine.wgApply(DEVICE, peers);
      times.push(millisecondsSince(start));
    }
    return times;
  }

  #peers(work: Work): Peer[][] {
    switch (work.what) {
      case 'snapshot':
        return [];
      case 'put':
        return [population(work.peers)];
      case 'remove':
        return [hundredth(work.peers).map((index) => peer(index))];
      case 'move':
        return MOVES.map((move) => hundredth(work.peers).map((index) => peer(index, move)));
    }
  }
}

function deedOf(work: Work): 'put' | 'move' | 'remove' {
  return work.what === 'snapshot' ? 'put' : work.what;
}

/** From steps as decide makes them. What the agent's loop and its memory of the world cost on top is not in it. */
export class OurDriver implements Contender {
  readonly #driver: WireguardDriver;

  constructor(engine: Engine) {
    const presharedKey = createHash('sha256').update('corax bench').digest();
    this.#driver = new WireguardDriver(engine, new Uint8Array(32).fill(64), presharedKey);
  }

  async run(work: Work): Promise<number[]> {
    if (work.what === 'snapshot' || work.what === 'move') throw new Error(`the driver has no ${work.what}`);
    const peers = work.what === 'put' ? population(work.peers) : hundredth(work.peers).map((index) => peer(index));
    const op = work.what === 'put' ? 'put' : 'delete';
    const steps = peers.flatMap((each) => stepsFor(each, op));
    const times: number[] = [];
    await settle();
    for (let time = 0; time < work.times; time++) {
      const start = process.hrtime.bigint();
      const failure = (await this.#driver.apply(steps)).find((result) => result !== null);
      times.push(millisecondsSince(start));
      if (failure) throw failure;
    }
    return times;
  }
}

function stepsFor(each: Peer, op: 'put' | 'delete'): TunnelStep[] {
  const key = publicKeyOf(each);
  const item: PeerItem = { kind: 'peer', plane: 'relay', gateway: 'gw', key, endpoint: endpointOf(each) };
  const carry: CarryItem = { kind: 'carry', plane: 'relay', prefix: subnetOf(each), peer: key };
  if (op === 'delete') return [item, carry].map((gone) => ({ op, item: gone }));
  return [item, carry].map((there) => ({ op, item: there, present: null }));
}
