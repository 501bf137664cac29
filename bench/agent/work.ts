/** What the agent does for one changed gateway among many, and for all of them at its start. */
import { performance } from 'node:perf_hooks';
import type { DirectPolicy } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import { peer, publicKeyOf } from '../peers/records.js';
import { edgeGateway, edgeName, RELAY, relayGateway } from './gateways.js';
import { Rig } from './rig.js';

/** How many changes one figure is made of. */
const CHANGES = 20;

/** Milliseconds in which the event loop was at work, not waiting. */
export async function active(work: () => Promise<void>): Promise<number> {
  const before = performance.eventLoopUtilization();
  await work();
  return performance.eventLoopUtilization(before).active;
}

/** A relay's agent with so many edges, converged. */
export async function relayWith(edges: number, gateway: (index: number) => Gateway = edgeGateway): Promise<Rig> {
  const rig = new Rig(RELAY.node, publicKeyOf(peer(1_000_000)));
  rig.take([relayGateway(), ...Array.from({ length: edges }, (_, index) => gateway(index))]);
  await rig.rest();
  return rig;
}

/** An edge's, with so many others. */
export async function edgeWith(others: number, direct: DirectPolicy = 'auto'): Promise<Rig> {
  const rig = new Rig(`${edgeName(0)}-node`, publicKeyOf(peer(0)), direct);
  rig.take([relayGateway(), ...Array.from({ length: others + 1 }, (_, index) => edgeGateway(index))]);
  await rig.rest();
  return rig;
}

/**
 * A hole that moved, seen by the relay: decided on, written, and read again from the store. Milliseconds for each.
 *
 * @throws where more was done than that asks for
 */
export async function holesMove(rig: Rig, edges: number): Promise<number> {
  const before = { ...rig.kernel.told };
  const writes = rig.written.length;
  rig.echo = ({ gateway }) => edgeGateway(Number(gateway.slice('edge-'.length)), moves);
  moves += 1;
  const changed = Array.from({ length: CHANGES }, (_, index) => Math.floor((index * edges) / CHANGES));
  const total = await active(async () => {
    for (const index of changed) {
      const { address, port } = peer(index, moves);
      const endpoint = { ip: address.join('.') as never, port };
      const key = publicKeyOf(peer(index));
      const update = {
        gone: false,
        moved: true,
        lastHandshake: Date.now() / 1000,
        session: null,
        rxBytes: 1,
        txBytes: 1,
      };
      rig.remotes.seePeer({ plane: 'relay', key, endpoint, carries: null, ...update }, Date.now());
      rig.loop.mark(edgeName(index));
      await rig.rest();
    }
  });
  const expected = { ...before };
  if (JSON.stringify(rig.kernel.told) !== JSON.stringify(expected)) {
    throw new Error(`holes that moved are no business of the kernel's: ${JSON.stringify(rig.kernel.told)}`);
  }
  if (rig.written.length - writes !== CHANGES) throw new Error(`${rig.written.length - writes} writes`);
  return total / CHANGES;
}

let moves = 0;

/** Another site got another subnet: its route and what its peer carries change, and nobody else's. */
export async function subnetsChange(rig: Rig, others: number): Promise<number> {
  const before = { ...rig.kernel.told };
  const changed = Array.from({ length: CHANGES }, (_, index) => 1 + Math.floor((index * others) / CHANGES));
  sites += CHANGES;
  const total = await active(async () => {
    for (const [index, edge] of changed.entries()) {
      rig.take([edgeGateway(edge, 0, sites + index)]);
      await rig.rest();
    }
  });
  const operations = rig.kernel.told.network - before.network;
  if (operations === 0 || operations > CHANGES * 8) throw new Error(`${operations} operations for ${CHANGES} changes`);
  return total / CHANGES;
}

/** Clear of all that the edges have. */
let sites = 20_000;

/** From the store's first batch until all is in force, the kernel's own time left out. */
export async function start(edges: number): Promise<number> {
  const gateways = [relayGateway(), ...Array.from({ length: edges }, (_, index) => edgeGateway(index))];
  const rig = new Rig(RELAY.node, publicKeyOf(peer(1_000_000)));
  const total = await active(async () => {
    rig.take(gateways);
    await rig.rest();
  });
  await rig.stop();
  return total;
}
