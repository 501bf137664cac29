/**
 * One pair of edges through everything that can happen to its path, with a ping every 20 ms and TCP beside it:
 * what is lost is lost between a cut and its detection, and nowhere else.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { explanationSchema, peersSchema, statusSchema } from '#src/model/status.js';
import { type Lab, PSK } from '../lab.js';
import { MAIN } from '../node.js';
import { requireInside } from '../setting.js';
import type { PingReport } from '../traffic/pinger.js';
import {
  bothOn,
  bothPlanesAlive,
  createPair,
  forcePath,
  forgetAll,
  frozen,
  LONG_MS,
  type Pair,
  pause,
  peersOf,
  startAgents,
} from './agents.js';

/** The design's bar for traffic to flow again after the direct path was cut. */
const DETECTED_MS = 3_000;
/** In the micro-VM agents may get no processor for a while, and then detect nothing; on a real kernel nothing is added. */
const EMULATION_MS = requireInside() === 'vm' ? 1_500 : 0;
const PING_MS = 20;
/** Prints a page's status and body. */
const FETCH = 'fetch(process.argv[1]).then(async (page) => console.log(page.status, await page.text()))';
/** The page's stream up to its first whole word. */
const FETCH_EVENTS = `fetch(process.argv[1]).then(async ({ status, body }) => {
  let text = '';
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (/event: delta[^]*\\n\\n/.test(text)) break;
  }
  console.log(status, text);
})`;
/** No TCP connection stalls longer, but while a cut is not detected yet. */
const STALL_MS = 1_000;

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createPair(['port-restricted', 'port-restricted'], {
    delays: 'proposal',
  }));
});

after(() => lab?.destroy());

/** Pings and TCP for as long as something is done; the report of what was lost meanwhile. */
async function meanwhile(t: TestContext, act: () => Promise<void>, detectedMs = 0): Promise<PingReport> {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_MS });
  const tcp = await lab.tcp('edge-a', 'edge-b');
  try {
    await act();
    await pause(1_000);
  } catch (error) {
    // The next test needs the port.
    tcp.kill();
    pings.kill();
    throw error;
  }
  const stream = await tcp.stop();
  const report = await pings.stop();
  t.diagnostic(
    `pings: ${report.sent} sent, ${report.lost} lost, longest gap ${Math.round(report.longestGapMs)} ms; ` +
      `TCP: longest stall ${Math.round(stream.longestStallMs)} ms, ${stream.opened} new, ${stream.failed} failed`,
  );
  assert.ok(stream.alive, `the TCP connection lives: ${stream.error}`);
  assert.deepEqual(stream.failures, [], 'every new TCP connection was made');
  // TCP notices at its next retransmission, and each waits twice as long as the one before (RFC 6298 5.5).
  const stallMs = 2 * detectedMs + STALL_MS + EMULATION_MS;
  assert.ok(stream.longestStallMs <= stallMs, `TCP stalled for ${Math.round(stream.longestStallMs)} ms`);
  return report;
}

const cut = () => lab.faults.cut(pair.a.plan.publicAddress, pair.b.plan.publicAddress);
const heal = () => lab.faults.heal(pair.a.plan.publicAddress, pair.b.plan.publicAddress);

test('relay first, then direct: nothing is lost', async (t) => {
  // No packet passes directly until the traffic has been seen to go by the relay.
  await cut();
  await startAgents([lab.relay(), pair.a]);
  await pair.b.startAgent();
  await bothOn(lab, pair, 'relay');
  const report = await meanwhile(t, async () => {
    await pause(1_000);
    assert.deepEqual(
      (await peersOf(pair)).map(({ path }) => path),
      ['relay', 'relay'],
    );
    await heal();
    t.diagnostic(`both direct after ${(await bothOn(lab, pair, 'direct')).toFixed(1)} s`);
    await bothPlanesAlive(lab, pair);
  });
  assert.equal(report.lost, 0);
});

test('direct path cut: traffic flows again by the relay within 3 s; healed: direct again, nothing lost', async (t) => {
  let cutFrom = 0;
  let cutAt = 0;
  const report = await meanwhile(
    t,
    async () => {
      await pause(1_000);
      cutFrom = Date.now();
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
  const onItsWay = 2 * PING_MS + 40;
  const outside = report.lostAt.filter((at) => at < cutFrom - onItsWay || at > cutAt + DETECTED_MS + EMULATION_MS);
  assert.deepEqual(outside, [], 'nothing is lost but between the cut and its detection');
  const last = report.lostAt.at(-1) ?? cutAt;
  t.diagnostic(`last ping lost ${Math.round(last - cutAt)} ms after the cut`);
  assert.ok(report.lost > 0, 'the cut was felt');
});

test('what a person asks: status, peers, explain, metrics, health; and no secret in any of it', async () => {
  await bothPlanesAlive(lab, pair);
  const { a, b } = pair;
  const corax = async (...words: string[]): Promise<string> =>
    (await a.exec([process.execPath, MAIN, ...words, '--socket', a.socket])).stdout;
  const status = statusSchema.parse(JSON.parse(await corax('status', '--json')));
  assert.deepEqual(
    [status.node, status.gateway, status.role, status.peers.map(({ gateway }) => gateway)],
    ['edge-a', 'gw-a', 'edge', ['gw-b', 'gw-relay-1']],
  );
  assert.match(await corax('status'), /gw-b[^\n]*direct/);
  assert.equal(peersSchema.parse(JSON.parse(await corax('peers', '--json'))).peers.length, 2);
  const { reason, facts } = explanationSchema.parse(JSON.parse(await corax('explain', 'gw-b', '--json')));
  assert.match(reason, /^direct answers in [\d.]+ ms/);
  assert.ok(facts.length > 3);

  const get = async (port: number, path: string): Promise<string> =>
    (await a.exec([process.execPath, '-e', FETCH, `http://127.0.0.1:${port}${path}`])).stdout;
  const metrics = await get(10265, '/metrics');
  for (const series of [
    /^corax_peer_path\{peer="gw-b",path="direct"\} 1$/m,
    /^corax_peer_path\{peer="gw-b",path="relay"\} 0$/m,
    /^corax_peer_rtt_seconds\{peer="gw-b",plane="direct"\} 0\.0\d+$/m,
    /^corax_peer_rtt_seconds\{peer="gw-b",plane="relay"\} 0\.0\d+$/m,
    /^corax_peer_last_handshake_timestamp_seconds\{peer="gw-b"\} \d{10}/m,
    /^corax_peer_receive_bytes_total\{peer="gw-b"\} [1-9]/m,
    /^corax_peer_transmit_bytes_total\{peer="gw-b"\} [1-9]/m,
    /^process_cpu_seconds_total /m,
  ]) {
    assert.match(metrics, series);
  }
  assert.match(await get(10275, '/healthz'), /^200 /);
  assert.match(await get(10275, '/readyz'), /^200 /);

  assert.match(await get(10275, '/'), /^200 <!doctype html>[\s\S]*<title>corax<\/title>/);
  const { stdout: page } = await a.exec([process.execPath, '-e', FETCH_EVENTS, 'http://127.0.0.1:10275/events']);
  assert.match(page, /^200 event: reset\ndata: .*"node":"edge-a".*"to":"direct"/);
  assert.match(page, /event: delta\ndata: .*"gateway":"gw-b".*"path":"direct"/);
  const told = await corax('explain', 'gw-b');
  assert.match(told, /Direct plane {2}alive[\s\S]*Which is better\? {2}direct[\s\S]*What would change it/);

  const said = [
    metrics,
    page,
    told,
    JSON.stringify(status),
    ...[a, b, lab.relay()].map((node) => readFileSync(node.logFile, 'utf8')),
  ];
  const key = readFileSync(join(a.stateDirectory, 'wireguard.key'), 'utf8').trim();
  assert.ok(key.length >= 40, 'the private key was read');
  for (const text of said) assert.ok(!text.includes(key) && !text.includes(PSK), 'no secret');
});

test('the two ends on different paths for 10 s: nothing is lost, TCP does not stall', async (t) => {
  await bothPlanesAlive(lab, pair);
  // With the agent frozen it is the kernel that answers the other end's probes.
  await pair.a.admitPings(true);
  const report = await meanwhile(t, async () => {
    await frozen([pair.a], async () => {
      await forcePath(pair.a, pair.b, 'relay');
      await pause(10_000);
      assert.equal((await pair.b.peer('edge-a')).path, 'direct', 'the other end stays on the direct path');
      await forcePath(pair.a, pair.b, 'direct');
    });
  });
  await pair.a.admitPings(false);
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
  const tryAll = async () => {
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
  };
  // With the agents frozen it is the kernels that answer.
  await Promise.all([pair.a, pair.b].map((edge) => edge.admitPings(true)));
  await frozen([pair.a, pair.b], () => tryAll().finally(heal));
  await Promise.all([pair.a, pair.b].map((edge) => edge.admitPings(false)));
  await bothOn(lab, pair, 'direct');
});

test('agent killed with -9 and started again: nothing is lost, the path stays direct', async (t) => {
  await bothPlanesAlive(lab, pair);
  const before = await pair.a.exec(['wg', 'show', 'all', 'latest-handshakes']);
  const devices = new Set<string>();
  let restarted = false;
  const watchRoute = async () => {
    while (!restarted) {
      const route = await pair.a.exec(['ip', 'route', 'show', 'table', '9028', pair.b.plan.podSubnet]);
      devices.add(/^\S+ dev (\S+)/.exec(route.stdout)?.[1] ?? 'none');
      await pause(100);
    }
  };
  const report = await meanwhile(t, async () => {
    const watching = watchRoute();
    try {
      await pair.a.restart('kill9');
      await bothPlanesAlive(lab, pair);
      await bothOn(lab, pair, 'direct');
    } finally {
      restarted = true;
      await watching;
    }
  });
  assert.equal(report.lost, 0);
  assert.deepEqual([...devices], ['raven-wg1'], 'the route of the path is never anything else');
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
  await lab.waitFor(async () => (await pair.b.peer('edge-a')).planes.direct?.endpoint === hole, {
    what: `edge-b sends to ${hole}`,
    timeoutMs: LONG_MS,
  });
  await bothOn(lab, pair, 'direct');
  await bothPlanesAlive(lab, pair);
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

test('relay rebooted (empty kernel): everything heals within 15 s', async (t) => {
  const relay = lab.relay();
  await forgetAll(relay);
  await relay.flushConntrack();
  await lab.faults.unblockUdp(relay.plan.publicAddress);
  const bootedAt = performance.now();
  const rebooted = Date.now() / 1000;
  await relay.startAgent();
  const startedAt = performance.now();
  await lab.waitFor(
    async () => {
      const edges = await Promise.all([pair.a.peer('relay-1'), pair.b.peer('relay-1')]);
      return edges.every(({ planes }) => (planes.relay?.lastHandshake ?? 0) > rebooted);
    },
    { what: 'both edges have a new session with the relay', timeoutMs: LONG_MS },
  );
  // What one edge sends the other by the relay, whatever the path is.
  await pair.b.admitPings(true);
  const { bridgeAddress } = pair.a.plan;
  const flags = ['-n', '-q', '-c', '1', '-W', '1', '-Q', '0x08', '-I', bridgeAddress];
  await lab.waitFor(() => pair.a.exec(['ping', ...flags, pair.b.plan.bridgeAddress]), {
    what: 'the edges reach each other by the relay',
    timeoutMs: LONG_MS,
  });
  await pair.b.admitPings(false);
  const [sinceBoot, sinceStart] = [bootedAt, startedAt].map((at) => (performance.now() - at) / 1000);
  t.diagnostic(
    `healed ${sinceStart?.toFixed(1)} s after the relay's agent answered, ${sinceBoot?.toFixed(1)} s after it was started`,
  );
  assert.ok((sinceStart ?? 0) <= 15, `${sinceStart} s`);
  const pings = await lab.pinger('edge-a', 'relay-1', { intervalMs: 100 });
  await pause(2_000);
  assert.equal((await pings.stop()).lost, 0, 'pods behind the relay answer');
});
