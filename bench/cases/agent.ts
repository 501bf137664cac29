/** What the agent keeps and how long it holds up its event loop, on the host. */
import { join } from 'node:path';
import { run } from '../../lab/process.js';
import type { Case, Figure } from '../model.js';
import { ROOT } from '../root.js';

/** Ends with this process, however that one ends. */
export const BOUND = ['setpriv', '--pdeathsig', 'KILL', '--'];

async function numbers(program: string, scale: number): Promise<number[]> {
  const path = join(ROOT, `dist/bench/agent/${program}.js`);
  const { stdout } = await run([...BOUND, process.execPath, '--expose-gc', path, String(scale)]);
  return stdout.trim().split('\n').map(Number);
}

export const memoryCase: Case = {
  name: 'memory',
  title: 'Memory',
  method:
    'What a relay’s agent keeps for each thousand edges once all is in force: JavaScript’s heap and buffers, after a ' +
    'collection. Gateways, facts, items and failures; the native side’s last reading of the device (some 120 bytes a peer) ' +
    'and probes are not in it.',
  host: async (quick, progress) => {
    const figures: Figure[] = [];
    for (const scale of quick ? [1_000] : [1_000, 10_000]) {
      progress(`memory for ${scale.toLocaleString('en')} edges`);
      const values = (await numbers('memory', scale)).map((kib) => (kib * 1_000) / scale);
      const what = 'kept per 1,000 edges';
      figures.push({ case: 'memory', what, scale, who: 'corax', clock: 'count', unit: 'KiB', values });
    }
    return figures;
  },
  bars: [],
};

const HARVEST = 'longest of 99 turns in 100';

export const eventLoopCase: Case = {
  name: 'event-loop',
  title: 'The event loop during a harvest',
  method:
    'A relay’s agent with so many edges polls its device, and every edge has news each time (a keepalive; in truth one in ' +
    'five has, each second). Processor time of each turn of the event loop that took half a millisecond or more, with ' +
    'what V8 does on other threads meanwhile, over 20 polls, as often as the agent allows, once the code is compiled. The native thread’s part (reading and comparing) is not in it: it holds up nobody.',
  host: async (_quick, progress) => {
    const scale = 10_000;
    progress(`event loop, ${scale.toLocaleString('en')} edges`);
    const turns = (await numbers('harvest', scale)).sort((a, b) => a - b);
    const values = [turns[Math.floor((turns.length - 1) * 0.99)] ?? Number.NaN];
    return [{ case: 'event-loop', what: HARVEST, scale, who: 'corax', clock: 'processor', unit: 'ms', values }];
  },
  bars: [
    {
      case: 'event-loop',
      what: HARVEST,
      scale: 10_000,
      who: 'corax',
      clock: 'processor',
      limit: { kind: 'at most', value: 10 },
    },
  ],
};
