import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { it, type TestContext } from 'node:test';
import { FAN_SOCKETS } from '#src/decide/strategies.js';
import { Fleet, PROBES_PER_PULSE, PULSE_MS, START } from './fleet.js';

const EDGES = 500;
const PACE = (1_000 / PULSE_MS) * PROBES_PER_PULSE;

/** A second of the fleet's, not of the test's. */
function onFleetTime(t: TestContext, fleet: Fleet): void {
  t.mock.method(performance, 'now', () => fleet.now - START);
}

const most = (seconds: readonly number[]) => Math.max(0, ...seconds.filter((packets) => packets > 0));

it('500 edges come up at once: each has its turn, and none floods', (t) => {
  const fleet = new Fleet(EDGES);
  onFleetTime(t, fleet);
  fleet.comeUp();
  fleet.run(10_000);
  const { edges, directPairs } = fleet;
  const [probes, messages] = [
    Math.max(...edges.map(({ sent }) => most(sent.probes))),
    Math.max(...edges.map(({ sent }) => most(sent.messages))),
  ];
  const least = Math.min(...edges.map(({ directAt }) => directAt.size));
  t.diagnostic(`${directPairs} pairs direct, at least ${least} of each edge`);
  t.diagnostic(`in a second, an edge sent at most ${probes} probes and ${messages} messages`);
  assert.deepEqual(new Set(edges.map(({ peak }) => peak)), new Set([1]), 'one try at a time');
  // A second may see the end of one fan and another.
  assert.ok(probes <= PACE + 2 * FAN_SOCKETS, `${probes} probes in a second`);
  assert.ok(messages <= 40, `${messages} messages in a second`);
  assert.ok(least >= 3, `an edge has ${least} direct`);
  // One try takes about a second, at both ends.
  assert.ok(directPairs > EDGES * 4, `${directPairs} direct`);
});
