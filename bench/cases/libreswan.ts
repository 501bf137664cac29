/** libreswan: connections added, and what its SAs say of the edges' holes. */
import { startPluto } from '../../lab/libreswan/live-pluto.js';
import { addInTurns, PLUTO_ADDRESS } from '../agent/libreswan.js';
import { type Case, FORKED_IP, type Task } from '../model.js';

const CONNECTIONS = 100;
const ADD = 'add connections';
const FORKED = 'forked whack';
const HARVEST = 'read SAs';

export const libreswanCase: Case = {
  name: 'libreswan',
  title: 'libreswan: connections and SAs',
  method:
    '*Add*: a hundred edges’ connections given to a running pluto, each deleted if it is there and added; by messages on ' +
    'its control socket as corax does, and by whack forked from Node, twice for each. In turns, by the wall; on a kernel ' +
    'without XFRM pluto adds them all the same. *Read SAs*: where so many SAs come from and what they carried: corax over ' +
    'netlink as typed columns, and `ip -s xfrm state` forked from Node and its output parsed.',
  tasks: (quick): Task[] =>
    (quick ? [] : [100, 1_000, 10_000]).map((scale) => ({
      ...{ case: 'libreswan', what: HARVEST, scale, who: ['corax', FORKED_IP], rounds: 2, times: 4 },
    })),
  host: async (quick, progress) => {
    if (quick) return [];
    progress(`${CONNECTIONS} connections, by whack and by pluto’s socket`);
    const live = await startPluto(PLUTO_ADDRESS);
    try {
      const { byWhack, bySocket } = await addInTurns(live, CONNECTIONS, 7);
      const of = { case: 'libreswan', what: ADD, scale: CONNECTIONS, clock: 'wall', unit: 'ms' } as const;
      return [
        { ...of, who: 'corax', values: bySocket.map((seconds) => seconds * 1000) },
        { ...of, who: FORKED, values: byWhack.map((seconds) => seconds * 1000) },
      ];
    } finally {
      await live.stop();
    }
  },
  bars: [
    {
      ...{ case: 'libreswan', what: ADD, scale: CONNECTIONS, who: 'corax', clock: 'wall', against: { who: FORKED } },
      limit: { kind: 'at least times faster', value: 20 },
    },
  ],
};
