/** The agent killed between any two steps of an apply: the next one gets done, and the hole stays where it was. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Lab } from '../lab.js';
import { isAlive } from '../process.js';
import { bothOn, createPair, forgetAll, holeOf, LONG_MS, type Pair, pause, startAgents } from './agents.js';

/** More steps than a relay and a remote take. */
const MOST_STEPS = 100;
const { CORAX_LAB_FULL, CORAX_LAB_BRIEF } = process.env;
/**
 * From an empty kernel an apply has some forty steps, over what the last left behind some twelve: how many are passed
 * over between two deaths. All are died at in the long runs.
 */
const [AFRESH, ONWARD] = CORAX_LAB_FULL === '1' ? [1, 1] : CORAX_LAB_BRIEF === '1' ? [7, 3] : [3, 1];

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createPair(['port-restricted', 'full-cone'], {
    delays: 'none',
    stun: false,
  }));
  await startAgents([...lab.relays, ...lab.sites]);
  await bothOn(lab, pair, 'direct');
});

after(() => lab?.destroy());

for (const [stride, afresh, from] of [
  [AFRESH, true, 'an empty kernel'],
  [ONWARD, false, 'what the one before left behind'],
] as const) {
  const which = stride === 1 ? 'any step' : `one of ${stride} steps`;
  test(`the agent killed after ${which} of an apply, each time from ${from}`, async (t) => {
    const holes = [await holeOf(pair.a), await holeOf(pair.b)];
    await pair.a.kill9();
    await forgetAll(pair.a);
    let steps = 1;
    while (await diesAfter(steps)) {
      steps += stride;
      assert.ok(steps < MOST_STEPS, 'an agent that gets further each time gets done');
      if (afresh) await forgetAll(pair.a);
    }
    t.diagnostic(`${Math.ceil((steps - 1) / stride)} deaths`);
    assert.ok(steps > 10, `there is more to do than ${steps - 1} steps`);
    await pair.a.restart('kill9');
    t.diagnostic(`direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
    assert.deepEqual([await holeOf(pair.a), await holeOf(pair.b)], holes, 'the holes did not move');
    const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
    await pause(2_000);
    const { sent, lost } = await pings.stop();
    assert.equal(lost, 0, `${lost} of ${sent} pings lost`);
  });
}

/** Starts an agent that kills itself after so many steps: true where it did, false where it got done before. */
async function diesAfter(steps: number): Promise<boolean> {
  const { a, b } = pair;
  try {
    await a.startAgent([], { CORAX_FAULT: `exit-after-step:${steps}` });
  } catch {
    return true;
  }
  const pid = a.agentPid as number;
  return lab
    .waitFor(
      async () => {
        if (!isAlive(pid)) {
          await a.kill9();
          return 'died';
        }
        return (await a.peer(b.name)).path === 'direct' ? 'done' : null;
      },
      { what: `the agent dies after ${steps} steps, or is direct`, timeoutMs: LONG_MS },
    )
    .then((end) => end === 'died');
}
