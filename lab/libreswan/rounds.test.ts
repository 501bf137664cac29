/**
 * Both ends set up their direct plane at the same time, over and over: no round leaves a black hole or a second pair of
 * SAs. CORAX_LAB_FULL plays all 20 rounds at 50 ms and 10 at 700 ms, CORAX_LAB_BRIEF three and one.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Lab } from '../lab.js';
import { bothOn, LONG_MS, type Pair, startAgents } from '../test/agents.js';
import { spisOf } from './sas.js';

const { CORAX_LAB_FULL, CORAX_LAB_BRIEF } = process.env;
const [OFTEN, SELDOM] = CORAX_LAB_FULL === '1' ? [20, 10] : CORAX_LAB_BRIEF === '1' ? [3, 1] : [6, 2];

let lab: Lab | null = null;

after(() => lab?.destroy());

for (const [rttMs, rounds] of [
  [50, OFTEN],
  [700, SELDOM],
] as const) {
  test(`${rounds} rounds at a round trip of ${rttMs} ms: one pair of SAs each, no black hole, pluto alive`, async (t) => {
    await lab?.destroy();
    const made = await Lab.create({
      sites: [
        { name: 'edge-a', nat: 'port-restricted' },
        { name: 'edge-b', nat: 'port-restricted' },
      ],
      relays: [{ name: 'relay-1' }],
      delays: { site: rttMs / 2, relay: rttMs / 4 },
      driver: 'libreswan',
    });
    lab = made;
    const pair: Pair = { a: made.site('edge-a'), b: made.site('edge-b') };
    const edges = [pair.a, pair.b];
    await startAgents([made.relay(), ...edges]);
    await bothOn(made, pair, 'direct');
    const plutos = made.nodes.map((node) => node.plutoPid);
    const seconds: string[] = [];
    let before = await Promise.all(edges.map((edge) => spisOf(edge, 'direct')));
    for (let round = 1; round <= rounds; round += 1) {
      // Both get new holes in the same moment, and learn of each other's in the same moment too.
      await Promise.all(edges.map((edge) => edge.rebindNat()));
      const started = performance.now();
      const now = await made.waitFor(
        async () => {
          const spis = await Promise.all(edges.map((edge) => spisOf(edge, 'direct')));
          assert.deepEqual(spis[0], spis[1], 'both ends have the same SAs');
          assert.equal(spis[0]?.length, 2, 'one in, one out');
          assert.ok(
            spis[0]?.every((spi) => !before[0]?.includes(spi)),
            'new ones',
          );
          return spis;
        },
        { what: `round ${round}: one new pair of SAs at both ends`, timeoutMs: LONG_MS },
      );
      before = now;
      await bothOn(made, pair, 'direct');
      const pings = await made.pinger('edge-a', 'edge-b', { intervalMs: 100 });
      await made.waitFor(() => pings.received >= 10, { what: `round ${round}: pings pass`, timeoutMs: LONG_MS });
      await pings.stop();
      seconds.push(((performance.now() - started) / 1000).toFixed(1));
    }
    t.diagnostic(`seconds until direct again: ${seconds.join(', ')}`);
    assert.deepEqual(
      made.nodes.map((node) => node.plutoPid),
      plutos,
      'no pluto ended',
    );
  });
}
