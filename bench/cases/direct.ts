/** How soon edges are direct over pairs of NATs, and what is lost on the way; from the lab's own tests. */
import { CoraxError } from '#src/errors.js';
import { parseEvent } from '../../lab/guest/events.js';
import { chooseLane, runInside } from '../../lab/setting.js';
import { type DirectTimes, readDirect, readFirstPacket } from '../../lab/traffic/direct-times.js';
import type { Case, Figure } from '../model.js';
import { ROOT } from '../root.js';

const TESTS = ['pairs', 'demand'].map((name) => `dist/lab/test/${name}.test.js`);
const TIMEOUT_MS = 20 * 60 * 1000;
const SOON = 'until direct';
const FIRST = 'from the first packet, on demand';
const LOST = 'pings lost';

interface Found {
  readonly pairs: readonly DirectTimes[];
  /** Seconds from the first packet, where direct planes are on demand. */
  readonly asked: readonly number[];
}

async function fromLab(progress: (line: string) => void): Promise<Found> {
  const pairs: DirectTimes[] = [];
  const asked: number[] = [];
  const failures: string[] = [];
  const code = await runInside([process.execPath, 'dist/lab/guest/run-tests.js', String(TIMEOUT_MS / 1000), ...TESTS], {
    lane: await chooseLane(),
    cwd: ROOT,
    timeoutMs: TIMEOUT_MS,
    progress,
    onLine: (line) => {
      const event = parseEvent(line);
      if (event?.type === 'pass') progress(event.name);
      if (event?.type === 'fail') failures.push(event.name);
      if (event?.type !== 'note') return;
      const times = readDirect(event.text);
      if (times !== null) pairs.push(times);
      asked.push(...(readFirstPacket(event.text) ?? []));
    },
  });
  if (code !== 0 || failures.length > 0 || pairs.length === 0 || asked.length === 0) {
    throw new CoraxError('CORAX_LAB', `the lab's pairs ended with ${code}; failed: ${failures.join(', ') || 'none'}`);
  }
  return { pairs, asked };
}

export const directCase: Case = {
  name: 'direct',
  title: 'Until two edges are direct',
  method:
    'The lab’s pairs of NATs that let two edges through (13 of the 16 classic ones, and Linux’s masquerade twice): whole ' +
    'agents, 20 to 80 ms of delay. Seconds from when an edge knew both holes until its path was direct, a full-size probe ' +
    'included; both ends of each pair. In an emulated micro-VM, where everything takes ten times longer, and the delays ' +
    'do not. Pings go on every 0.1 s meanwhile; those lost are counted from the first answered one on, over the change of ' +
    'path at both ends. *On demand*: from the first packet that a pod sends to another edge’s, where direct planes are ' +
    'given to those that there is traffic with.',
  host: async (quick, progress) => {
    if (quick) return [];
    progress('pairs of NATs, in the lab');
    const { pairs: found, asked } = await fromLab(progress);
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
      { ...of, what: FIRST, who: 'corax', clock: 'wall', unit: 's', values: asked },
      { ...of, what: LOST, scale: sent, who: 'all pairs', clock: 'count', unit: 'packets', values: lost },
    ];
  },
  bars: [],
};
