import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { carrierOf, handoverWakeAt, isKept, type Part, partInForce } from '#src/decide/handover.js';
import { decideRemote } from '#src/decide/remote.js';
import { HANDOVER_HEARD_MS, HANDOVER_MS, HANDOVER_SWITCH_MS } from '#src/decide/timing.js';
import type { Overlay, RemoteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import type { CarryItem, Item, RouteItem } from '#src/model/item.js';
import type { ItemStep } from '#src/model/step.js';
import { asSite, at, gateway, ip, keyOf, peerFacts, prefix, relay, siteFacts, UNSEEN } from './fixtures.js';

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

  it('a relay has both peers until then, and one after', () => {
    const site = siteFacts(relay(1), [relay(1)]);
    const peers = (session: boolean) => {
      const { items } = decideRemote(site, remote, null, facts(session), T0 + 10);
      const keys = items.flatMap((item) => (item.kind === 'peer' ? [item.key] : []));
      return { keys, carriers: carriers(items, 'relay') };
    };
    assert.deepEqual(peers(false), { keys: [keyOf(2), FORMER.key], carriers: [FORMER.key] });
    assert.deepEqual(peers(true), { keys: [keyOf(2)], carriers: [keyOf(2)] });
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

  const next = { as: 'next', from: '192.168.1.3', since: T0 };
  const former = { as: 'former' };
  const cases: [string, Part, Part, number, string, unknown][] = [
    ['the former goes on as it was', edge, member, 0, 'edge', former],
    ['then it is a member, whose tunnels stand', edge, member, HANDOVER_SWITCH_MS, 'member', former],
    ['then they go', edge, member, HANDOVER_HEARD_MS, 'member', null],
    ['the next borrows', member, edge, 0, 'edge', next],
    ['for a while', member, edge, HANDOVER_HEARD_MS, 'edge', null],
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

  it('the next sends by the former node until its tunnel has a session, and only what is on the tunnel', () => {
    const handover = { as: 'next', from: ip('192.168.1.3'), since: T0 } as const;
    const site = siteFacts(gateway(1), [relay(1)], { handover });
    const ways = (session: boolean) =>
      decideRemote(site, relay(1), null, facts(session), T0).items.flatMap((item) =>
        item.kind === 'route' && item.table === 9028 ? [`${item.device} ${item.via}`] : [],
      );
    assert.deepEqual(ways(false), ['raven0 240.168.1.3', 'null null']);
    assert.deepEqual(ways(true), ['raven-wg0 null', 'null null']);
  });

  it('asks again once a second, of who can be asked, until there is a session', () => {
    const handover = { as: 'next', from: ip('192.168.1.3'), since: T0 } as const;
    const site = siteFacts(gateway(1), [relay(1)], { handover });
    const asks = (of: Gateway, after: number, more: Partial<RemoteFacts>, lastHandshake = 0) => {
      const relayPlane = {
        peer: peerFacts({ endpoint: at('203.0.113.1'), lastHandshake, receivedAt: T0 }),
        probe: null,
      };
      const { deeds, wakeAt } = decideRemote(site, of, null, { ...UNSEEN, relay: relayPlane, ...more }, T0 + after);
      return [deeds.map(({ op }) => op), wakeAt - T0];
    };
    assert.deepEqual(asks(relay(1), 0, {}), [[], 1000]);
    assert.deepEqual(asks(relay(1), 1000, {}), [['re-add'], 2000]);
    assert.deepEqual(asks(relay(1), 1500, { nudgedAt: T0 + 1000 }), [[], 2000]);
    assert.deepEqual(asks(relay(1), 1500, {}, T0 / 1000), [[], Number.POSITIVE_INFINITY]);
    assert.deepEqual(asks(relay(1), HANDOVER_MS, {}), [[], Number.POSITIVE_INFINITY]);
  });

  it('what is kept are tunnels, from being deleted, and only then', () => {
    const step = (op: 'put' | 'delete', item: Item): ItemStep =>
      op === 'put' ? { op, item, present: null } : { op, item };
    const carry: Item = { kind: 'carry', plane: 'relay', prefix: prefix('10.0.2.0/24'), peer: keyOf(2) };
    const own: Item = { kind: 'address', device: 'raven0', address: ip('10.0.1.1') };
    const site = siteFacts(gateway(1), [], { handover: { as: 'former' } });
    const kept = [step('delete', carry), step('put', carry), step('delete', own)].map((it) => isKept(site, it));
    assert.deepEqual(kept, [true, false, false]);
    assert.equal(isKept({ ...site, handover: null }, step('delete', carry)), false);
  });
});
