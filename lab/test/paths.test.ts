/**
 * One pair of edges through everything that can happen to its path, with a ping every 20 ms and TCP beside it:
 * what is lost is lost between a cut and its detection, and nowhere else.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { Lab } from '../lab.js';
import type { PingReport } from '../traffic/pinger.js';
import { bothOn, bothPlanesAlive, forcePath, frozen, LONG_MS, type Pair, pause, startAgents } from './agents.js';

/** The design's bar for traffic to flow again after the direct path was cut. */
const DETECTED_MS = 3_000;
/** What a busy emulated machine adds to it: agents that get no processor detect nothing. */
const EMULATION_MS = 1_500;
const PING_MS = 20;
/** No TCP connection stalls longer, but while a cut is not detected yet. */
const STALL_MS = 1_000;

let lab: Lab;
let pair: Pair;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted' },
      { name: 'edge-b', nat: 'port-restricted' },
    ],
    relays: [{ name: 'relay-1' }],
    delays: 'proposal',
  });
  pair = { a: lab.site('edge-a'), b: lab.site('edge-b') };
});

after(() => lab?.destroy());

/** Pings and TCP for as long as something is done; the report of what was lost meanwhile. */
async function meanwhile(t: TestContext, act: () => Promise<void>, detectedMs = 0): Promise<PingReport> {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  const tcp = await lab.tcp('edge-a', 'edge-b');
  await act();
  await pause(1_000);
  const stream = await tcp.stop();
  const report = await pings.stop();
  t.diagnostic(
    `pings: ${report.sent} sent, ${report.lost} lost, longest gap ${Math.round(report.longestGapMs)} ms; ` +
      `TCP: longest stall ${Math.round(stream.longestStallMs)} ms, ${stream.opened} new, ${stream.failed} failed`,
  );
  assert.ok(stream.alive, `the TCP connection lives: ${stream.error}`);
  assert.deepEqual(stream.failures, [], 'every new TCP connection was made');
  const stallMs = detectedMs + STALL_MS + EMULATION_MS;
  assert.ok(stream.longestStallMs <= stallMs, `TCP stalled for ${Math.round(stream.longestStallMs)} ms`);
  return report;
}

const cut = () => lab.faults.cut(pair.a.plan.publicAddress, pair.b.plan.publicAddress);
const heal = () => lab.faults.heal(pair.a.plan.publicAddress, pair.b.plan.publicAddress);

test('relay first, then direct: nothing is lost', async (t) => {
  await startAgents([lab.relay(), pair.a]);
  await pair.b.startAgent();
  await lab.waitFor(async () => (await pair.a.peer('edge-b')).planes.relay?.rttMs, {
    what: 'traffic by the relay',
    timeoutMs: LONG_MS,
  });
  const report = await meanwhile(t, async () => {
    t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
    await bothPlanesAlive(lab, pair);
  });
  assert.equal(report.lost, 0);
});

test('direct path cut: traffic flows again by the relay within 3 s; healed: direct again, nothing lost', async (t) => {
  let cutAt = 0;
  const report = await meanwhile(
    t,
    async () => {
      await pause(1_000);
      await cut();
      cutAt = Date.now();
      t.diagnostic(`both on the relay after ${(await bothOn(lab, pair, 'relay')).toFixed(1)} s`);
      await pause(2_000);
      await heal();
      t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
      await pause(2_000);
    },
    DETECTED_MS,
  );
  // The cut takes effect somewhere before the command that made it has returned.
  const outside = report.lostAt.filter((at) => at > cutAt + DETECTED_MS + EMULATION_MS);
  assert.deepEqual(outside, [], 'nothing is lost once the cut is detected');
  const last = report.lostAt.at(-1) ?? cutAt;
  t.diagnostic(`last ping lost ${Math.round(last - cutAt)} ms after the cut`);
  assert.ok(report.lost > 0, 'the cut was felt');
});

test('the two ends on different paths for 10 s: nothing is lost, TCP does not stall', async (t) => {
  await bothPlanesAlive(lab, pair);
  const report = await meanwhile(t, async () => {
    await frozen([pair.a], async () => {
      await forcePath(pair.a, pair.b, 'relay');
      await pause(10_000);
      assert.equal((await pair.b.peer('edge-a')).path, 'direct', 'the other end stays on the direct path');
      await forcePath(pair.a, pair.b, 'direct');
    });
  });
  assert.equal(report.lost, 0);
  await bothOn(lab, pair, 'direct');
});

test('a probe tests one plane both ways, whatever the paths and with the direct path cut or not', async (t) => {
  await bothPlanesAlive(lab, pair);
  const count = 5;
  const answered = async (plane: 'relay' | 'direct') => {
    const tos = plane === 'direct' ? '0x10' : '0x08';
    const { bridgeAddress } = pair.a.plan;
    const flags = ['-n', '-q', '-c', String(count), '-i', '0.2', '-W', '2', '-Q', tos, '-I', bridgeAddress];
    const { stdout } = await pair.a.exec(['ping', ...flags, pair.b.plan.bridgeAddress], { allowFailure: true });
    return Number(/(\d+) received/.exec(stdout)?.[1]);
  };
  await frozen([pair.a, pair.b], async () => {
    for (const isCut of [false, true]) {
      if (isCut) await cut();
      for (const mine of ['relay', 'direct'] as const) {
        for (const theirs of ['relay', 'direct'] as const) {
          await forcePath(pair.a, pair.b, mine);
          await forcePath(pair.b, pair.a, theirs);
          const seen = { relay: await answered('relay'), direct: await answered('direct') };
          const expected = { relay: count, direct: isCut ? 0 : count };
          t.diagnostic(
            `paths ${mine}/${theirs}${isCut ? ', cut' : ''}: relay ${seen.relay}, direct ${seen.direct} of ${count}`,
          );
          assert.deepEqual(seen, expected, `paths ${mine}/${theirs}${isCut ? ', direct path cut' : ''}`);
        }
      }
    }
    await heal();
  });
  await bothOn(lab, pair, 'direct');
});

test('agent killed with -9 and started again: nothing is lost, the path stays direct', async (t) => {
  await bothPlanesAlive(lab, pair);
  const before = await pair.a.exec(['wg', 'show', 'all', 'latest-handshakes']);
  const report = await meanwhile(t, async () => {
    await pair.a.restart('kill9');
    await bothPlanesAlive(lab, pair);
    await bothOn(lab, pair, 'direct');
  });
  assert.equal(report.lost, 0);
  const keys = (text: string) =>
    text
      .split('\n')
      .map((line) => line.split('\t')[1])
      .sort();
  const now = await pair.a.exec(['wg', 'show', 'all', 'latest-handshakes']);
  assert.deepEqual(keys(now.stdout), keys(before.stdout), 'the same peers with the same keys');
});

test('NAT rebinding of one edge: a new hole is published, direct again without restart', async (t) => {
  const holeOf = async () => (await pair.a.status()).nat.hole;
  const before = await holeOf();
  await pair.a.rebindNat();
  const hole = await lab.waitFor(async () => ((await holeOf()) === before ? null : await holeOf()), {
    what: 'another hole of edge-a',
    timeoutMs: LONG_MS,
  });
  t.diagnostic(`${before} became ${hole}`);
  await bothOn(lab, pair, 'direct');
  await bothPlanesAlive(lab, pair);
  assert.equal((await pair.b.peer('edge-a')).planes.direct?.endpoint, hole, 'the other end sends there');
});

test('relay gone: the direct path stays up', async (t) => {
  const report = await meanwhile(t, async () => {
    await lab.relay().kill9();
    await lab.faults.blockUdp(lab.relay().plan.publicAddress);
    await pause(15_000);
    for (const [from, to] of [
      ['edge-a', 'edge-b'],
      ['edge-b', 'edge-a'],
    ] as const) {
      assert.equal((await lab.site(from).peer(to)).path, 'direct');
    }
  });
  assert.equal(report.lost, 0);
});

test('relay back with an empty kernel: everything heals within 15 s', async (t) => {
  const relay = lab.relay();
  for (const command of [
    ['ip', 'link', 'del', 'raven-wg0'],
    ['nft', 'delete', 'table', 'ip', 'corax'],
  ])
    await relay.exec(command);
  await lab.faults.unblockUdp(relay.plan.publicAddress);
  await relay.startAgent();
  const started = performance.now();
  await lab.waitFor(
    async () => {
      const answers = await Promise.all([pair.a.peer('relay-1'), pair.b.peer('relay-1')]);
      const fresh = answers.every(
        (peer) => peer.planes.relay?.loss !== 1 && Date.now() / 1000 - (peer.planes.relay?.lastHandshake ?? 0) < 15,
      );
      return fresh ? true : null;
    },
    { what: 'both edges have a fresh session with the relay', timeoutMs: LONG_MS },
  );
  const seconds = (performance.now() - started) / 1000;
  t.diagnostic(`healed ${seconds.toFixed(1)} s after the relay's agent answered`);
  assert.ok(seconds <= 15, `${seconds.toFixed(1)} s`);
  const pings = await lab.pinger('edge-a', 'relay-1', { intervalMs: 100 });
  await pause(2_000);
  assert.equal((await pings.stop()).lost, 0, 'pods behind the relay answer');
});
