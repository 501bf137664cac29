/** What an edge does for the few that it has traffic with, where direct planes are on demand. */
import { setTimeout as delay } from 'node:timers/promises';
import { HOLD_BACK_MS } from '#src/decide/timing.js';
import type { ProbeFacts } from '#src/model/facts.js';
import type { Plane } from '#src/model/names.js';
import { peer, publicKeyOf } from '../peers/records.js';
import { edgeName } from './gateways.js';
import type { Rig } from './rig.js';
import { active, edgeWith } from './work.js';

export const BUSY = 50;

/**
 * From the first look that sees their packets until their paths are direct: milliseconds for each.
 *
 * @throws where more was done than that asks for
 */
export async function trafficBegins(others: number): Promise<number> {
  const rig = await edgeWith(others, 'demand');
  try {
    const told = { ...rig.kernel.told };
    const busy = Array.from({ length: BUSY }, (_, index) => 1 + Math.floor((index * others) / BUSY));
    const total = await active(async () => {
      for (const index of busy) {
        if (rig.remotes.seeTraffic(edgeName(index), Date.now())) rig.loop.mark(edgeName(index));
      }
      await rig.rest();
      // Their peers come after what opens their NATs.
      await delay(HOLD_BACK_MS + 100);
      await rig.rest();
      for (const index of busy) answers(rig, index);
      await rig.rest();
    });
    const direct = [...rig.remotes.all].filter(({ path }) => path?.state === 'direct').length;
    const peers = rig.kernel.told.peers - told.peers;
    if (direct !== BUSY || peers < BUSY || peers > 3 * BUSY) {
      throw new Error(`${direct} direct paths and ${peers} peers for ${BUSY} with traffic`);
    }
    return total / BUSY;
  } finally {
    await rig.stop();
  }
}

/** Its handshake comes, and its probes are answered on both planes. */
function answers({ remotes, loop }: Rig, index: number): void {
  const name = edgeName(index);
  const now = Date.now();
  const { address, port } = peer(index, 0);
  const endpoint = { ip: address.join('.') as never, port };
  const update = { gone: false, moved: true, lastHandshake: now / 1000, session: null, rxBytes: 92, txBytes: 148 };
  remotes.seePeer({ plane: 'direct', key: publicKeyOf(peer(index)), endpoint, carries: null, ...update }, now);
  const probe = (plane: Plane, rttMs: number): ProbeFacts => ({
    ...{ sent: 9, received: 9, lost: 0, rttMs, jitterMs: 1, loss: 0, lostInRow: 0, answeredInRow: 9 },
    answeredSize: 1420,
    generation: plane === 'relay' ? 0 : (remotes.get(name)?.path?.generation ?? 0),
  });
  remotes.seeProbe(name, 'relay', probe('relay', 55));
  remotes.seeProbe(name, 'direct', probe('direct', 37));
  loop.mark(name);
}
