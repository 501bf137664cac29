/** The agent's own work, on this clock. */
import { trafficBegins } from '../agent/demand.js';
import { byCorax, byPromClient, scrapedPeer } from '../agent/scraped.js';
import { edgeWith, holesMove, relayWith, start, subnetsChange } from '../agent/work.js';
import { PROM_CLIENT, type Task } from '../model.js';
import { settle, timed } from './contender.js';

export async function agentTask({ what, scale, times }: Task): Promise<number[]> {
  const values: number[] = [];
  if (what === 'traffic begins') {
    for (let time = 0; time < times; time++) values.push(await trafficBegins(scale));
    return values;
  }
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

/** All that is said of so many peers, as text. */
export async function scrapeTask(who: string, peers: number, times: number): Promise<number[]> {
  const all = Array.from({ length: peers }, (_, index) => scrapedPeer(`gw-${index}`, index));
  return timed(times, who === PROM_CLIENT ? byPromClient(all) : byCorax(all));
}
