/** How soon edges are direct over pairs of NATs, and what is lost on the way; from the lab's own tests. */
import { CoraxError } from '#src/errors.js';
import { parseEvent } from '../../lab/guest/events.js';
import { chooseLane, runInside } from '../../lab/setting.js';
import { type DirectTimes, readDirect } from '../../lab/traffic/direct-times.js';
import type { Case, Figure } from '../model.js';
import { ROOT } from '../root.js';

const TESTS = 'dist/lab/test/pairs.test.js';
const TIMEOUT_MS = 20 * 60 * 1000;
const SOON = 'until direct';
const LOST = 'pings lost';

async function pairs(progress: (line: string) => void): Promise<DirectTimes[]> {
  const found: DirectTimes[] = [];
  const failures: string[] = [];
  const code = await runInside([process.execPath, 'dist/lab/guest/run-tests.js', String(TIMEOUT_MS / 1000), TESTS], {
    lane: await chooseLane(),
    cwd: ROOT,
    timeoutMs: TIMEOUT_MS,
    progress,
    onLine: (line) => {
      const event = parseEvent(line);
      if (event?.type === 'pass') progress(event.name);
      if (event?.type === 'fail') failures.push(event.name);
      const times = event?.type === 'note' ? readDirect(event.text) : null;
      if (times !== null) found.push(times);
    },
  });
  if (code !== 0 || failures.length > 0 || found.length === 0) {
    throw new CoraxError('CORAX_LAB', `the lab's pairs ended with ${code}; failed: ${failures.join(', ') || 'none'}`);
  }
  return found;
}

export const directCase: Case = {
  name: 'direct',
  title: 'Until two edges are direct',
  method:
    'The lab’s pairs of NATs that let two edges through (13 of the 16 classic ones, and Linux’s masquerade twice): whole ' +
    'agents, 20 to 80 ms of delay. Seconds from when an edge knew both holes until its path was direct, a full-size probe ' +
    'included; both ends of each pair. In an emulated micro-VM, where everything takes ten times longer, and the delays ' +
    'do not. Pings go on every 0.1 s meanwhile; those lost are counted from the first answered one on, over the change of ' +
    'path at both ends.',
  host: async (quick, progress) => {
    if (quick) return [];
    progress('pairs of NATs, in the lab');
    const found = await pairs(progress);
    const of = { case: 'direct', scale: 2 } as const;
    const all = found.flatMap(({ seconds }) => seconds);
    const times = (who: string, values: readonly number[]): Figure => ({
      ...of,
      ...{ what: SOON, who, clock: 'wall', unit: 's', values },
    });
    const lost = found.map((pair) => pair.lost);
    const sent = found.reduce((sum, pair) => sum + pair.sent, 0);
    return [
      times('all pairs', all),
      ...found.map(({ pair, seconds }) => times(pair, seconds)),
      { ...of, what: LOST, scale: sent, who: 'all pairs', clock: 'count', unit: 'packets', values: lost },
    ];
  },
  bars: [],
};
