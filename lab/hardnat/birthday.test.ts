/**
 * Symmetric with port-restricted, which no hole alone gets through: one end opens many mappings, the other probes until it
 * hits one. NATs that give out 64,512 ports, as real ones do, and forget what is idle for 30 s. One try each way; with
 * CORAX_LAB_FULL ten, and the bar on their time.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { SPRAY_PROBES } from '#src/decide/opening-size.js';
import type { Lab } from '../lab.js';
import { LONG_MS, type Pair, pause } from '../test/agents.js';
import { bothWent, createLab, goDirect, IDLE_S, type NatKind, OTHER_ENTRIES, openingLines } from './openings.js';

const FULL = process.env.CORAX_LAB_FULL === '1';
const RUNS = FULL ? 10 : 1;
/** The bar, and the part of all runs that has to reach it. */
const BAR_S = 5;
const BAR_SHARE = 0.95;
/** 1.7 % of tries miss: three in a row are a fault of ours. */
const MOST_TRIES = 3;
/** Long enough for what is wrongly taken for an orphan to be taken away, and for a plane to be found dead. */
const SETTLED_MS = 8_000;

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createLab());
});

after(() => lab?.destroy());

const ORDERS: ReadonlyArray<readonly [NatKind, NatKind]> = [
  ['symmetric', 'port-restricted'],
  ['port-restricted', 'symmetric'],
];
/** Others of the two sorts: Linux's masquerade filters by address and port, and keeps the port that it is given. */
const FURTHER: ReadonlyArray<readonly [NatKind, NatKind]> = [
  ['linux', 'symmetric'],
  ['symmetric', 'linux'],
];
const times: number[] = [];

async function run(t: TestContext, kinds: readonly [NatKind, NatKind]): Promise<void> {
  const { seconds, tries, entries } = await goDirect(t, lab, pair, kinds);
  assert.ok(tries <= MOST_TRIES, `${tries} tries`);
  const easy = kinds.indexOf('symmetric') === 0 ? 1 : 0;
  assert.ok(
    (entries[easy] as number) <= tries * SPRAY_PROBES + OTHER_ENTRIES,
    `${entries[easy]} entries at the easy NAT`,
  );
  times.push(seconds);
}

for (const kinds of FULL ? FURTHER : []) {
  test(`${kinds[0]} with ${kinds[1]}: direct, nothing lost`, (t) => run(t, kinds));
}

for (const kinds of ORDERS) {
  test(`${kinds[0]} with ${kinds[1]}: direct, nothing lost, ${RUNS} times`, async (t) => {
    for (let index = 0; index < RUNS; index++) await run(t, kinds);
  });
}

if (FULL) {
  test(`${BAR_SHARE * 100} % of them within ${BAR_S} s`, (t) => {
    const within = times.filter((seconds) => seconds <= BAR_S).length;
    t.diagnostic(times.map((seconds) => seconds.toFixed(2)).join(' '));
    assert.ok(within >= BAR_SHARE * times.length, `${within} of ${times.length}`);
  });
}

test('what was opened outlives the agent, at either end, and its pings', async (t) => {
  // Only the kernel answers while an agent is gone.
  for (const node of [pair.a, pair.b]) await node.admitPings(true);
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await lab.waitFor(() => pings.received > 0, { what: 'the pods reach each other', timeoutMs: LONG_MS });
  const since = Date.now();
  for (const node of [pair.a, pair.b]) {
    await node.restart('kill9');
    await pause(SETTLED_MS);
    assert.equal((await node.peer(node === pair.a ? 'gw-b' : 'gw-a')).path, 'direct');
  }
  assert.deepEqual(
    [pair.a, pair.b].flatMap((node) => openingLines(node, since)),
    [],
    'no path changed, nothing was opened',
  );
  const { sent, lost } = await pings.stop();
  t.diagnostic(`${lost} of ${sent} pings lost`);
  assert.equal(lost, 0);
});

test(`it holds without traffic though the NATs forget after ${IDLE_S} s`, async () => {
  const since = Date.now();
  await pause((FULL ? 180 : IDLE_S + 10) * 1_000);
  assert.deepEqual(
    [pair.a, pair.b].flatMap((node) => openingLines(node, since)),
    [],
    'no path changed',
  );
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await lab.waitFor(() => pings.received >= 10, { what: 'ten pings answered', timeoutMs: LONG_MS });
  assert.equal((await pings.stop()).lost, 0);
});

// The latest order is the last: edge-b is the symmetric one.
for (const name of FULL ? (['edge-b', 'edge-a'] as const) : (['edge-b'] as const)) {
  test(`${name}'s NAT is rebound: the relay carries it, then another way is found`, async (t) => {
    const since = Date.now();
    await lab.site(name).rebindNat();
    await bothWent(lab, pair, 'relayed', since);
    await bothWent(lab, pair, 'direct', since);
    t.diagnostic(`direct again after ${((Date.now() - since) / 1000).toFixed(0)} s`);
  });
}
