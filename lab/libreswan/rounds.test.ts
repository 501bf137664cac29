/**
 * Both ends set up their direct plane at the same time, over and over: no round leaves a black hole or a second pair of
 * SAs. CORAX_LAB_FULL plays all 20 rounds at 50 ms and 10 at 700 ms, CORAX_LAB_BRIEF three and one.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Lab } from '../lab.js';
import { bothOn, createPair, LONG_MS, type Pair, peersOf, startAgents } from '../test/agents.js';
import { spisOf } from './sas.js';

const { CORAX_LAB_FULL, CORAX_LAB_BRIEF } = process.env;
const [OFTEN, SELDOM] = CORAX_LAB_FULL === '1' ? [20, 10] : CORAX_LAB_BRIEF === '1' ? [3, 1] : [6, 2];

const RTT_MS = 50;

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createPair(['port-restricted', 'port-restricted'], {
    // By the relay too it stays within the second in which a probe is to be answered.
    delays: { site: RTT_MS / 2, relay: RTT_MS / 20 },
    driver: 'libreswan',
  }));
  await startAgents([lab.relay(), pair.a, pair.b]);
});

after(() => lab?.destroy());

for (const [rttMs, rounds] of [
  [RTT_MS, OFTEN],
  [700, SELDOM],
] as const) {
  test(`${rounds} rounds at a round trip of ${rttMs} ms: one pair of SAs each, no black hole, pluto alive`, async (t) => {
    await lab.faults.stretch(rttMs / RTT_MS);
    await bothOn(lab, pair, 'direct');
    await lab.waitFor(
      async () => (await peersOf(pair)).every(({ planes }) => (planes.direct?.rttMs ?? 0) >= rttMs * 0.9),
      { what: `the direct plane has a round trip of ${rttMs} ms`, timeoutMs: LONG_MS },
    );
    const edges = [pair.a, pair.b];
    const plutos = lab.nodes.map((node) => node.plutoPid);
    const seconds: string[] = [];
    let last = await Promise.all(edges.map((edge) => spisOf(edge, 'direct')));
    for (let round = 1; round <= rounds; round += 1) {
      // Both get new holes in the same moment, and learn of each other's in the same moment too.
      await Promise.all(edges.map((edge) => edge.rebindNat()));
      const started = performance.now();
      const now = await lab.waitFor(
        async () => {
          const spis = await Promise.all(edges.map((edge) => spisOf(edge, 'direct')));
          assert.deepEqual(spis[0], spis[1], 'both ends have the same SAs');
          assert.equal(spis[0]?.length, 2, 'one in, one out');
          assert.ok(
            spis[0]?.every((spi) => !last[0]?.includes(spi)),
            'new ones',
          );
          return spis;
        },
        { what: `round ${round}: one new pair of SAs at both ends`, timeoutMs: LONG_MS },
      );
      last = now;
      await bothOn(lab, pair, 'direct');
      const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
      await lab.waitFor(() => pings.received >= 10, { what: `round ${round}: pings pass`, timeoutMs: LONG_MS });
      await pings.stop();
      seconds.push(((performance.now() - started) / 1000).toFixed(1));
    }
    t.diagnostic(`seconds until direct again: ${seconds.join(', ')}`);
    assert.deepEqual(
      lab.nodes.map((node) => node.plutoPid),
      plutos,
      'no pluto ended',
    );
  });
}
