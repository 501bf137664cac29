/** How long it takes until an edge's hole is written: of one among many, and of all at once. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '#src/native.js';
import { livingPeer, peer } from '../peers/records.js';
import type { Device } from './device.js';
import { Relay } from './relay.js';

/** Further apart than the polls, and not by whole polls: each starts at another moment between two. */
const PAUSE_MS = 1_337;
/** How many shake hands a second time. */
const RENEWED = 1_000;

/** All appear. Milliseconds from the first packet to the write to the Gateway: a hundred quantiles of all the edges'. */
export async function edgesAppear(engine: Engine, device: Device, edges: number, load: string): Promise<number[]> {
  const peers = Array.from({ length: edges }, (_, index) => livingPeer(index));
  const relay = await Relay.start(engine, device, peers, load);
  try {
    const began = await relay.connect(0, edges, 1);
    await relay.quiet();
    const written = relay.rig.written.length;
    if (began.size !== edges || written !== edges) {
      throw new Error(`${began.size} handshakes and ${written} writes for ${edges} edges`);
    }
    // Once more from the same places: new sessions, and nothing to write.
    await relay.connect(0, Math.min(edges, RENEWED), 1);
    await relay.quiet();
    if (relay.rig.written.length !== edges) {
      throw new Error(`${relay.rig.written.length - edges} writes for sessions that were renewed`);
    }
    const waits = [...began].map(([index, at]) => (relay.writtenAt.get(index) ?? Number.NaN) - at);
    waits.sort((a, b) => a - b);
    return Array.from({ length: 100 }, (_, part) => waits[Math.ceil(((part + 1) * edges) / 100) - 1] ?? Number.NaN);
  } finally {
    await relay.close();
  }
}

/** One among many moves, `times` times over. */
export async function harvest(
  engine: Engine,
  device: Device,
  edges: number,
  times: number,
  load: string,
): Promise<number[]> {
  const movers = Array.from({ length: times }, (_, time) => Math.floor((time * edges) / times));
  const peers = Array.from({ length: edges }, (_, index) => (movers.includes(index) ? livingPeer(index) : peer(index)));
  const relay = await Relay.start(engine, device, peers, load);
  try {
    await relay.quiet();
    const taken: number[] = [];
    for (const [time, index] of movers.entries()) {
      await delay(PAUSE_MS);
      const began = await relay.connect(index, 1, time + 1);
      await relay.quiet();
      taken.push((relay.writtenAt.get(index) ?? Number.NaN) - (began.get(index) ?? Number.NaN));
      const { written } = relay.rig;
      if (written.length !== time + 1) throw new Error(`${written.length} writes for ${time + 1} holes that moved`);
    }
    return taken;
  } finally {
    await relay.close();
  }
}
