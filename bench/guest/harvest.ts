/**
 * A relay's agent over a real device: from an edge's new endpoint in the kernel to the write to its Gateway. The
 * endpoint is set over netlink, where a packet from another place would have set it.
 */
import { TUNNEL_FWMARK, TUNNEL_PORT } from '#src/model/names.js';
import { type Engine, openEngine } from '#src/native.js';
import { packPeers } from '#src/tunnel/columns.js';
import { edgeGateway, edgeName } from '../agent/gateways.js';
import { observing } from '../agent/observe.js';
import { PRIVATE_KEY } from '../agent/rig.js';
import { relayWith } from '../agent/work.js';
import { changeOf, peer } from '../peers/records.js';
import { millisecondsSince } from './contender.js';
import { DEVICE, type Device } from './device.js';

/** Clear of where the other tasks move peers to. */
const FIRST_MOVE = 1_000;
/** Further apart than the polls, and not by whole polls: each starts at another moment between two. */
const PAUSE_MS = 1_337;

export async function harvest(engine: Engine, device: Device, edges: number, times: number): Promise<number[]> {
  await device.holds(edges);
  await engine.wgConfigure(DEVICE, { privateKey: PRIVATE_KEY, listenPort: TUNNEL_PORT, fwmark: TUNNEL_FWMARK });
  const rig = await relayWith(edges);
  // The agent's own, so that the other can move peers meanwhile.
  const reader = openEngine(() => {});
  const { observer, check } = observing(rig);
  rig.kernel.delta = () => reader.wgDelta(DEVICE);
  const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  try {
    observer.start();
    await pause(3_000);
    const taken: number[] = [];
    for (let time = 0; time < times; time++) {
      const [index, move] = [Math.floor((time * edges) / times), FIRST_MOVE + time];
      const written = rig.written.length;
      rig.echo = () => edgeGateway(index, move);
      await pause(PAUSE_MS);
      const start = process.hrtime.bigint();
      await engine.wgApply(DEVICE, packPeers([changeOf(peer(index, move), 'move')]));
      while (rig.written.length === written) {
        check();
        await pause(1);
      }
      taken.push(millisecondsSince(start));
      const [patch] = rig.written.slice(written);
      if (patch?.gateway !== edgeName(index) || rig.written.length > written + 1) {
        throw new Error(`${rig.written.length - written} writes, the first to ${patch?.gateway}`);
      }
    }
    // What did not change is not written again.
    const before = rig.written.length;
    await pause(3_000);
    if (rig.written.length !== before) throw new Error('there were writes although nothing changed');
    return taken;
  } finally {
    await observer.stop();
    await rig.stop();
    reader.close();
    device.filled(-1);
  }
}
