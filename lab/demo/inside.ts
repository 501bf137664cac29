/**
 * The demo, where labs can be built: two edges behind NATs, a relay, a STUN server, an agent a node.
 * Arguments: the kinds of NAT of edge-a and edge-b, the tunnel driver, and "keep" to stay at the end.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { messageOf } from '#src/errors.js';
import { Lab } from '../lab.js';
import { isNatKind, type NatKind } from '../net/nat.js';
import { type LabNode, MAIN } from '../node.js';
import { openShell, requireInside } from '../setting.js';
import { median, type Pinger } from '../traffic/pinger.js';
import { CONSOLE_CLOSED, CONSOLE_OPEN } from '../vm/terminal.js';
import { DEMO_PREFIX, type DemoEvent, type EdgeView, type PairResult } from './events.js';
import { mayGoDirect } from './pairs.js';

const say = (event: DemoEvent): void => {
  process.stdout.write(`${DEMO_PREFIX}${JSON.stringify(event)}\n`);
};

const PING_EVERY_MS = 20;
/** Emulated machines are slow, and a person's may be busy. */
const REACH_TIMEOUT_MS = 180_000;
const DIRECT_TIMEOUT_MS = 120_000;
/** How long the traffic is watched once the path is what it will be. */
const WATCH_MS = 4_000;
/** A pair that stays on the relay is watched for longer: nothing is to happen. */
const WATCH_RELAYED_MS = 10_000;

async function edgeView(edge: LabNode, remote: LabNode): Promise<EdgeView> {
  const status = await edge.status();
  const peer = status.peers.find(({ gateway }) => gateway === remote.plan.gateway);
  const { type, hole } = status.nat;
  return { name: edge.name, natType: type, hole, path: peer?.path ?? null, reason: peer?.reason ?? null };
}

/** What the relay published of an edge: its hole, as the Gateway in the folder has it. */
function harvested(lab: Lab, edge: LabNode): string | null {
  const text = readFileSync(join(lab.gateways, `${edge.plan.gateway}.yaml`), 'utf8');
  const gateway = parse(text) as { spec?: { endpoints?: Array<{ publicIP?: string; publicPort?: number }> } };
  const endpoint = gateway.spec?.endpoints?.[0];
  return endpoint?.publicIP && endpoint.publicPort ? `${endpoint.publicIP}:${endpoint.publicPort}` : null;
}

/** Tells what changed, and resolves to both edges' paths. */
function watcher(lab: Lab, a: LabNode, b: LabNode): () => Promise<readonly [EdgeView, EdgeView]> {
  const told = new Map<string, string>();
  const views = new Map<string, EdgeView>();
  const look = async (edge: LabNode, remote: LabNode): Promise<EdgeView> => {
    const unknown: EdgeView = { name: edge.name, natType: null, hole: null, path: null, reason: null };
    // An agent that is too busy to answer is asked again later.
    const view = await edgeView(edge, remote).catch(() => views.get(edge.name) ?? unknown);
    views.set(edge.name, view);
    const event: DemoEvent = { type: 'edge', edge: view, harvested: harvested(lab, edge) };
    const key = JSON.stringify([view.natType, view.path, event.harvested, view.path === null ? '' : view.reason]);
    if (told.get(edge.name) !== key) say(event);
    told.set(edge.name, key);
    return view;
  };
  return () => Promise.all([look(a, b), look(b, a)]);
}

async function demo(lab: Lab, natA: NatKind, natB: NatKind): Promise<PairResult> {
  const [a, b] = [lab.site('edge-a'), lab.site('edge-b')];
  const look = watcher(lab, a, b);
  const allowed = mayGoDirect(natA, natB);
  const pinger = await lab.pinger('edge-a', 'edge-b', { intervalMs: PING_EVERY_MS });

  const startedAt = Date.now();
  let firstAt: number | null = null;
  let directAt: number | null = null;
  let settledAt: number | null = null;
  let views: readonly EdgeView[] = [];
  for (let nextLook = 0; ; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = Date.now();
    if (firstAt === null && pinger.received > 0) {
      firstAt = now;
      say({ type: 'step', text: 'the pods reach each other' });
    }
    if (now >= nextLook) {
      views = await look();
      nextLook = Date.now() + 200;
      if (pinger.received > 0) tellPings(pinger, views[0]?.path ?? 'relay');
    }
    const direct = views.length === 2 && views.every(({ path }) => path === 'direct');
    if (firstAt !== null && directAt === null && direct) directAt = Date.now();
    if (firstAt !== null && settledAt === null && (direct || !allowed)) settledAt = Date.now();
    if (settledAt !== null && Date.now() > settledAt + (allowed ? WATCH_MS : WATCH_RELAYED_MS)) break;
    if (firstAt === null && now > startedAt + REACH_TIMEOUT_MS) break;
    if (firstAt !== null && settledAt === null && now > firstAt + DIRECT_TIMEOUT_MS) break;
  }

  const stopped = await pinger.stop();
  // What WireGuard kept until its first handshake comes in one burst, of which conntrack may drop some.
  const reachedAt = firstAt ?? Number.POSITIVE_INFINITY;
  const report = pinger.report(reachedAt, stopped.replies.at(-1)?.sentAt ?? 0);
  const before = report.replies.filter(({ sentAt }) => directAt === null || sentAt < directAt - DETECTION_MS);
  const after = report.replies.filter(({ sentAt }) => directAt !== null && sentAt > directAt);
  const status = await a.status();
  const planes = status.peers.find(({ gateway }) => gateway === b.plan.gateway)?.planes;
  const rtt = (replies: typeof before): number | null =>
    replies.length === 0 ? null : median(replies.map(({ rttMs }) => rttMs));
  return {
    natA,
    natB,
    path: views[0]?.path ?? null,
    reason: views[0]?.reason ?? null,
    allowed,
    timeToDirectMs: directAt !== null && firstAt !== null ? directAt - firstAt : null,
    rttRelayMs: rtt(before) ?? planes?.relay?.rttMs ?? null,
    rttDirectMs: rtt(after),
    sent: report.sent,
    // Pings after the last answer are lost too, unless nothing ever came back.
    lost: report.received === 0 ? 0 : stopped.lostAt.filter((at) => at >= reachedAt).length,
  };
}

/** Looking at both agents takes this long at most: pings so shortly before may be direct already. */
const DETECTION_MS = 1_000;

function tellPings(pinger: Pinger, path: string): void {
  say({ type: 'pings', received: pinger.received, rttMs: median(pinger.latest(15)), path });
}

async function keep(lab: Lab): Promise<void> {
  const socket = lab.site('edge-a').socket;
  say({
    type: 'keep',
    lines: [
      'The lab stays up. You are in a shell beside it; "exit" ends both.',
      '',
      `  ip netns                                 ${lab.nodes.map(({ name }) => name).join(', ')}, their pods and NATs, inet`,
      '  ip netns exec edge-a bash                enter a namespace',
      '  ip netns exec edge-a-pod ping 10.244.2.2 from pod to pod',
      `  node ${MAIN} status --socket ${socket}`,
      `  ls ${lab.gateways}                       the Gateways`,
    ],
  });
  process.stdout.write(`${CONSOLE_OPEN}\n`);
  await openShell(requireInside());
  process.stdout.write(`${CONSOLE_CLOSED}\n`);
}

const [natA = '', natB = '', driver = '', stay] = process.argv.slice(2);
if (!isNatKind(natA) || !isNatKind(natB)) throw new Error(`unknown NAT: ${natA}, ${natB}`);
if (driver !== 'wireguard' && driver !== 'libreswan') throw new Error(`unknown driver: ${driver}`);
let lab: Lab | null = null;
try {
  say({ type: 'step', text: 'building the network: an internet, two NATs, three nodes, their pods, a STUN server' });
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: natA },
      { name: 'edge-b', nat: natB },
    ],
    relays: [{ name: 'relay-1' }],
    delays: 'proposal',
    driver,
  });
  say({ type: 'step', text: 'starting an agent on each node' });
  await Promise.all(lab.nodes.map((node) => node.startAgent()));
  say({ type: 'step', text: 'waiting for traffic from pod to pod' });
  const result = await demo(lab, natA, natB);
  say({ type: 'result', result });
  if (stay === 'keep') await keep(lab);
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  for (const node of lab?.nodes ?? []) process.stderr.write(`--- ${node.name}\n${node.logTail(8)}\n`);
  process.exitCode = 1;
} finally {
  await lab?.destroy();
}
