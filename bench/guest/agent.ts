/** The agent's own work, on this clock. */
import { edgeWith, holesMove, relayWith, start, subnetsChange } from '../agent/work.js';
import type { Task } from '../model.js';
import { settle } from './contender.js';

export async function agentTask({ what, scale, times }: Task): Promise<number[]> {
  const values: number[] = [];
  const rig = what === 'hole moved' ? await relayWith(scale) : what === 'subnet changed' ? await edgeWith(scale) : null;
  try {
    for (let time = 0; time < times; time++) {
      await settle();
      if (what === 'start' && rig === null) values.push(await start(scale));
      else if (what === 'hole moved' && rig !== null) values.push(await holesMove(rig, scale));
      else if (what === 'subnet changed' && rig !== null) values.push(await subnetsChange(rig, scale));
      else throw new Error(`nobody knows how to ${what}`);
    }
  } finally {
    await rig?.stop();
  }
  return values;
}
