/**
 * Runs tasks where there is WireGuard: in each round every contender in turn, so that what changes with time changes
 * for all. Arguments: the programs as JSON ({"raw C": path, …}), and the tasks as JSON.
 */

import { messageOf } from '#src/errors.js';
import { openEngine } from '#src/native.js';
import { run } from '../../lab/process.js';
import { EXPORTER, LOAD, type Task } from '../model.js';
import { agentTask, scrapeTask } from './agent.js';
import { type Contender, millisecondsSince, settle, type Work } from './contender.js';
import { DEVICE, Device } from './device.js';
import { edgesAppear, harvest } from './edges.js';
import { say } from './events.js';
import { scrapeByCorax, scrapeByExporter } from './exporter.js';
import { OurDriver, OurEngine } from './ours.js';
import { ForkedWg, Program } from './programs.js';
import { readStates } from './sas.js';
import { agentStart } from './start.js';
import { throughput } from './throughput.js';
import { lookAtTraffic } from './traffic.js';

const [programs = '{}', tasks = '[]'] = process.argv.slice(2);
await run(['modprobe', 'wireguard'], { allowFailure: true });
const engine = openEngine(() => {});
const device = new Device(engine);
const contenders = new Map<string, Contender>([
  ['corax', new OurEngine(engine)],
  ['corax, from steps', new OurDriver(engine)],
  ['forked wg', new ForkedWg()],
]);
const paths = JSON.parse(programs) as Record<string, string>;
for (const [who, path] of Object.entries(paths)) {
  contenders.set(who, new Program(path));
}

function contender(who: string): Contender {
  const found = contenders.get(who);
  if (found === undefined) throw new Error(`nobody is called ${who}`);
  return found;
}

/** What differs from the last look, one peer in a hundred having moved since. */
async function delta(scale: number, times: number): Promise<number[]> {
  await engine.wgDelta(DEVICE);
  const taken: number[] = [];
  for (let time = 0; time < times; time++) {
    await device.stir(scale);
    await settle();
    const start = process.hrtime.bigint();
    const { count } = await engine.wgDelta(DEVICE);
    taken.push(millisecondsSince(start));
    if (count !== Math.max(1, Math.floor(scale / 100))) throw new Error(`${count} peers differ of ${scale}`);
  }
  return taken;
}

async function turn(task: Task, who: string): Promise<number[]> {
  const { what, scale: peers, times } = task;
  const work = (kind: Work['what'], of = times): Work => ({ what: kind, peers, times: of });
  switch (what) {
    case 'program new': {
      await device.empty();
      const taken = await contender(who).run(work('put', 1));
      device.filled(peers);
      return taken;
    }
    case 'program again':
      await device.holds(peers);
      return contender(who).run(work('put'));
    case 'move 1 %':
      await device.holds(peers);
      return contender(who).run(work('move'));
    case 'remove 1 %': {
      await device.holds(peers);
      const taken: number[] = [];
      for (let time = 0; time < times; time++) {
        taken.push(...(await contender(who).run(work('remove', 1))));
        await device.mend(peers);
      }
      return taken;
    }
    case 'snapshot':
      await device.holds(peers);
      return contender(who).run(work('snapshot'));
    case 'delta':
      await device.holds(peers);
      return who === 'corax' ? delta(peers, times) : contender(who).run(work('snapshot'));
    case 'harvest':
      return harvest(engine, device, peers, times, paths[LOAD] ?? '');
    case 'scrape a device':
      await device.holds(peers);
      return who === EXPORTER ? scrapeByExporter(paths[who] ?? '', peers, times) : scrapeByCorax(engine, peers, times);
    case 'scrape':
      return scrapeTask(who, peers, times);
    case 'read SAs':
      return readStates(engine, who, peers, times);
    case 'agent starts':
      return agentStart(engine, peers, times);
    case 'look at the traffic':
      return lookAtTraffic(engine, peers, times);
    case 'TCP through a tunnel':
      return throughput(who, times);
    case 'edges appear':
      return edgesAppear(engine, device, peers, paths[LOAD] ?? '');
    default:
      return agentTask(task);
  }
}

async function measure(task: Task): Promise<void> {
  for (let round = 1; round <= task.rounds; round++) {
    for (const who of task.who) {
      say({ type: 'begin', task, round, who });
      say({ type: 'values', task, who, values: await turn(task, who) });
    }
  }
  say({ type: 'done', task });
}

// One that cannot be done must not cost the others, which took their time.
for (const task of JSON.parse(tasks) as Task[]) {
  await measure(task).catch((error: unknown) => {
    device.filled(-1);
    say({ type: 'failed', task, why: messageOf(error) });
  });
}
await engine.wgDestroy(DEVICE).catch(() => {});
engine.close();
