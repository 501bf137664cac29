/** What the tests of agents in the lab have in common. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { PeerStatus } from '#src/model/status.js';
import { Lab, type LabOptions } from '../lab.js';
import type { NatKind } from '../net/nat.js';
import type { LabNode } from '../node.js';

/** Everything takes its time in emulation on a busy machine: these only bound a hang. */
export const LONG_MS = 240_000;

/** Starts all agents, relays first, a few at a time. */
export async function startAgents(nodes: readonly LabNode[], atOnce = 3): Promise<void> {
  for (let from = 0; from < nodes.length; from += atOnce) {
    await Promise.all(nodes.slice(from, from + atOnce).map((node) => node.startAgent()));
  }
}

/** A pair of nodes that are each other's peers. */
export interface Pair {
  readonly a: LabNode;
  readonly b: LabNode;
}

/** A relay, and two edges behind these NATs. */
export async function createPair(
  [a, b]: readonly [NatKind, NatKind],
  options: Omit<LabOptions, 'sites' | 'relays'>,
): Promise<{ readonly lab: Lab; readonly pair: Pair }> {
  const sites = [
    { name: 'edge-a', nat: a },
    { name: 'edge-b', nat: b },
  ];
  const lab = await Lab.create({ ...options, sites, relays: [{ name: 'relay-1' }] });
  return { lab, pair: { a: lab.site('edge-a'), b: lab.site('edge-b') } };
}

export async function peersOf({ a, b }: Pair): Promise<readonly [PeerStatus, PeerStatus]> {
  return Promise.all([a.peer(b.name), b.peer(a.name)]);
}

export const holeOf = async (node: LabNode): Promise<string | null> => (await node.status()).nat.hole;

/** Both ends on that path; for the relay also with answers on the relay plane. Resolves to the seconds it took. */
export async function bothOn(lab: Lab, pair: Pair, path: 'relay' | 'direct', timeoutMs = LONG_MS): Promise<number> {
  const started = performance.now();
  await lab.waitFor(
    async () => {
      const peers = await peersOf(pair);
      const there = peers.every(
        (peer) => peer.path === path && (path === 'direct' || peer.planes.relay?.rttMs !== null),
      );
      if (!there) throw new Error(peers.map((peer) => `${peer.path}, ${peer.state}: ${peer.reason}`).join(' | '));
      return true;
    },
    { what: `${pair.a.name} and ${pair.b.name} on the ${path} path`, timeoutMs },
  );
  return (performance.now() - started) / 1000;
}

/** Both ends have answers on both planes: nothing is about to change by itself. */
export async function bothPlanesAlive(lab: Lab, pair: Pair): Promise<void> {
  await lab.waitFor(
    async () =>
      (await peersOf(pair)).every(({ planes }) => planes.relay?.rttMs != null && planes.direct?.rttMs != null),
    { what: `both planes between ${pair.a.name} and ${pair.b.name} answer`, timeoutMs: LONG_MS },
  );
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Stops the process as it stands: its loop and its probes, not its kernel. */
export async function frozen<T>(nodes: readonly LabNode[], act: () => Promise<T>): Promise<T> {
  for (const node of nodes) process.kill(pidOf(node), 'SIGSTOP');
  try {
    return await act();
  } finally {
    for (const node of nodes) process.kill(pidOf(node), 'SIGCONT');
  }
}

function pidOf(node: LabNode): number {
  assert.ok(node.agentPid, `${node.name} runs an agent`);
  return node.agentPid;
}

/** Puts the route that is the path to another site on a plane's device, by hand. */
export async function forcePath(node: LabNode, to: LabNode, plane: 'relay' | 'direct'): Promise<void> {
  const route = [to.plan.podSubnet, 'dev', node.device(plane), 'src', node.plan.bridgeAddress, 'table', '9028'];
  await node.exec(['ip', 'route', 'replace', ...route]);
}

/** As after a reboot: no device, rule, route or table of ours. What is not there already is no matter. */
export async function forgetAll(node: LabNode): Promise<void> {
  const lines = [
    ...['raven-wg0', 'raven-wg1'].map((device) => `link del ${device}`),
    ...['97', '98', '99', '101'].map((priority) => `rule del priority ${priority}`),
    ...['9028', '9029', '9030', '9031'].map((table) => `route flush table ${table}`),
  ];
  // Many processes take long in emulation.
  await node.exec(['ip', '-force', '-batch', '-'], { input: `${lines.join('\n')}\n`, allowFailure: true });
  const six = 'rule del priority 97\nrule del priority 101\n';
  await node.exec(['ip', '-6', '-force', '-batch', '-'], { input: six, allowFailure: true });
  await node.exec(['nft', '-f', '-'], { input: 'table ip corax\ndelete table ip corax\n' });
}

/** All that an agent could have made: rules, routes of every table, links, nftables tables. */
export async function footprint(node: LabNode): Promise<Record<string, string>> {
  const show = async (...command: string[]): Promise<[string, string]> => {
    const { stdout } = await node.exec(command, { allowFailure: true });
    return [command.join(' '), stdout.trim()];
  };
  return Object.fromEntries([
    await show('ip', 'rule'),
    await show('ip', '-6', 'rule'),
    await show('ip', 'route', 'show', 'table', 'all'),
    await show('ip', '-brief', 'link'),
    await show('nft', 'list', 'tables'),
  ]);
}

/** How long the latest opening of a direct plane took, in the agent's own log; null where there was none. */
export function secondsToDirect(node: LabNode): number | null {
  const times = { punching: 0, direct: 0 };
  for (const line of readFileSync(node.logFile, 'utf8').split('\n')) {
    if (!line.includes('"to":')) continue;
    const { to, time } = JSON.parse(line) as { to: string; time: string };
    if (to === 'punching' || to === 'direct') times[to] = Date.parse(time);
  }
  return times.direct > times.punching ? (times.direct - times.punching) / 1000 : null;
}
