/** Edges with IPv6 beside their NAT, each behind a firewall of its own, and a relay without: they meet by IPv6. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { bothOn, holeOf, LONG_MS, type Pair, peersOf, startAgents } from '../test/agents.js';
import { wholePing } from './sites.js';

let lab: Lab;
const pair = (a: string, b: string): Pair => ({ a: lab.site(a), b: lab.site(b) });
const sixOf = (node: LabNode): string => node.plan.ipv6 ?? assert.fail(`${node.name} has IPv6`);

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted', ipv6: true },
      { name: 'edge-b', nat: 'restricted-cone', ipv6: true, uplinkMtu: 1492 },
      { name: 'edge-c', nat: 'symmetric', ipv6: true },
      { name: 'edge-d', nat: 'full-cone' },
    ],
    relays: [{ name: 'relay-1' }],
    stun: false,
  });
  await startAgents(lab.nodes);
});

after(async () => {
  await lab?.destroy();
});

/** Both ends are direct, and each sends to the other where `place` says. */
async function meet(of: Pair, place: (node: LabNode) => Promise<string | null>): Promise<void> {
  await lab.waitFor(
    async () => {
      const expected = (await Promise.all([of.b, of.a].map(place))).map((at) => `direct ${at}`);
      const seen = (await peersOf(of)).map(({ path, planes }) => `${path} ${planes.direct?.endpoint}`);
      if (expected.join() === seen.join()) return true;
      throw new Error(`${seen.join(' | ')}, and not ${expected.join(' | ')}`);
    },
    { what: `${of.a.name} and ${of.b.name} meet`, timeoutMs: LONG_MS },
  );
}

const bySix = async (node: LabNode) => `[${sixOf(node)}]:4501`;

test('they go direct by their global addresses, though a symmetric NAT lets nobody in', async () => {
  for (const [a, b] of [
    ['edge-a', 'edge-b'],
    ['edge-a', 'edge-c'],
  ] as const)
    await meet(pair(a, b), bySix);
});

test('where one end has no IPv6 they meet by their holes', async () => {
  await meet(pair('edge-b', 'edge-d'), holeOf);
});

test("full-size packets pass behind PPPoE, whose 1,492 bytes by IPv6 are fewer than the tunnel's own", async () => {
  const { a, b } = pair('edge-a', 'edge-b');
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const { code, stdout } = await wholePing(from, to.plan.podAddress, 1420);
    assert.equal(code, 0, `${from.name} to ${to.name}: ${stdout}`);
  }
});

test('when IPv6 is cut they meet by their holes, or by the relay where no hole is open', async (t) => {
  const { a, b } = pair('edge-a', 'edge-b');
  const closed = pair('edge-a', 'edge-c');
  await lab.faults.cut(sixOf(a), sixOf(b));
  await lab.faults.cut(sixOf(a), sixOf(closed.b));
  t.diagnostic(`on the relay after ${(await bothOn(lab, closed, 'relay')).toFixed(1)} s`);
  await meet({ a, b }, holeOf);
});
