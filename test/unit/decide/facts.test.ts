/** Whole nodes over random Gateways: what is admitted, wanted, put into force, and wanted again. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SITE, World } from '#src/agent/world.js';
import { Admission } from '#src/decide/admission.js';
import { siteItems } from '#src/decide/desired.js';
import { adoptedPath, type PathMemory } from '#src/decide/path.js';
import { centralRelay, relayOf, sortRelays } from '#src/decide/relations.js';
import { decideRemote, pathInput, relationTo } from '#src/decide/remote.js';
import { contains, type Ip, overlaps } from '#src/model/address.js';
import type { RemoteFacts, SiteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import type { Item } from '#src/model/item.js';
import { TABLES } from '#src/model/names.js';
import {
  asSite,
  at,
  FULL,
  gateway,
  ip,
  keyOf,
  PORT,
  peerFacts,
  probeFacts,
  relay,
  SYMMETRIC,
  siteFacts,
  UNSEEN,
} from './fixtures.js';

const NOW = 1_800_000_000_000;
const STUN = ip('198.18.0.1');

const others: fc.Arbitrary<Gateway> = fc
  .record({
    number: fc.integer({ min: 2, max: 60 }),
    kind: fc.constantFrom('edge', 'edge', 'edge', 'relay', 'silent'),
    block: fc.integer({ min: 0, max: 40 }),
    wide: fc.constantFrom(24, 24, 24, 25, 20, 16),
    hostile: fc.constantFrom(
      null,
      null,
      null,
      null,
      '198.18.0.0/24',
      '192.168.7.0/24',
      '203.0.113.0/24',
      '10.0.1.0/24',
    ),
    natType: fc.constantFrom(FULL, PORT, SYMMETRIC, null),
    hole: fc.boolean(),
    raven: fc.boolean(),
    v6: fc.boolean(),
  })
  .map(({ number, kind, block, wide, hostile, natType, hole, raven, v6 }) => {
    const base = wide === 16 ? '10.0.0.0' : wide === 20 ? `10.0.${block & 0xf0}.0` : `10.0.${block}.0`;
    const subnets = [hostile ?? `${base}/${wide}`, ...(v6 ? [`fd00:${number}::/64`] : [])];
    const probeAddress = raven ? null : base.replace(/0$/, '1');
    const common = { subnets, probeAddress, corax: raven ? null : '1' };
    if (kind === 'relay') return relay(number, { ...common, key: keyOf(number) });
    return gateway(number, {
      ...common,
      natType,
      ...(hole ? {} : { hole: null }),
      ...(kind === 'silent' ? { key: null } : {}),
    });
  });

const facts: fc.Arbitrary<RemoteFacts> = fc
  .record({
    alive: fc.constantFrom('none', 'session', 'answers', 'dead'),
    path: fc.constantFrom(null, 'relay' as const, 'direct' as const),
  })
  .map(({ alive, path }) => {
    if (alive === 'none') return { ...UNSEEN, remotePath: path };
    const peer = peerFacts({
      lastHandshake: NOW / 1000 - 5,
      receivedAt: NOW - 50,
      endpoint: at('198.51.100.200', 999),
    });
    const probe =
      alive === 'session'
        ? null
        : probeFacts({
            received: 9,
            answeredInRow: 9,
            rttMs: 40,
            loss: 0,
            lostInRow: alive === 'dead' ? 3 : 0,
            generation: 1,
          });
    const up = probeFacts({ received: 9, answeredInRow: 9, rttMs: 60, loss: 0 });
    return { relay: { peer, probe: up }, direct: { peer, probe }, remotePath: path };
  });

interface Node {
  readonly site: SiteFacts;
  readonly admission: Admission;
  readonly world: World;
  readonly paths: Map<string, PathMemory | null>;
  readonly seen: Map<string, RemoteFacts>;
}

function node(asRelay: boolean, all: readonly Gateway[], remoteFacts: readonly RemoteFacts[]): Node {
  const own = asRelay ? relay(99, { key: keyOf(1), node: 'node-1' }) : gateway(1);
  const has = ({ nodeName }: { readonly nodeName: string }) => nodeName === 'node-1';
  const admission = new Admission((of) => of.endpoints.some(has));
  const underlay = { device: 'eth0', mtu: 1500, addresses: [ip('192.168.7.2')], ipv6: null };
  admission.protect(
    new Map<Ip, string>([[STUN, 'a STUN server'], ...underlay.addresses.map((a) => [a, 'own'] as const)]),
  );
  admission.update([own, ...all], []);
  const relays = sortRelays([...admission.admitted.values()].flatMap((of) => relayOf(of) ?? []));
  const site = siteFacts(own, [], { relays, underlay });
  const seen = new Map(
    [...admission.admitted.keys()].map((name, index) => [name, remoteFacts[index % remoteFacts.length] ?? UNSEEN]),
  );
  return { site, admission, world: new World(), paths: new Map(), seen };
}

const remotesOf = ({ admission }: Node) => [...admission.admitted.values()].filter((of) => of !== admission.own);

/** One turn; every step succeeds. @returns how many item steps there were */
function turn(at: Node, now: number): number {
  const { site, world, paths, seen } = at;
  const wants: [string, readonly Item[]][] = [[SITE, siteItems(site)]];
  for (const remote of remotesOf(at)) {
    const decision = decideRemote(site, remote, paths.get(remote.name) ?? null, seen.get(remote.name) ?? UNSEEN, now);
    paths.set(remote.name, decision.path);
    wants.push([remote.name, decision.items]);
  }
  const steps = wants.flatMap(([owner, items]) => world.want(owner, items));
  for (const step of steps) world.confirm(step);
  return steps.length;
}

function check(at: Node): void {
  const { site, world, admission } = at;
  const items = [...world.observed.values()];
  const local = new Set(site.subnets);
  const forbidden = [STUN, ...(site.underlay?.addresses ?? []), ...site.relays.map((of) => of.address.ip)];
  const routes = items.flatMap((item) => (item.kind === 'route' && item.table === TABLES.path ? [item] : []));
  for (const route of routes) {
    assert.ok(![...local].some((own) => overlaps(own, route.prefix)), `${route.prefix} is our own`);
    for (const address of forbidden) assert.ok(!contains(route.prefix, address), `${route.prefix} covers ${address}`);
    if (route.device === null) continue;
    assert.ok(
      routes.some((other) => other.prefix === route.prefix && other.device === null),
      `${route.prefix} has nothing below`,
    );
  }
  // One peer a prefix and plane: not even one that contains another's.
  const carries = items.flatMap((item) => (item.kind === 'carry' ? [item] : []));
  for (const [index, one] of carries.entries()) {
    assert.ok(
      items.some((item) => item.kind === 'peer' && item.plane === one.plane && item.key === one.peer),
      `${one.prefix} has no peer`,
    );
    for (const other of carries.slice(index + 1)) {
      assert.ok(one.plane !== other.plane || !overlaps(one.prefix, other.prefix), `${one.prefix} and ${other.prefix}`);
    }
  }
  // Whoever can be reached is: by a device that carries the prefix to somebody.
  const usable = centralRelay(site.relays) !== null;
  for (const remote of remotesOf(at)) {
    const relation = relationTo(site, remote);
    if (relation.kind === 'none') continue;
    if (relation.kind === 'edge' && !usable) continue;
    for (const prefix of remote.subnets) {
      const route = routes.find((candidate) => candidate.prefix === prefix && candidate.device !== null);
      assert.ok(route, `${remote.name}: no route to ${prefix}`);
      const plane = route.device === 'raven-wg0' ? 'relay' : 'direct';
      assert.ok(
        carries.some((carry) => carry.plane === plane && carry.prefix === prefix),
        `${prefix} is carried`,
      );
    }
  }
  assert.ok(admission.own !== null, 'the own gateway is always in');
}

const worlds = fc.record({
  asRelay: fc.boolean(),
  all: fc.uniqueArray(others, { maxLength: 30, selector: (of) => of.name }),
  remoteFacts: fc.array(facts, { minLength: 1, maxLength: 6 }),
});

describe('a node over random Gateways', () => {
  it('converges: the same facts again ask for nothing, and what stands is sound', () => {
    fc.assert(
      fc.property(worlds, ({ asRelay, all, remoteFacts }) => {
        const at = node(asRelay, all, remoteFacts);
        // A path may take steps of its own as it goes from state to state; a few turns bring it to rest.
        for (let round = 0; round < 4; round++) {
          turn(at, NOW + round);
          check(at);
        }
        assert.equal(turn(at, NOW + 4), 0);
      }),
      { numRuns: 150 },
    );
  });

  it('leaves nothing but its own when all gateways go, wherever it was', () => {
    fc.assert(
      fc.property(worlds, fc.nat(3), ({ asRelay, all, remoteFacts }, rounds) => {
        const at = node(asRelay, all, remoteFacts);
        for (let round = 0; round <= rounds; round++) turn(at, NOW + round);
        const gone = remotesOf(at).map((of) => of.name);
        at.admission.update([], gone);
        for (const name of gone) for (const step of at.world.want(name, [])) at.world.confirm(step);
        const left = new Set(at.world.observed.keys());
        const own = new World();
        for (const step of own.want(SITE, siteItems(at.site))) own.confirm(step);
        assert.deepEqual(left, new Set(own.observed.keys()));
        assert.deepEqual(at.world.orphans(), []);
      }),
      { numRuns: 100 },
    );
  });

  it('adopts: a node that finds its own work standing changes nothing', () => {
    fc.assert(
      fc.property(worlds, ({ asRelay, all, remoteFacts }) => {
        const before = node(asRelay, all, remoteFacts);
        for (let round = 0; round < 4; round++) turn(before, NOW + round);
        const after = node(asRelay, all, remoteFacts);
        after.world.found([...before.world.observed.values()], () => true);
        for (const remote of remotesOf(after)) {
          if (before.paths.get(remote.name)?.state !== 'direct') continue;
          const found = pathInput(after.site, asSite(remote), UNSEEN, NOW).fingerprint;
          after.paths.set(remote.name, adoptedPath(NOW + 4, found));
        }
        after.seen.clear();
        turn(after, NOW + 5);
        const moved = [...after.world.observed.values()].filter((item) => {
          const was = before.world.observed.get(`route ${TABLES.path} ${item.kind === 'route' ? item.prefix : ''} 0`);
          return (
            item.kind === 'route' &&
            item.table === TABLES.path &&
            item.metric === 0 &&
            was?.kind === 'route' &&
            was.device !== item.device
          );
        });
        assert.deepEqual(moved, [], 'no path moved');
      }),
      { numRuns: 100 },
    );
  });
});
