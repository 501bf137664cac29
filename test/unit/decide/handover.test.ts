import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { siteItems } from '#src/decide/desired.js';
import { carrierOf, handoverWakeAt, type Part, partInForce } from '#src/decide/handover.js';
import { adoptedPath, type PathMemory } from '#src/decide/path.js';
import { decideRemote, pathInput } from '#src/decide/remote.js';
import { HANDOVER_HEARD_MS, HANDOVER_MS, HANDOVER_SESSION_MS } from '#src/decide/timing.js';
import type { Overlay, PlaneFacts, RemoteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import type { CarryItem, Item, RouteItem } from '#src/model/item.js';
import { TABLES } from '#src/model/names.js';
import { OVERLAY } from '#src/model/overlay.js';
import { asSite, at, gateway, ip, keyOf, peerFacts, probeFacts, relay, siteFacts, UNSEEN } from './fixtures.js';

const T0 = 1_790_000_000_000;
const FORMER = { key: keyOf(77), since: T0, direct: true };
const remote = gateway(2);

function facts(session: boolean, more: Partial<RemoteFacts> = {}): RemoteFacts {
  const peer = session ? peerFacts({ lastHandshake: T0 / 1000 }) : null;
  return { ...UNSEEN, relay: { peer, probe: null }, former: FORMER, ...more };
}

const carriers = (items: readonly Item[], plane: string) =>
  items.flatMap((item) => (item.kind === 'carry' && item.plane === plane ? [(item as CarryItem).peer] : []));

describe("a remote's active endpoint moves", () => {
  for (const [what, session, after, carrier] of [
    ['at first its subnets stay where they were', false, 0, FORMER.key],
    ['… and while there is no session', false, HANDOVER_MS - 1, FORMER.key],
    ['with a session they move', true, 0, keyOf(2)],
    ['and at last without one', false, HANDOVER_MS, keyOf(2)],
  ] as const) {
    it(what, () =>
      assert.equal(carrierOf(siteFacts(relay(1), [relay(1)]), asSite(remote), facts(session), T0 + after), carrier),
    );
  }

  it('a relay has both peers while the one of before carries, and until all has passed on; then one', () => {
    const site = siteFacts(relay(1), [relay(1)]);
    const peers = (session: boolean, after: number) => {
      const { items } = decideRemote(site, remote, null, facts(session), T0 + after);
      const keys = items.flatMap((item) => (item.kind === 'peer' ? [item.key] : []));
      return { keys, carriers: carriers(items, 'relay') };
    };
    const both = [keyOf(2), FORMER.key];
    assert.deepEqual(peers(false, 10), { keys: both, carriers: [FORMER.key] });
    assert.deepEqual(peers(true, 10), { keys: both, carriers: [keyOf(2)] });
    assert.deepEqual(peers(false, HANDOVER_HEARD_MS), { keys: both, carriers: [FORMER.key] });
    assert.deepEqual(peers(true, HANDOVER_HEARD_MS), { keys: [keyOf(2)], carriers: [keyOf(2)] });
  });

  it('of the central relay: what it carries for others moves with its own', () => {
    const site = siteFacts(gateway(1), [relay(9)]);
    const central = (session: boolean) => {
      const { relay: plane, former } = facts(session);
      return { relay: plane, ...(former === undefined ? {} : { former }) };
    };
    const carrier = (session: boolean) => {
      const decided = decideRemote(site, remote, null, { ...UNSEEN, central: central(session) }, T0 + 10);
      return [...carriers(decided.items, 'relay'), decided.detour];
    };
    assert.deepEqual(carrier(false), [FORMER.key, true]);
    assert.deepEqual(carrier(true), [asSite(relay(9)).key, false]);
  });

  it('an edge hears the direct peer of before a little longer, and sends by the relay', () => {
    const site = siteFacts(gateway(1), [relay(1)]);
    const at = (ms: number) => decideRemote(site, remote, null, facts(true), T0 + ms);
    const { items, wakeAt } = at(10);
    assert.deepEqual(carriers(items, 'direct'), [FORMER.key]);
    const route = items.find(
      (item): item is RouteItem => item.kind === 'route' && item.metric === 0 && item.table === 9028,
    );
    assert.equal(route?.device, 'raven-wg0');
    assert.ok(wakeAt <= T0 + HANDOVER_HEARD_MS);
    assert.deepEqual(carriers(at(HANDOVER_HEARD_MS).items, 'direct'), []);
  });

  it('with libreswan the subnets move at once: pluto does not keep who is gone', () => {
    const site = siteFacts(relay(1), [relay(1)], { driver: 'libreswan' });
    assert.equal(carrierOf(site, asSite(remote), facts(false), T0 + 10), keyOf(2));
  });

  it('nobody is woken for one that did not move', () => {
    assert.equal(handoverWakeAt(UNSEEN, T0), Number.POSITIVE_INFINITY);
    assert.equal(handoverWakeAt(facts(false), T0 + HANDOVER_MS), Number.POSITIVE_INFINITY);
  });
});

describe("a node's part changes", () => {
  const overlay: Overlay = { address: ip('192.168.1.2'), gateway: null, members: [] };
  const edge: Part = { role: 'edge', self: asSite(gateway(1)), overlay };
  const member: Part = {
    role: 'member',
    self: asSite(gateway(1)),
    overlay: { ...overlay, gateway: ip('192.168.1.3') },
  };
  const idle: Part = { role: 'idle', self: null, overlay: null };

  const NEXT = { as: 'next', from: ip('192.168.1.3'), since: T0 } as const;
  const former = { as: 'former', to: '192.168.1.3' };
  const cases: [string, Part, Part, number, string, unknown][] = [
    ['the former keeps its tunnels', edge, member, 0, 'edge', former],
    ['for a while', edge, member, HANDOVER_HEARD_MS, 'member', null],
    ['the next borrows', member, edge, 0, 'edge', NEXT],
    ['as long', member, edge, HANDOVER_HEARD_MS, 'edge', null],
    ['who has no part any more has none at once', edge, idle, 0, 'idle', null],
    ['nor who had none', idle, edge, 0, 'edge', null],
    ['a clock that was set back ends it', edge, member, -1, 'member', null],
  ];
  for (const [what, before, given, after, role, handover] of cases) {
    it(what, () => {
      const part = partInForce(T0 + after, given, { part: before, at: T0 });
      assert.deepEqual([part.role, part.handover], [role, handover]);
      assert.ok(part.until > T0 + after);
    });
  }

  const pathOf = (items: readonly Item[]) =>
    items.flatMap((item) =>
      item.kind === 'route' && item.table === TABLES.path ? [`${item.device} ${item.via}`] : [],
    );

  it('the next sends by the former node until its tunnel carries: a probe is answered, or nobody answers any', () => {
    const site = siteFacts(gateway(1), [relay(1)], { handover: NEXT });
    const way = (more: Partial<PlaneFacts>, of = relay(1), after = 0) => {
      const { items, detour, wakeAt } = decideRemote(
        site,
        of,
        null,
        { ...UNSEEN, relay: { ...UNSEEN.relay, ...more } },
        T0 + after,
      );
      return [pathOf(items)[0], detour, wakeAt - T0];
    };
    const session = { peer: peerFacts({ lastHandshake: T0 / 1000 }) };
    const [by, own] = [
      ['raven0 240.168.1.3', true],
      ['raven-wg0 null', false],
    ];
    assert.deepEqual(way({}).slice(0, 2), by);
    assert.deepEqual(way(session), [...by, HANDOVER_SESSION_MS]);
    assert.deepEqual(way({ ...session, probe: probeFacts({ received: 1 }) }).slice(0, 2), own);
    assert.deepEqual(way(session, relay(1), HANDOVER_SESSION_MS).slice(0, 2), own);
    assert.deepEqual(way(session, relay(1, { corax: null })).slice(0, 2), own);
  });

  it("between edges that is the central relay's to say; a direct path needs nobody's word", () => {
    const site = siteFacts(gateway(1), [relay(9)], { handover: NEXT });
    const answered = { ...UNSEEN.relay, probe: probeFacts({ received: 1 }) };
    const way = (central: PlaneFacts, memory: PathMemory | null = null) => {
      const all = { ...UNSEEN, relay: answered, central: { relay: central } };
      return pathOf(decideRemote(site, remote, memory, all, T0).items)[0];
    };
    assert.equal(way(UNSEEN.relay), 'raven0 240.168.1.3');
    assert.equal(way(answered), 'raven-wg0 null');
    const { fingerprint } = pathInput(site, asSite(remote), UNSEEN, T0);
    assert.equal(way(UNSEEN.relay, adoptedPath(T0, fingerprint)), 'raven-wg1 null');
  });

  it('the former sends its own to the next, and what the next sends it by the tunnels', () => {
    const handover = { as: 'former', to: ip('192.168.1.3') } as const;
    const site = siteFacts(gateway(1), [relay(1)], { handover, overlay });
    const { items } = decideRemote(site, relay(1), null, facts(true), T0);
    assert.deepEqual(pathOf(items), ['raven0 240.168.1.3', 'null null']);
    const onward = items.filter((item) => item.kind === 'route' && item.table === TABLES.former);
    assert.deepEqual(
      onward.map((item) => item.kind === 'route' && `${item.prefix} ${item.device}`),
      [`${relay(1).subnets[0]} raven-wg0`],
    );
    const [rule] = siteItems(site).filter((item) => item.kind === 'rule' && item.table === TABLES.former);
    const firewall = siteItems(site).find((item) => item.kind === 'firewall');
    assert.deepEqual(
      [rule?.kind === 'rule' && rule.fwmark, firewall?.overlay?.handover],
      [OVERLAY.onwardMark, 'former'],
    );
    assert.equal(
      siteItems({ ...site, handover: null }).some((item) => item.kind === 'rule' && item.table === TABLES.former),
      false,
    );
  });

  it('asks again, soon and then once a second, of who can be asked, until there is a session', () => {
    const site = siteFacts(gateway(1), [relay(1)], { handover: NEXT });
    const asks = (of: Gateway, after: number, more: Partial<RemoteFacts>, lastHandshake = 0) => {
      const relayPlane = {
        peer: peerFacts({ endpoint: at('203.0.113.1'), lastHandshake, receivedAt: T0 }),
        probe: null,
      };
      const { deeds, wakeAt } = decideRemote(site, of, null, { ...UNSEEN, relay: relayPlane, ...more }, T0 + after);
      return [deeds.map(({ op }) => op), wakeAt - T0];
    };
    assert.deepEqual(asks(relay(1), 0, {}), [[], 250]);
    assert.deepEqual(asks(relay(1), 250, {}), [['re-add'], 500]);
    assert.deepEqual(asks(relay(1), 400, { nudgedAt: T0 + 250 }), [[], 500]);
    assert.deepEqual(asks(relay(1), 1000, { nudgedAt: T0 + 500 }), [['re-add'], 2000]);
    assert.deepEqual(asks(relay(1), 5500, { nudgedAt: T0 + 5000 }), [[], 6000]);
    assert.deepEqual(asks(relay(1), 1500, {}, T0 / 1000), [[], Number.POSITIVE_INFINITY]);
    assert.deepEqual(asks(relay(1), HANDOVER_MS, {}), [[], Number.POSITIVE_INFINITY]);
  });

  it('probes often meanwhile, a relay of many edges no more often than it can', () => {
    const interval = (role: 'edge' | 'relay', scale: number) => {
      const site = siteFacts(role === 'edge' ? gateway(1) : relay(1), [relay(2)], { handover: NEXT, scale });
      const { items } = decideRemote(site, relay(2), null, UNSEEN, T0);
      return items.find((item) => item.kind === 'probe')?.intervalMs;
    };
    assert.deepEqual([interval('edge', 4), interval('relay', 16_384)], [50, 16_384]);
  });
});
