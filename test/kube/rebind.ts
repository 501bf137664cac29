/** Many edges of a relay rebind at once: what of it reaches the API. */
import assert from 'node:assert/strict';
import { writesPerSecond } from '#src/agent/write-rate.js';
import { type ApiServer, GATEWAYS, until } from './api-server.js';
import type { AuditEvent } from './audit.js';
import type { ScaleAgent } from './scale-agent.js';
import { edgeKey, gatewayName } from './scale-world.js';

export interface Rebinding {
  readonly api: ApiServer;
  readonly relay: ScaleAgent;
  /** All that the relay has written into Gateways, in its order. */
  readonly patches: () => readonly AuditEvent[];
  /** Gateways that there are. */
  readonly known: number;
  /** The edges: from one number up to another, this one not included; the one after it moves by itself. */
  readonly from: number;
  readonly to: number;
  /** How many of them move once more while they wait. */
  readonly twice: number;
  readonly patienceMs?: number;
}

const FIRST_PORT = 30_000;
const SECOND_PORT = 50_000;
/** As many writes as the agent has under way at once: these may be answered in any order. */
const ABREAST = 8;
const at = ({ stageTimestamp }: AuditEvent) => Date.parse(stageTimestamp);

/** @returns what was seen, in lines for a person */
export async function rebind(options: Rebinding): Promise<string[]> {
  const { api, relay, known, from, to, twice, patienceMs } = options;
  const begun = options.patches().length;
  const patches = () => options.patches().slice(begun);
  const range = (first: number, end: number) => Array.from({ length: end - first }, (_, offset) => first + offset);
  // The oldest and the newest go first: those between are still waiting.
  const middle = Math.floor((from + to - twice) / 2);
  const again = range(middle, middle + twice);
  const ports = new Map(range(from, to).map((index) => [index, FIRST_PORT + (index % 10_000)]));

  const movedAt = Date.now();
  await relay.move([...ports].map(([index, port]) => [edgeKey(index), port]));
  await until('the first are written', () => patches().length > 0);
  for (const index of again) ports.set(index, SECOND_PORT + (index % 10_000));
  ports.set(to, SECOND_PORT);
  const lateAt = Date.now();
  await relay.move([...again, to].map((index) => [edgeKey(index), ports.get(index) as number]));
  const isLate = ({ objectRef }: AuditEvent) => objectRef?.name === gatewayName(to);
  await until('the one that moved by itself is written', () => patches().some(isLate));
  const waitedFor = at(patches().find(isLate) as AuditEvent) - lateAt;
  const before = patches().findIndex(isLate);

  await until(
    'all are written',
    () => new Set(patches().map(({ objectRef }) => objectRef?.name)).size >= ports.size,
    patienceMs,
  );
  await until('the API has what was seen last', async () => same(await publishedPorts(api), ports), patienceMs);
  const all = patches();
  const seconds = (at(all.at(-1) as AuditEvent) - movedAt) / 1000;
  const rate = writesPerSecond(known);
  const times = new Map<string, number[]>();
  for (const [index, { objectRef }] of all.entries()) {
    const name = objectRef?.name ?? '';
    times.set(name, [...(times.get(name) ?? []), index]);
  }
  // Who was written before the relay saw it move again has two patches, and they are two holes. It saw that together
  // with the move of the late one: whoever comes after that one, and those under way beside it, is written once.
  const tooOften = [...times].filter(([name, [first = 0, ...more]]) => {
    const mayTwice = again.some((index) => gatewayName(index) === name) && first < before + ABREAST;
    return more.length > (mayTwice ? 1 : 0);
  });
  assert.deepEqual(tooOften, [], `written more often than they moved, by place; the late one was at ${before}`);
  const once = again.filter((index) => times.get(gatewayName(index))?.length === 1).length;
  assert.ok(once > again.length / 2, `of ${again.length} that moved twice, ${once} are written once`);
  assert.ok(before < ports.size / 2, `${before} of ${ports.size} went before the one that moved while they waited`);
  assert.ok(
    all.length <= 2 * rate + rate * (seconds + 1),
    `${all.length} in ${seconds} s are more than ${rate} a second`,
  );
  return [
    `${to - from} edges rebind at once, ${twice} of them twice, and one more while they wait:`,
    `  written                       ${all.length} patches in ${seconds.toFixed(1)} s; ${rate.toFixed(0)} a second and a burst of ${(2 * rate).toFixed(0)} at most`,
    `  most in one second            ${mostWithin(all, 1000)}`,
    `  the one more                  after ${(waitedFor / 1000).toFixed(2)} s, up to one of it until the tunnel is read; ${ports.size - before - 1} were waiting`,
  ];
}

function mostWithin(patches: readonly AuditEvent[], ms: number): number {
  const times = patches.map(at);
  let [most, first] = [0, 0];
  for (let last = 0; last < times.length; last += 1) {
    while ((times[last] as number) - (times[first] as number) >= ms) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

async function publishedPorts(api: ApiServer): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (let token = ''; ; ) {
    const { items, metadata } = await api.must('GET', `${GATEWAYS}?limit=500&continue=${token}`);
    for (const { metadata, spec } of items) found.set(metadata.name, spec.endpoints[0].publicPort);
    if (!metadata.continue) return found;
    token = encodeURIComponent(metadata.continue);
  }
}

function same(found: ReadonlyMap<string, number>, wanted: ReadonlyMap<number, number>): boolean {
  return [...wanted].every(([index, port]) => found.get(gatewayName(index)) === port);
}
