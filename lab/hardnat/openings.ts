/** What the tests of hard NATs in the lab have in common. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { writeGateways } from '../gateways.js';
import type { Lab } from '../lab.js';
import { ALL_PORTS, type NatSettings } from '../net/nat.js';
import type { LabNode } from '../node.js';
import { createPair, LONG_MS, type Pair, pause } from '../test/agents.js';

export type NatKind = NatSettings['kind'];

/** Mappings that nobody uses are gone after this: the least that is seen in the field (RFC 4787 4.3 asks for 2 min). */
export const IDLE_S = 30;

/** At a NAT, beside what an opening makes: relay plane, STUN, handshakes and the tunnel's own flow. */
export const OTHER_ENTRIES = 64;

export async function createLab(): Promise<{ lab: Lab; pair: Pair }> {
  const created = await createPair(['full-cone', 'full-cone'], { delays: 'proposal' });
  await created.lab.relay().startAgent();
  return created;
}

/**
 * Both edges start from what a person wrote, behind NATs that give out any port.
 *
 * @param passedOver ports of a sequence that it begins behind
 */
export async function startBehind(
  lab: Lab,
  pair: Pair,
  kinds: readonly [NatKind, NatKind],
  passedOver = 0,
): Promise<void> {
  await Promise.all([pair.a.kill9(), pair.b.kill9()]);
  writeGateways(
    lab.gateways,
    lab.plan.nodes.filter((node) => node.role === 'edge'),
  );
  const settings = { ports: ALL_PORTS, idleS: IDLE_S, passedOver };
  await pair.a.changeNat(kinds[0], settings);
  await pair.b.changeNat(kinds[1], settings);
  await Promise.all([pair.a.startAgent(), pair.b.startAgent()]);
}

export interface OpeningLine {
  /** Unix milliseconds. */
  readonly at: number;
  readonly opening?: string;
  readonly to?: string;
}

/** What the agent said of its openings and its path, in order, from that time on. */
export function openingLines(node: LabNode, since = 0): OpeningLine[] {
  return readFileSync(node.logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"opening":') || line.includes('"to":'))
    .map((line) => {
      const { time, opening, to } = JSON.parse(line) as { time: string; opening?: string; to?: string };
      return { at: Date.parse(time), ...(opening ? { opening } : {}), ...(to ? { to } : {}) };
    })
    .filter(({ at }) => at >= since);
}

/**
 * Both ends' paths are that, by their own logs: asking for their status would take of the time that they need in emulation.
 *
 * @param since nothing before it counts; Unix milliseconds
 */
export async function bothWent(lab: Lab, pair: Pair, to: 'direct' | 'relayed', since: number): Promise<void> {
  const lastOf = (node: LabNode) => openingLines(node, since).findLast((line) => line.to !== undefined)?.to;
  await lab.waitFor(() => [pair.a, pair.b].every((node) => lastOf(node) === to), {
    what: `both ends are ${to}`,
    timeoutMs: LONG_MS,
  });
}

export interface WentDirect {
  readonly seconds: number;
  readonly tries: number;
  /** In the tables of edge-a's and edge-b's NATs, just after. */
  readonly entries: readonly [number, number];
}

/** From nothing to direct, with pings all the time, of which none is lost. */
export async function goDirect(
  t: TestContext,
  lab: Lab,
  pair: Pair,
  kinds: readonly [NatKind, NatKind],
  passedOver = 0,
): Promise<WentDirect> {
  const ends = [pair.a, pair.b];
  const since = Date.now();
  await startBehind(lab, pair, kinds, passedOver);
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await lab.waitFor(() => pings.received > 0, { what: 'the pods reach each other', timeoutMs: LONG_MS });
  const reachedAt = Date.now();
  await bothWent(lab, pair, 'direct', since);
  const entries = [await pair.a.natEntries(), await pair.b.natEntries()] as const;
  await pause(1_000);
  const { sent, lostAt } = await pings.stop();
  const lost = lostAt.filter((at) => at > reachedAt).length;
  // Before the types of both NATs are known either end may take itself for the one that asks.
  const asker = ends.find((node) => (timeToDirect(node, since)?.tries ?? 0) > 0);
  const time = asker === undefined ? null : timeToDirect(asker, since);
  assert.ok(asker !== undefined && time !== null, 'one end says when it asked and when it went direct');
  t.diagnostic(
    `direct ${time.seconds.toFixed(2)} s after the question, tries: ${time.tries}; ${entries.join(' and ')} entries at the NATs; ${lost} of ${sent} pings lost`,
  );
  assert.equal(lost, 0, `of ${sent} pings, once the first was answered`);
  // What was opened to find the way is gone: no connected UDP socket but the tunnel's own, which ss does not show.
  const { stdout } = await asker.exec(['ss', '-Hun', 'state', 'connected']);
  assert.equal(stdout.trim(), '', `${asker.name} has no socket of the fan left`);
  return { ...time, entries };
}

/** From the first question to the direct path, in seconds, and how many tries that took; null while it is not there. */
export function timeToDirect(node: LabNode, since: number): { seconds: number; tries: number } | null {
  const lines = openingLines(node, since);
  const asked = lines.find(({ opening }) => opening === 'asking');
  const direct = lines.find(({ to }) => to === 'direct');
  if (asked === undefined || direct === undefined) return null;
  const tries = lines.filter(({ at, opening }) => opening === 'fanned' && at <= direct.at).length;
  return { seconds: (direct.at - asked.at) / 1000, tries };
}
