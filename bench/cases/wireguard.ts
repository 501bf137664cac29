/** WireGuard devices, read and programmed. */
import { type Bar, type Case, FLOOR, type Task } from '../model.js';

const ALL = [FLOOR, 'corax', 'wireguard-control', 'wgctrl-go', 'forked wg'] as const;
const SCALES = [100, 1_000, 10_000] as const;

interface Plan {
  readonly what: string;
  readonly who: readonly string[];
  /** Whom the short run looks at, and at which scales. */
  readonly quickWho: readonly string[];
  readonly quickScales: readonly number[];
  readonly rounds: number;
  readonly times: number;
  readonly scales?: readonly number[];
}

function tasks(name: string, plans: readonly Plan[]) {
  return (quick: boolean): Task[] =>
    plans.flatMap(({ what, who, quickWho, quickScales, rounds, times, scales = SCALES }) =>
      (quick ? quickScales : scales).map((scale) => ({
        case: name,
        what,
        scale,
        who: quick ? quickWho : who,
        // What is short is taken as often in the short run.
        rounds: quick && scale > 1_000 ? 1 : rounds,
        times,
      })),
    );
}

function bar(what: string, scale: number, against: string, limit: Bar['limit']): Bar {
  const name = what.startsWith('snapshot') ? 'snapshot' : 'program';
  return { case: name, what, scale, who: 'corax', clock: 'instructions', against: { who: against }, limit };
}

const both = [1_000, 10_000] as const;

export const snapshotCase: Case = {
  name: 'snapshot',
  title: 'Reading a device',
  method:
    'Everything that the kernel knows of all peers, in the contender’s own data structures: corax as typed columns in ' +
    'JavaScript, both threads counted. Each program opens its socket once; the socket is not counted. `wg show dump` ' +
    'is forked from Node and its output parsed into objects.',
  tasks: tasks('snapshot', [{ what: 'snapshot', who: ALL, quickWho: ALL, quickScales: both, rounds: 3, times: 5 }]),
  bars: both.flatMap((scale) => [
    bar('snapshot', scale, FLOOR, { kind: 'at most times', value: 1.3 }),
    bar('snapshot', scale, 'wgctrl-go', { kind: 'at least times faster', value: 6 }),
    bar('snapshot', scale, 'forked wg', { kind: 'at least times faster', value: 10 }),
  ]),
};

export const deltaCase: Case = {
  name: 'delta',
  title: 'What changed on a device',
  method:
    'One peer in a hundred has moved since the last look. corax reads the device, compares and hands over the peers ' +
    'that differ; raw C only reads, which is the floor: the kernel has no other way to ask. The others leave comparing ' +
    'to whoever calls them.',
  tasks: tasks('delta', [
    { what: 'delta', who: [FLOOR, 'corax'], quickWho: [FLOOR, 'corax'], quickScales: both, rounds: 3, times: 5 },
  ]),
  bars: [],
};

const OURS = [FLOOR, 'corax'] as const;

export const programCase: Case = {
  name: 'program',
  title: 'Programming a device',
  method:
    'Peers with a pre-shared key, an endpoint, a keepalive and a prefix each, given to a device that has a private key. ' +
    '*New*: the device is empty; the kernel computes a Curve25519 product for each. *Again*: the same once more. *Move*: ' +
    'another endpoint for one in a hundred. *Remove*: one in a hundred goes. What is asked for lies prepared in each ' +
    'contender’s own data structures (a file for `wg addconf`, words for `wg set`); what turns it into messages counts. ' +
    '“corax, from steps” begins at the agent’s own steps, the rest at columns.',
  tasks: tasks('program', [
    {
      what: 'program new',
      who: [...ALL.slice(0, 2), 'corax, from steps', ...ALL.slice(2)],
      quickWho: OURS,
      quickScales: [10_000],
      rounds: 1,
      times: 1,
    },
    {
      what: 'program again',
      who: [...ALL.slice(0, 2), 'corax, from steps', ...ALL.slice(2)],
      quickWho: OURS,
      quickScales: both,
      rounds: 2,
      times: 4,
    },
    { what: 'move 1 %', who: ALL, quickWho: OURS, quickScales: both, rounds: 3, times: 5 },
    { what: 'remove 1 %', who: ALL, quickWho: OURS, quickScales: [1_000], rounds: 2, times: 2 },
  ]),
  bars: [
    bar('program new', 10_000, FLOOR, { kind: 'at most times', value: 1.02 }),
    ...both.map((scale) => bar('program again', scale, FLOOR, { kind: 'at most times', value: 1.2 })),
    ...both.map((scale) => bar('move 1 %', scale, FLOOR, { kind: 'at most ms more', value: 0.3 })),
  ],
};
