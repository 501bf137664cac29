/** One pair of edges with Debian's pluto through everything that can happen to its path. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type Lab, PSK } from '../lab.js';
import type { LabNode } from '../node.js';
import { requireInside } from '../setting.js';
import {
  bothOn,
  bothPlanesAlive,
  createPair,
  footprint,
  forcePath,
  frozen,
  holeOf,
  LONG_MS,
  type Pair,
  pause,
  peersOf,
  startAgents,
} from '../test/agents.js';
import type { PingReport } from '../traffic/pinger.js';
import { checkMetrics, seriesOf } from './metrics.js';
import { Rogue, rogueAddress } from './rogue.js';
import { spisOf, whack } from './sas.js';

const PING_MS = 20;
const CUT_MS = 5_000;
const REBOUND_MS = 15_000;
/** In the micro-VM agents and pluto may get no processor for a while; on a real kernel nothing is added. */
const EMULATION_MS = requireInside() === 'vm' ? 2_500 : 0;

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createPair(['port-restricted', 'port-restricted'], {
    delays: 'proposal',
    driver: 'libreswan',
  }));
});

after(() => lab?.destroy());

/** Pings for as long as something is done. */
async function meanwhile(t: TestContext, act: () => Promise<void>): Promise<PingReport> {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  try {
    await act();
    await pause(1_000);
  } catch (error) {
    pings.kill();
    throw error;
  }
  const report = await pings.stop();
  t.diagnostic(`pings: ${report.sent} sent, ${report.lost} lost, longest gap ${Math.round(report.longestGapMs)} ms`);
  return report;
}

/** From then on until the last ping that was lost. */
function outage({ lostAt }: PingReport, from: number): number {
  return Math.max(0, (lostAt.at(-1) ?? from) - from);
}

const cut = () => lab.faults.cut(pair.a.plan.publicAddress, pair.b.plan.publicAddress);
const heal = () => lab.faults.heal(pair.a.plan.publicAddress, pair.b.plan.publicAddress);

/** Another pluto has the port, and the pair's pods reach each other. */
async function revived(node: LabNode, before: number | null): Promise<void> {
  await lab.waitFor(async () => node.plutoPid !== null && node.plutoPid !== before, {
    what: `another pluto on ${node.name}`,
    timeoutMs: LONG_MS,
  });
}

test('relay first, then direct: nothing is lost', async (t) => {
  await startAgents([lab.relay(), pair.a]);
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  await pair.b.startAgent();
  await lab.waitFor(() => pings.received > 0, { what: 'the pods reach each other', timeoutMs: LONG_MS });
  const paths = (await peersOf(pair)).map(({ path }) => path);
  t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
  await bothPlanesAlive(lab, pair);
  const { replies, lostAt } = await pings.stop();
  assert.deepEqual(paths, ['relay', 'relay']);
  const [reached] = replies;
  assert.deepEqual(
    lostAt.filter((at) => at > (reached?.sentAt ?? 0)),
    [],
  );
});

test('the holes that the relay reads from the kernel are those that pluto says', async () => {
  const relay = lab.relay();
  const said = await whack(relay, '--showstates');
  for (const edge of [pair.a, pair.b]) {
    const { endpoint } = (await relay.peer(edge.name)).planes.relay ?? assert.fail();
    const states = said.split('\n').filter((line) => line.includes(`-${edge.plan.podSubnet}"`));
    assert.ok(
      states.some((line) => line.includes(` ${endpoint} `) && line.includes('ESTABLISHED_CHILD_SA')),
      said,
    );
    assert.equal((await edge.status()).nat.hole, endpoint);
  }
});

test('metrics of a pair and its SAs', async () => {
  await bothPlanesAlive(lab, pair);
  await checkMetrics(pair);
});

test('relay, direct, relay by choice, the ends a second apart: nothing is lost', async (t) => {
  await bothPlanesAlive(lab, pair);
  const { a, b } = pair;
  const report = await meanwhile(t, () =>
    frozen([a, b], async () => {
      for (const plane of ['relay', 'direct'] as const) {
        await forcePath(a, b, plane);
        await pause(1_000);
        await forcePath(b, a, plane);
        await pause(1_000);
      }
    }),
  );
  assert.equal(report.lost, 0);
  await bothOn(lab, pair, 'direct');
});

test('agent killed with -9, and stopped, and started again: pluto and its SAs stay, nothing is lost', async (t) => {
  await bothPlanesAlive(lab, pair);
  const { a } = pair;
  const seen = async () => [a.plutoPid, await spisOf(a, 'relay'), await spisOf(a, 'direct')];
  const before = await seen();
  const report = await meanwhile(t, async () => {
    for (const how of ['kill9', 'stop'] as const) {
      await a.restart(how);
      await bothPlanesAlive(lab, pair);
      await bothOn(lab, pair, 'direct');
    }
  });
  assert.deepEqual(await seen(), before, 'the same pluto, the same SAs');
  assert.equal(report.lost, 0);
});

test('NAT rebinding of either edge: traffic flows again within 15 s, and goes direct again', async (t) => {
  for (const edge of [pair.a, pair.b]) {
    await bothPlanesAlive(lab, pair);
    const before = await holeOf(edge);
    let reboundAt = 0;
    const report = await meanwhile(t, async () => {
      await edge.rebindNat();
      reboundAt = Date.now();
      await lab.waitFor(async () => (await holeOf(edge)) !== before, { what: 'another hole', timeoutMs: LONG_MS });
      await bothPlanesAlive(lab, pair);
      t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s more`);
    });
    const after = `${before} became ${await holeOf(edge)}; last ping lost ${Math.round(outage(report, reboundAt))} ms after`;
    t.diagnostic(`${edge.name}: ${after}`);
    assert.ok(outage(report, reboundAt) <= REBOUND_MS + EMULATION_MS);
  }
});

test('a rogue with another key, or an ID of nobody: refused, counted, in status; nothing else disturbed', async (t) => {
  await bothPlanesAlive(lab, pair);
  const relay = lab.relay();
  const from = rogueAddress(lab);
  const refused = async () => {
    const { errors } = await relay.status();
    const found = errors.find(({ code, message }) => code === 'CORAX_ROGUE' && message.includes(from));
    return Number(/refused (\d+) time/.exec(found?.message ?? '')?.[1] ?? 0);
  };
  const report = await meanwhile(t, async () => {
    const { address, podSubnet } = pair.a.plan;
    for (const disguise of [
      { name: 'wrong-key', psk: 'another secret', id: `@${address}-${podSubnet}-0.0.0.0/0` },
      { name: 'wrong-id', psk: PSK, id: '@nobody' },
    ]) {
      const rogue = await Rogue.start(lab, disguise, pair.a, relay);
      const before = await refused();
      await rogue.knock();
      await lab.waitFor(async () => (await refused()) > before, {
        what: `${disguise.name} is counted`,
        timeoutMs: LONG_MS,
      });
      await rogue.end();
    }
  });
  assert.equal(report.lost, 0);
  t.diagnostic((await relay.status()).errors.map(({ message }) => message).join(' | '));
  assert.ok(((await seriesOf(relay)).get('corax_handshakes_unanswered_total') ?? 0) >= 2);
  assert.deepEqual(
    (await peersOf(pair)).map(({ path }) => path),
    ['direct', 'direct'],
  );
});

test('direct path cut: traffic flows again by the relay within 5 s', async (t) => {
  await bothPlanesAlive(lab, pair);
  let cutAt = 0;
  const report = await meanwhile(t, async () => {
    await pause(1_000);
    await cut();
    cutAt = Date.now();
    t.diagnostic(`both on the relay after ${(await bothOn(lab, pair, 'relay')).toFixed(1)} s`);
  });
  t.diagnostic(`last ping lost ${Math.round(outage(report, cutAt))} ms after the cut`);
  assert.ok(report.lost > 0, 'the cut was felt');
  assert.ok(outage(report, cutAt) <= CUT_MS + EMULATION_MS);
});

test('pluto killed with -9 under traffic by the relay: back by itself, at either end; healed: direct again', async (t) => {
  for (const node of [pair.a, lab.relay()]) {
    const pid = node.plutoPid;
    let killedAt = 0;
    const report = await meanwhile(t, async () => {
      await pause(500);
      killedAt = Date.now();
      node.killPluto();
      await revived(node, pid);
      await pause(8_000);
    });
    t.diagnostic(`${node.name}: last ping lost ${Math.round(outage(report, killedAt))} ms after pluto was killed`);
    await lab.waitFor(async () => (await node.status()).peers.every((peer) => peer.planes.relay?.rttMs !== null), {
      what: `${node.name} reaches its peers`,
      timeoutMs: LONG_MS,
    });
  }
  await heal();
  // Another hole is tried at once.
  await pair.a.rebindNat();
  t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
});

test('no secret in logs and arguments; --cleanup leaves nothing', { timeout: 120_000 }, async () => {
  const { a } = pair;
  const said = [readFileSync(a.logFile, 'utf8'), readFileSync(`/proc/${a.plutoPid}/cmdline`, 'utf8')];
  said.push(await whack(a, '--trafficstatus'), readFileSync(join(a.stateDirectory, 'pluto/log'), 'utf8'));
  for (const text of said) assert.ok(text.length > 0 && !text.includes(PSK), 'no secret');
  await a.stop();
  await a.exec([...a.agentCommand().slice(0, 3), '--state-dir', a.stateDirectory, '--cleanup']);
  const left = JSON.stringify(await footprint(a));
  assert.ok(!/ipsec4|corax|90(28|29|30)/.test(left), left);
  assert.deepEqual([await spisOf(a, 'relay'), await spisOf(a, 'direct')], [[], []]);
  const { stdout } = await a.exec(['ip', 'xfrm', 'policy']);
  assert.ok(!stdout.includes('if_id'), stdout);
});
