/** The agent's loop: what one change costs among many gateways, and how long it takes to become known. */
import { type Bar, type Case, LOAD, type Task } from '../model.js';

const SCALES = [100, 1_000, 10_000] as const;

function task(what: string, scale: number, times: number): Task {
  return { case: what === 'harvest' ? what : 'loop', what, scale, who: ['corax'], rounds: 1, times };
}

export const loopCase: Case = {
  name: 'loop',
  title: 'One change among many gateways',
  method:
    'The agent’s loop with its memory, adapters and publisher, without a kernel or an API behind them; JavaScript alone ' +
    'is timed, while it works. *Hole moved*: on a relay, from a peer’s new endpoint to the write to its Gateway and the ' +
    'reading of it again. *Subnet changed*: on an edge that has as many others, from the Gateway to routes and allowed ' +
    'IPs. Both for one gateway, the mean of 20; that nothing is done for any other is checked by counting. *Start*: from ' +
    'the first reading of all Gateways until all steps were taken. The time should not grow with the number of gateways ' +
    'for the first two.',
  tasks: (quick) => [
    ...(quick ? [100, 10_000] : SCALES).flatMap((scale) => [
      task('hole moved', scale, quick ? 6 : 10),
      task('subnet changed', scale, quick ? 6 : 10),
    ]),
    ...(quick ? [] : SCALES.map((scale) => task('start', scale, 3))),
  ],
  bars: ['hole moved', 'subnet changed'].map((what) => ({
    case: 'loop',
    what,
    scale: 10_000,
    who: 'corax',
    clock: 'instructions',
    against: { who: 'corax', scale: 100 },
    limit: { kind: 'at most times', value: 1.5 },
  })),
};

export const demandCase: Case = {
  name: 'demand',
  title: 'Direct planes on demand',
  method:
    'An edge with so many others has traffic with fifty of them. *Traffic begins*: from the first look that sees their ' +
    'packets until their paths are direct, JavaScript alone, for each of the fifty (as above: without a kernel, which ' +
    'answers at once); that nobody else gets a peer is checked by counting. *Look at the traffic*: what the agent does ' +
    'four times a second, with so many addresses met with in the last five seconds: nftables’ answer and its parsing. What it costs a packet stands under ' +
    'throughput, how long it takes from the first packet under direct.',
  tasks: (quick) =>
    quick
      ? []
      : [
          ...SCALES.map((scale) => ({ ...task('traffic begins', scale, scale > 1_000 ? 1 : 3), case: 'demand' })),
          ...[1, 50, 1_000].map((scale) => ({ ...task('look at the traffic', scale, 9), case: 'demand' })),
        ],
  bars: [],
};

export const harvestCase: Case = {
  name: 'harvest',
  title: 'From a new hole to the Gateway',
  method:
    'A relay’s agent over a real device with so many peers; one edge after the other completes a handshake from a new ' +
    'address (a load generator in Go). Milliseconds of the guest from its first packet to the write to its Gateway; ' +
    'generator, kernel and agent share one processor. The agent looks when the kernel has answered a handshake, and once a ' +
    'second. One write for each hole, and none for anybody else, is checked.',
  tasks: (quick) =>
    (quick ? [10_000] : [1, 1_000, 10_000]).map((scale) => ({
      ...task('harvest', scale, quick ? 3 : 15),
      needs: LOAD,
    })),
  bars: [10_000].map(
    (scale): Bar => ({
      ...{ case: 'harvest', what: 'harvest', scale, who: 'corax', clock: 'instructions' },
      limit: { kind: 'at most', value: 1_500 },
    }),
  ),
};

export const edgesCase: Case = {
  name: 'edges',
  title: 'Thousands of edges at one relay',
  method:
    'So many edges complete WireGuard handshakes with a relay’s device, 40 a second, each with its own key and from an ' +
    'address of its own that its Gateway does not have yet (the load generator again). Milliseconds of the guest from an edge’s first packet to the write to its Gateway, as a hundred quantiles; ' +
    'generator, kernel and agent share one processor. One write for each edge is checked, and that when a thousand ' +
    'of them shake hands again from the same addresses nothing is written. The agent’s pacing of writes (20 a second) is switched off.',
  tasks: (quick) =>
    quick
      ? []
      : [1_000, 10_000].map((scale) => ({
          ...{ case: 'edges', what: 'edges appear', scale, who: ['corax'], rounds: 1, times: 1, needs: LOAD },
        })),
  bars: [],
};

export const startCase: Case = {
  name: 'start',
  title: 'An agent starts',
  method:
    'A whole agent of a relay, in a process of its own, on a node where nothing stands: from its start until the kernel ' +
    'has a peer and a route for each of so many edges, their Gateways read from a folder of YAML, a file each. One edge: ' +
    'that is the time to the first tunnel.',
  tasks: (quick) =>
    quick
      ? []
      : [1, 1_000, 10_000].map((scale) => ({
          ...{ case: 'start', what: 'agent starts', scale, who: ['corax'], rounds: 1, times: scale > 1_000 ? 1 : 3 },
        })),
  bars: [],
};
