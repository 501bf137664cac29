/** What a hundred and a thousand connections cost, with Debian's pluto in a network namespace of its own. */
import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import type { PlutoLine } from '#src/native.js';
import { refusalIn } from '#src/tunnel/libreswan/pluto-client.js';
import { addInTurns, edgeConnections, PLUTO_ADDRESS } from '../../bench/agent/libreswan.js';
import { type LivePluto, startPluto } from '../../lab/libreswan/live-pluto.js';

/** The bar. */
const TIMES_FASTER = 20;
const ROUNDS = 5;

let live: LivePluto;

before(async () => {
  live = await startPluto(PLUTO_ADDRESS);
});

after(() => live?.stop());

async function seconds(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return (performance.now() - started) / 1000;
}

test(`100 connections: at least ${TIMES_FASTER} times faster than a whack for each`, async (t) => {
  const { byWhack, bySocket } = await addInTurns(live, 100, ROUNDS);
  const [least, leastSent] = [Math.min(...byWhack), Math.min(...bySocket)];
  const ratio = least / leastSent;
  t.diagnostic(
    `pluto ${live.version}: ${least.toFixed(2)} s by whack, ${leastSent.toFixed(3)} s by the socket: ${ratio.toFixed(0)} times`,
  );
  assert.ok(ratio >= TIMES_FASTER, `${ratio.toFixed(1)} times`);
});

test('1,000 connections are added and listed, and the event loop goes on', async (t) => {
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const adding = await seconds(async () => {
    for (const one of edgeConnections(1_000)) assert.equal(refusalIn(await live.pluto.send(live.version, one)), null);
  });
  let lines = 0;
  const listing = await seconds(async () => {
    for (let times = 0; times < 20; times += 1) {
      lines = (await live.pluto.send(live.version, { op: 'showstates' })).lines.length;
      await live.pluto.send(live.version, { op: 'trafficstatus' });
    }
  });
  loop.disable();
  let status: readonly PlutoLine[] = [];
  const shares: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = performance.eventLoopUtilization();
    ({ lines: status } = await live.pluto.send(live.version, { op: 'status' }));
    shares.push(performance.eventLoopUtilization(before).utilization);
  }
  const share = Math.min(...shares);
  const ms = (value: number) => (value / 1e6).toFixed(1);
  t.diagnostic(
    `added in ${adding.toFixed(2)} s, 20 × showstates and trafficstatus in ${listing.toFixed(2)} s (${lines} lines); event loop p99 ${ms(loop.percentile(99))} ms, at most ${ms(loop.max)} ms; status: ${status.length} lines, the loop was busy with it for ${Math.round(share * 100)} % of the time`,
  );
  const listed = new Set(status.flatMap(({ text }) => /^"([^"]+)": /.exec(text)?.[1] ?? []));
  assert.equal(listed.size, 1_000);
  assert.ok(share < 0.5, 'most of the time that pluto and the reading take the event loop is free');
});
