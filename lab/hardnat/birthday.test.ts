/**
 * Symmetric with port-restricted, which no hole alone gets through: one end opens many mappings, the other probes until it
 * hits one. NATs that give out 64,512 ports, as real ones do, and forget what is idle for 30 s. One try each way; with
 * CORAX_LAB_FULL ten.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { SPRAY_PROBES } from '#src/decide/strategies.js';
import type { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { bothOn, LONG_MS, type Pair, pause } from '../test/agents.js';
import { createLab, IDLE_S, type NatKind, openingLines, startBehind, timeToDirect } from './openings.js';

const FULL = process.env.CORAX_LAB_FULL === '1';
const TRIES = FULL ? 10 : 1;
/** The bar, and how many of ten may miss it. */
const BAR_S = 5;
const BAR_SHARE = 0.95;
/** Relay plane, STUN, handshakes and the tunnel's own flow. */
const OTHER_ENTRIES = 64;

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

async function tryOnce(kinds: readonly [NatKind, NatKind]) {
  const since = Date.now();
  await startBehind(lab, pair, kinds);
  const [hard, easy] = kinds[0] === 'symmetric' ? [pair.a, pair.b] : [pair.b, pair.a];
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await lab.waitFor(() => pings.received > 0, { what: 'the pods reach each other', timeoutMs: LONG_MS });
  const reachedAt = Date.now();
  await bothOn(lab, pair, 'direct');
  const entries = await easy.natEntries();
  await pause(1_000);
  const { sent, lostAt } = await pings.stop();
  const lost = lostAt.filter((at) => at > reachedAt).length;
  return { hard, easy, ...timeTo(hard, since), entries, sent, lost };
}

function timeTo(hard: LabNode, since: number): { seconds: number; tries: number } {
  const time = timeToDirect(hard, since);
  assert.ok(time !== null, `${hard.name} says when it asked and when it went direct`);
  return time;
}

async function series(t: TestContext, kinds: readonly [NatKind, NatKind]): Promise<void> {
  const runs = [];
  for (let run = 0; run < TRIES; run++) {
    const { hard, easy, seconds, tries, entries, sent, lost } = await tryOnce(kinds);
    t.diagnostic(
      `direct ${seconds.toFixed(2)} s after the question, ${tries} tries; ${entries} entries at the easy NAT, ${lost} of ${sent} pings lost`,
    );
    assert.equal(lost, 0, `of ${sent} pings, once the first was answered`);
    assert.ok(entries <= tries * SPRAY_PROBES + OTHER_ENTRIES, `${entries} entries at ${easy.name}'s NAT`);
    // What was opened to find the way is gone: all sockets but the tunnel's.
    const { stdout } = await hard.exec(['ss', '-Hun', 'state', 'connected']);
    assert.equal(stdout.trim(), '', `${hard.name} has no socket of the fan left`);
    runs.push(seconds);
  }
  const within = runs.filter((seconds) => seconds <= BAR_S).length;
  assert.ok(within >= Math.floor(BAR_SHARE * TRIES), `${within} of ${TRIES} within ${BAR_S} s: ${runs.join(', ')}`);
}

for (const kinds of ORDERS) {
  test(`${kinds[0]} with ${kinds[1]}: direct within ${BAR_S} s, nothing lost`, (t) => series(t, kinds));
}

test('what was opened outlives the agent at either end', async (t) => {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await lab.waitFor(() => pings.received > 0, { what: 'the pods reach each other', timeoutMs: LONG_MS });
  for (const node of [pair.a, pair.b]) {
    await node.restart('kill9');
    await bothOn(lab, pair, 'direct');
    // Long enough for what is wrongly taken for an orphan to be taken away.
    await pause(6_000);
    await bothOn(lab, pair, 'direct');
  }
  const { sent, lost } = await pings.stop();
  t.diagnostic(`${lost} of ${sent} pings lost`);
  assert.equal(lost, 0);
});

test(`it holds without traffic though the NATs forget after ${IDLE_S} s`, async (t) => {
  const quietS = FULL ? 180 : IDLE_S + 15;
  const since = Date.now();
  await pause(quietS * 1_000);
  assert.deepEqual(
    [pair.a, pair.b].flatMap((node) => openingLines(node, since)),
    [],
    'no path changed',
  );
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await lab.waitFor(() => pings.received >= 10, { what: 'ten pings answered', timeoutMs: LONG_MS });
  const { lost } = await pings.stop();
  assert.equal(lost, 0);
  t.diagnostic(`${quietS} s`);
});

for (const name of FULL ? (['edge-a', 'edge-b'] as const) : (['edge-b'] as const)) {
  test(`${name}'s NAT is rebound: the relay carries it, then another way is found`, async (t) => {
    const since = Date.now();
    await lab.site(name).rebindNat();
    await bothOn(lab, pair, 'relay');
    await bothOn(lab, pair, 'direct');
    t.diagnostic(`direct again after ${((Date.now() - since) / 1000).toFixed(0)} s`);
  });
}
