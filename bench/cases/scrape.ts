/** A Prometheus scrape of very many peers. */
import { join } from 'node:path';
import { run } from '../../lab/process.js';
import { type Case, EXPORTER, type Figure, PROM_CLIENT, type Task } from '../model.js';
import { ROOT } from '../root.js';
import { BOUND } from './agent.js';

const PEERS = 10_000;
const WHO = ['corax', PROM_CLIENT] as const;
const RENDERED = 'scrape';
const FROM_DEVICE = 'scrape a device';
const HELD = 'event loop held by a scrape';

function fromDevice(scale: number): Task {
  return { case: 'scrape', what: FROM_DEVICE, scale, who: ['corax', EXPORTER], rounds: 1, times: 3 };
}

export const scrapeCase: Case = {
  name: 'scrape',
  title: 'A scrape',
  method:
    'All that a relay with so many edges says of them, 12 series and more each, as the text that Prometheus reads. ' +
    '*prom-client* is what most programs in Node do: each gauge of each peer set, then the registry’s text. Both without ' +
    'HTTP. On the processor’s clock, in a process of its own each: all its threads’ time, and for how long the event ' +
    'loop could not turn (by the wall; corax yields between slices). *Scrape a device*: from the kernel’s peers to the ' +
    'text; prometheus_wireguard_exporter by HTTP, for three series a peer. It looks each peer up among all: no more than ' +
    '1,000 of them.',
  tasks: (quick) => [
    { case: 'scrape', what: RENDERED, scale: PEERS, who: WHO, rounds: 1, times: quick ? 3 : 5 },
    ...(quick ? [] : [100, 1_000].map(fromDevice)),
  ],
  host: async (quick, progress) => {
    const figures: Figure[] = [];
    // How much else the machine does shows in them.
    if (quick) return figures;
    for (const who of WHO) {
      progress(`scrape of ${PEERS.toLocaleString('en')} peers: ${who}`);
      const program = join(ROOT, 'dist/bench/agent/scrape.js');
      const words = [process.execPath, program, who, String(PEERS), '9'];
      const { stdout } = await run([...BOUND, ...words]);
      const runs = stdout
        .trim()
        .split('\n')
        .map((line) => line.split(' ').map(Number) as [number, number, number]);
      if (runs.some(([, , series]) => series < PEERS * 12)) throw new Error(`${who}: too few series`);
      const of = { case: 'scrape', scale: PEERS, who, clock: 'processor', unit: 'ms' } as const;
      // The first of a process that was just started is not like the others.
      figures.push({ ...of, what: RENDERED, values: runs.slice(1).map(([cpu]) => cpu) });
      figures.push({ ...of, what: HELD, values: runs.slice(1).map(([, held]) => held) });
    }
    return figures;
  },
  bars: [
    {
      ...{ case: 'scrape', what: RENDERED, scale: PEERS, who: 'corax', clock: 'processor' },
      limit: { kind: 'at most', value: 100 },
    },
    {
      ...{ case: 'scrape', what: RENDERED, scale: PEERS, who: 'corax', clock: 'instructions' },
      against: { who: 'prom-client' },
      limit: { kind: 'at least times faster', value: 3 },
    },
  ],
};
