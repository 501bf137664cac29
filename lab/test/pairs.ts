/**
 * All 16 ordered pairs of the four classic NAT types, and two plain Linux masquerades, one after the other; with
 * CORAX_LAB_BRIEF each pair in one order, with CORAX_LAB_FULL also every pair with Linux's masquerade and with a symmetric
 * NAT that counts its ports up.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import type { DriverName } from '#src/model/names.js';
import { writeGateways } from '../gateways.js';
import type { Lab } from '../lab.js';
import type { NatSettings } from '../net/nat.js';
import { saidOfDirect } from '../traffic/direct-times.js';
import { bothOn, createPair, LONG_MS, type Pair, pause, peersOf, secondsToDirect } from './agents.js';

type NatKind = NatSettings['kind'];
type NatPair = readonly [NatKind, NatKind];

const KINDS = ['full-cone', 'restricted-cone', 'port-restricted', 'symmetric'] as const satisfies readonly NatKind[];

/** The proposal's figure 2, and what WireGuard's planes can do beyond it; Linux filters by address and port. */
function goesDirect(a: NatKind, b: NatKind, driver: DriverName): boolean {
  if (a.startsWith('symmetric-sequential') && b.startsWith('symmetric-sequential')) return driver === 'wireguard';
  const [one, other] = [a, b].map((kind) => (kind.startsWith('symmetric') ? 'symmetric' : kind));
  if (one !== 'symmetric' && other !== 'symmetric') return true;
  if (one === 'symmetric' && other === 'symmetric') return false;
  if (driver === 'wireguard') return true;
  const easy = one === 'symmetric' ? other : one;
  return easy === 'full-cone' || easy === 'restricted-cone';
}

function pairsToTry(): NatPair[] {
  const { CORAX_LAB_FULL, CORAX_LAB_BRIEF } = process.env;
  const full = CORAX_LAB_FULL === '1';
  const kinds: readonly NatKind[] = full ? [...KINDS, 'linux', 'symmetric-sequential'] : KINDS;
  const first = (index: number) => (CORAX_LAB_BRIEF === '1' ? index : 0);
  const pairs = kinds.flatMap((one, index) => kinds.slice(first(index)).map((other) => [one, other] as const));
  return full ? pairs : [...pairs, ['linux', 'linux']];
}

export function testPairs(driver: DriverName, tried: readonly NatPair[] = pairsToTry()): void {
  let lab: Lab;
  let pair: Pair;

  before(async () => {
    ({ lab, pair } = await createPair(['full-cone', 'full-cone'], {
      delays: 'proposal',
      driver,
    }));
    await lab.relay().startAgent();
  });

  after(() => lab?.destroy());

  /** Both edges start from what a person wrote, behind other NATs. */
  async function startBehind(kindA: NatKind, kindB: NatKind): Promise<void> {
    await Promise.all([pair.a.kill9(), pair.b.kill9()]);
    for (const edge of [pair.a, pair.b]) edge.killPluto();
    writeGateways(
      lab.gateways,
      lab.plan.nodes.filter((node) => node.role === 'edge'),
    );
    await pair.a.changeNat(kindA);
    await pair.b.changeNat(kindB);
    await Promise.all([pair.a.startAgent(), pair.b.startAgent()]);
  }

  async function staysOnRelay(t: TestContext): Promise<void> {
    await lab.waitFor(async () => (await peersOf(pair)).every((peer) => /Symmetric NAT/.test(peer.reason)), {
      what: 'both ends know why they stay on the relay',
      timeoutMs: LONG_MS,
    });
    for (const peer of await peersOf(pair)) {
      assert.deepEqual([peer.path, peer.state], ['relay', 'relayed']);
      t.diagnostic(peer.reason);
    }
  }

  for (const [kindA, kindB] of tried) {
    const direct = goesDirect(kindA, kindB, driver);
    test(`${kindA} with ${kindB}: ${direct ? 'direct' : 'by the relay, with the reason in status'}`, async (t) => {
      await startBehind(kindA, kindB);
      const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
      await lab.waitFor(() => pings.received > 0, { what: 'the pods reach each other', timeoutMs: LONG_MS });
      // What WireGuard kept until its first handshake comes in one burst, of which conntrack may drop some.
      const reachedAt = Date.now();
      if (direct) {
        await bothOn(lab, pair, 'direct');
        t.diagnostic((await pair.a.peer('edge-b')).reason);
      } else await staysOnRelay(t);
      await pause(1_000);
      const { sent, lostAt } = await pings.stop();
      const lost = lostAt.filter((at) => at > reachedAt);
      if (direct) {
        const seconds = [pair.a, pair.b].map((edge) => secondsToDirect(edge) ?? Number.NaN);
        t.diagnostic(saidOfDirect({ pair: `${kindA} with ${kindB}`, seconds, sent, lost: lost.length }));
      }
      assert.deepEqual(lost, [], `of ${sent} pings, once the first was answered`);
    });
  }
}
