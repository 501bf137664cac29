import assert from 'node:assert/strict';
import { test } from 'node:test';
import { siteItems } from '#src/decide/desired.js';
import { healthOf, owedHealth } from '#src/decide/health.js';
import { ipsecPart } from '#src/decide/ipsec.js';
import { decideRemote, relationTo } from '#src/decide/remote.js';
import { wouldChange } from '#src/decide/would-change.js';
import type { SiteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import { asSite, gateway, ip, peerFacts, prefix, probeFacts, relay, SYMMETRIC, siteFacts, UNSEEN } from './fixtures.js';

const CORAX = '0.1.0 libreswan';

/** Ends of the libreswan driver, each with a private address of its own. */
function named(of: Gateway, address: string): Gateway {
  const nodes = of.nodes.map((node) => ({ ...node, privateIp: ip(address) }));
  return { ...of, nodes };
}

const edge = (number: number, more: Parameters<typeof gateway>[1] = {}) =>
  named(gateway(number, { corax: CORAX, ...more }), `192.168.${number}.2`);
const hub = (number: number, more: Parameters<typeof relay>[1] = {}) =>
  named(relay(number, { corax: CORAX, ...more }), `203.0.113.${number}`);

function facts(own: Gateway, relays: readonly Gateway[], more: Partial<SiteFacts> = {}): SiteFacts {
  return siteFacts(own, relays, { driver: 'libreswan', ...more });
}

test('who stands for what on the relay plane, and who begins', () => {
  const relays = [hub(1), hub(2)];
  const raven = edge(3, { corax: null });
  const cases: Array<[what: string, own: Gateway, relays: Gateway[], remote: Gateway, expected: string]> = [
    ['an edge to the central relay', edge(1), relays, hub(2), 'own any begins'],
    ['an edge to another relay', edge(1), relays, hub(1), 'own carried begins'],
    [
      "an edge to raven's central relay",
      edge(1),
      [hub(2, { corax: null })],
      hub(2, { corax: null }),
      'own carried begins',
    ],
    ['the central relay to an edge', hub(2), relays, edge(1), 'any carried waits'],
    ["the central relay to raven's edge", hub(2), relays, raven, 'edges carried waits'],
    ['another relay to an edge', hub(1), relays, edge(1), 'own carried waits'],
    ['relays: the lower key', hub(1), relays, hub(2), 'own carried begins'],
    ['relays: the higher key', hub(2), relays, hub(1), 'own carried waits'],
    [
      "raven's relay begins in any case",
      hub(1),
      [hub(1), hub(2, { corax: null })],
      hub(2, { corax: null }),
      'own carried waits',
    ],
  ];
  const bare = { onePlane: true };
  const bareHub = hub(2, bare);
  cases.push(
    ['an edge to a central relay without XFRM interfaces', edge(1), [bareHub], bareHub, 'own carried begins'],
    ['the central relay to an edge without', hub(2), relays, edge(1, bare), 'edges carried waits'],
  );
  for (const [what, own, some, remote, expected] of cases) {
    const part = ipsecPart(facts(own, some), asSite(remote), 'relay');
    assert.equal(`${part?.local} ${part?.remote} ${part?.initiates ? 'begins' : 'waits'}`, expected, what);
  }
});

test('on the direct plane each stands for its own; a lone symmetric end begins, else the lower key', () => {
  const begins = (own: Gateway, remote: Gateway) =>
    ipsecPart(facts(own, [hub(1)]), asSite(remote), 'direct')?.initiates;
  assert.deepEqual([begins(edge(1), edge(2)), begins(edge(2), edge(1))], [true, false]);
  const symmetric = edge(2, { natType: SYMMETRIC });
  const cone = edge(1, { natType: 'Full cone NAT' });
  assert.deepEqual([begins(cone, symmetric), begins(symmetric, cone)], [false, true]);
  const part = ipsecPart(facts(edge(1), [hub(1)]), asSite(edge(2)), 'direct');
  assert.deepEqual(
    [part?.local, part?.remote, part?.localName, part?.remoteName],
    ['own', 'carried', '192.168.1.2', '192.168.2.2'],
  );
});

test('the tunnel ends on the address that the node has', () => {
  const host = (addresses: string[]) =>
    ipsecPart(
      facts(edge(1), [hub(1)], { underlay: { device: 'eth0', mtu: 1500, addresses: addresses.map(ip), ipv6: null } }),
      asSite(hub(1)),
      'relay',
    )?.host;
  assert.equal(host(['10.0.0.1', '192.168.1.2']), '192.168.1.2', 'the one by which it is known');
  assert.equal(host(['fd00::1', '10.0.0.1']), '10.0.0.1', 'else one of IPv4');
  assert.equal(host([]), '192.168.1.2');
});

test('WireGuard is told nothing of it', () => {
  assert.equal(ipsecPart(siteFacts(edge(1), [hub(1)]), asSite(hub(1)), 'relay'), undefined);
});

test('who cannot be connected to, and why', () => {
  const site = facts(edge(1), [hub(1)]);
  const reason = (remote: Gateway, of = site) => {
    const relation = relationTo(of, remote);
    return relation.kind === 'none' ? relation.reason : null;
  };
  assert.match(reason(edge(2, { corax: '0.1.0' })) ?? '', /its driver is wireguard, and this node's is libreswan/);
  assert.match(reason(edge(2), siteFacts(gateway(1), [])) ?? '', /its driver is libreswan/);
  assert.match(reason({ ...edge(2), nodes: [] }) ?? '', /no privateIP of node node-2/);
  assert.equal(reason(edge(2, { corax: null })), null, "raven's may be anything");
});

test('what stands for the node: other devices, no rewriting of ports, no rule by mark', () => {
  const items = siteItems(facts(edge(1), [hub(1)]));
  const names = items.flatMap((item) => (item.kind === 'device' ? [`${item.name} ${item.listenPort}`] : []));
  assert.deepEqual(names, ['ipsec4500 4500', 'ipsec4501 4500']);
  const firewall = items.find((item) => item.kind === 'firewall');
  assert.ok(firewall?.kind === 'firewall' && firewall.relays === null);
  assert.ok(items.every((item) => item.kind !== 'rule' || item.fwmark === 0));
});

test('a tunnel to a relay whose probes are lost is made anew, unless something still comes', () => {
  const now = 1_800_000_000_000;
  const decide = (own: Gateway, remote: Gateway, receivedAt: number, lostInRow: number, received = 9, at = now) => {
    const endpoint = asSite(remote).endpoint.hole;
    const peer = peerFacts({ endpoint, lastHandshake: now / 1000 - 60, session: true, rxBytes: 7, receivedAt });
    const probe = probeFacts({ received, lostInRow });
    const site = facts(own, [hub(1)]);
    const { deeds: all, wakeAt } = decideRemote(site, remote, null, { ...UNSEEN, relay: { peer, probe } }, at);
    return { ops: all.map(({ op }) => op), wakeAt };
  };
  const deeds = (...of: Parameters<typeof decide>) => decide(...of).ops;
  assert.deepEqual(deeds(edge(1), hub(1), now - 3_000, 3), ['re-add']);
  assert.deepEqual(deeds(edge(1), hub(1), now - 2_000, 3), [], 'something came just now');
  assert.deepEqual(deeds(edge(1), hub(1), now - 3_000, 2), [], 'not yet');
  assert.deepEqual(deeds(edge(1), hub(1), now - 3_000, 9, 0), [], 'a relay that never answered any');
  assert.deepEqual(deeds(hub(1), edge(1), now - 3_000, 3), [], 'a relay waits for its edges');

  // The prober tells of the third loss and of none after it.
  for (const receivedAt of [now - 2_000, now, now + 60_000]) {
    const { wakeAt } = decide(edge(1), hub(1), receivedAt, 3);
    assert.ok(wakeAt > now && wakeAt <= now + 2_501, 'and looked at again as soon as it may be');
  }
  const { wakeAt } = decide(edge(1), hub(1), now - 2_000, 3);
  assert.deepEqual(deeds(edge(1), hub(1), now - 2_000, 9, 9, wakeAt), ['re-add']);
});

test('without XFRM interfaces, pairs of subnets with whomever, by no interface', () => {
  const parts = [
    ipsecPart(facts(edge(1), [hub(2)], { onePlane: true }), asSite(hub(2)), 'relay'),
    ipsecPart(facts(hub(2), [hub(2)], { onePlane: true }), asSite(edge(1)), 'relay'),
    ipsecPart(facts(edge(1), [hub(2)]), asSite(hub(2)), 'relay'),
  ];
  assert.deepEqual(
    parts.map((part) => [part?.ifId, part?.local, part?.remote]),
    [
      [null, 'own', 'carried'],
      [null, 'edges', 'carried'],
      [4500, 'own', 'any'],
    ],
  );
});

test('a node without XFRM interfaces has one device, and its firewall goes by IPsec itself', () => {
  const items = siteItems(facts(edge(1), [hub(1)], { onePlane: true }));
  assert.deepEqual(
    items.flatMap((item) => (item.kind === 'device' ? [item.name] : [])),
    ['ipsec4500'],
  );
  const found = items.flatMap((item) => (item.kind === 'firewall' ? [item.byPolicy, ...item.devices] : []));
  assert.deepEqual(found, [true, 'ipsec4500']);
});

test('whose kernel leaves one plane: nobody tries directly, and says why and what would change it', () => {
  const bare = { onePlane: true };
  const cases: Array<[what: string, site: SiteFacts, remote: Gateway, lacking: string]> = [
    ['own', facts(edge(1), [hub(1)], bare), edge(2), 'this node'],
    ["the other's", facts(edge(1), [hub(1)]), edge(2, bare), 'node node-2'],
    ["the relay's", facts(edge(1), [hub(1, bare)]), edge(2), 'the central relay'],
  ];
  for (const [what, site, remote, lacking] of cases) {
    const { path, items } = decideRemote(site, remote, null, UNSEEN, 1_800_000_000_000);
    assert.equal(path?.state, 'relayed', what);
    assert.ok(path?.reason.includes(`the kernel of ${lacking} has no XFRM interfaces`), path?.reason);
    assert.ok(!items.some((item) => item.kind === 'peer'), what);
    assert.deepEqual(wouldChange(site, remote, path, UNSEEN, 1_800_000_000_000), [
      `XFRM interfaces in the kernel of ${lacking} (module xfrm_interface)`,
    ]);
  }
  const another = facts(edge(1), [hub(1), hub(2)]);
  const { path } = decideRemote(another, edge(2), null, UNSEEN, 1_800_000_000_000);
  assert.equal(path?.state, 'punching', 'else as ever');
});

test("with raven's relay there is one plane", () => {
  const state = (central: Gateway) =>
    decideRemote(facts(edge(1), [central]), edge(2), null, UNSEEN, 1_800_000_000_000).path;
  assert.equal(state(hub(1))?.state, 'punching');
  const path = state(hub(1, { corax: null }));
  assert.deepEqual([path?.state, /raven-agent's/.test(path?.reason ?? '')], ['relayed', true]);
});

test('without probes a session that stands is a plane that lives: IPsec owes no packet for one', () => {
  const now = 1_800_000_000_000;
  const peer = (session: boolean | null) =>
    peerFacts({ lastHandshake: now / 1000 - 20, session, sentAt: now, receivedAt: now - 60_000 });
  const alive = (session: boolean | null) => [
    healthOf({ peer: peer(session), probe: null }, false, now).alive,
    owedHealth(peer(session), now - 60_000, null, now).alive,
  ];
  assert.deepEqual(alive(true), [true, true]);
  assert.deepEqual(alive(false), [false, false]);
  assert.deepEqual(alive(null), [false, false], 'WireGuard does');
});

test('subnets of the own gateway are all told', () => {
  const site = facts(edge(1), [hub(1)], { subnets: ['10.0.1.0/24', '10.0.7.0/24'].map(prefix) });
  assert.deepEqual(ipsecPart(site, asSite(hub(1)), 'relay')?.subnets, ['10.0.1.0/24', '10.0.7.0/24']);
});
