/**
 * Many SAs: what reading, comparing and deleting them costs, and that the event loop is free meanwhile. In the network
 * namespace it is started in, as xfrm.kernel.test.ts; imports nothing but the addon and Node.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, test } from 'node:test';
import { ChangeFlag, openEngine } from '#src/native.js';

const NEAR = '192.0.2.1';
const FIRST_SPI = 100_000;
const reqidOf = (spi: number): number => (spi % 16_383) + 1;

/** As pluto makes them: ESP in UDP, tunnel mode, AES-GCM. */
function addAll(spis: readonly number[]): void {
  const input = spis.map((spi) => {
    const source = `198.18.${(spi >> 8) & 255}.${spi & 255}`;
    const sa = `src ${source} dst ${NEAR} proto esp spi ${spi} reqid ${reqidOf(spi)} mode tunnel`;
    return `xfrm state add ${sa} aead rfc4106(gcm(aes)) 0x${'11'.repeat(20)} 128 encap espinudp 4500 4500 0.0.0.0\n`;
  });
  const { status, stderr } = spawnSync('ip', ['-batch', '-'], { encoding: 'utf8', input: input.join('') });
  assert.equal(status, 0, stderr);
}

/** Processor time of the event loop's thread alone, in milliseconds. */
function threadTime(): number {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

/** Milliseconds a call of many, and how many of them the event loop was busy with it. */
async function measured(calls: number, call: () => Promise<unknown>): Promise<{ elapsed: number; busy: number }> {
  // Code that runs for the first time is slow.
  await call();
  const before = threadTime();
  const start = performance.now();
  for (let done = 0; done < calls; done += 1) await call();
  return { elapsed: (performance.now() - start) / calls, busy: (threadTime() - before) / calls };
}

describe('many SAs', () => {
  const engine = openEngine(() => {});
  before(() => {
    spawnSync('modprobe', ['-q', '-a', 'xfrm_user', 'esp4', 'gcm', 'ghash_generic', 'seqiv', 'ctr']);
  });
  // Of this test alone, also where one failed.
  afterEach(() => {
    spawnSync('ip', ['xfrm', 'state', 'flush']);
  });
  after(() => engine.close());

  for (const count of [1_000, 10_000]) {
    test(`${count} SAs: the event loop is free while they are read and compared; deleted one by one`, async () => {
      const spis = Array.from({ length: count }, (_, index) => FIRST_SPI + index);
      addAll(spis);
      const tell = (what: string, { elapsed, busy }: { elapsed: number; busy: number }): void => {
        const times = `${elapsed.toFixed(1)} ms, the event loop busy with it ${busy.toFixed(1)} ms`;
        console.log(`${what} of ${count} SAs: ${times}`);
      };
      const found = await engine.xfrmSnapshot();
      assert.deepEqual(new Set(found.spis), new Set(spis));
      assert.equal(found.count, count);
      assert.ok(found.spis.every((spi, index) => found.reqids[index] === reqidOf(spi)));

      const calls = 50_000 / count;
      const snapshot = await measured(calls, () => engine.xfrmSnapshot());
      tell('snapshot', snapshot);
      assert.equal((await engine.xfrmDelta()).count, count);
      const delta = await measured(calls, () => engine.xfrmDelta());
      tell('delta', delta);
      const { count: changed, total } = await engine.xfrmDelta();
      assert.deepEqual([changed, total], [0, count]);
      // Of a thousand most is what any call costs, at an emulated processor.
      for (const { elapsed, busy } of count < 10_000 ? [] : [snapshot, delta]) {
        assert.ok(busy < elapsed / 3, `the event loop was busy for ${busy} of ${elapsed} ms`);
      }

      const gone = spis.map((spi) => ({ destination: NEAR, spi, protocol: 50 }));
      const start = performance.now();
      const results = await engine.xfrmDelete({ states: gone });
      console.log(`deletion of ${count} SAs: ${(performance.now() - start).toFixed(1)} ms`);
      assert.deepEqual(results, new Array(count).fill(null));
      const removed = await engine.xfrmDelta();
      assert.deepEqual([removed.count, new Set(removed.changes)], [count, new Set([ChangeFlag.Removed])]);
      assert.equal((await engine.xfrmSnapshot()).count, 0);
    });
  }
});
