import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { factsOf } from '#src/agent/facts.js';
import { Failures } from '#src/agent/failures.js';
import { Gateways } from '#src/agent/gateways.js';
import { Remotes } from '#src/agent/remotes.js';
import { chooseProbeAddress, siteFacts as gather, isCentral, sameForRemotes } from '#src/agent/site.js';
import { relayOf } from '#src/decide/relations.js';
import type { Relay, SiteFacts } from '#src/model/facts.js';
import type { PeerUpdate } from '#src/tunnel/driver.js';
import { at, gateway, ip, keyOf, probeFacts, relay, siteFacts } from '../decide/fixtures.js';

const NOW = 1_800_000_000_000;
const update = (more: Partial<PeerUpdate> = {}): PeerUpdate => ({
  plane: 'relay',
  key: keyOf(2),
  gone: false,
  moved: true,
  endpoint: at('198.51.100.2'),
  lastHandshake: NOW / 1000,
  session: null,
  rxBytes: 1000,
  txBytes: 1000,
  carries: null,
  ...more,
});

describe('what is seen of remotes', () => {
  it('keeps peers that were seen before their gateway was known: an adopted tunnel', () => {
    const remotes = new Remotes();
    assert.equal(remotes.seePeer(update(), NOW), null);
    remotes.seePeer(update({ plane: 'direct', rxBytes: 5 }), NOW);
    remotes.seePeer(update({ key: keyOf(3) }), NOW);
    remotes.seePeer(update({ key: keyOf(3), gone: true }), NOW);
    const { facts } = remotes.put(gateway(2));
    assert.equal(facts.relay.peer?.rxBytes, 1000);
    assert.equal(facts.direct.peer?.rxBytes, 5);
    assert.equal(remotes.put(gateway(3)).facts.relay.peer, null);
  });

  it('knows when something was received and sent, not counting keepalives', () => {
    const remotes = new Remotes();
    remotes.put(gateway(2));
    const seen = (more: Partial<PeerUpdate>, when: number) => remotes.seePeer(update(more), when)?.facts.relay.peer;
    assert.equal(seen({ lastHandshake: 1_799_999_990 }, NOW)?.receivedAt, NOW, 'found with a session: may be in use');
    assert.deepEqual([seen({ rxBytes: 1001 }, NOW + 1)?.receivedAt], [NOW + 1]);
    assert.equal(seen({ rxBytes: 1001, txBytes: 1180 }, NOW + 2)?.sentAt, 0, 'a keepalive and a handshake');
    assert.equal(seen({ rxBytes: 1001, txBytes: 1400 }, NOW + 3)?.sentAt, NOW + 3);
    assert.equal(
      seen({ rxBytes: 92, txBytes: 148 }, NOW + 4)?.receivedAt,
      NOW + 4,
      'it was added anew and counts from zero',
    );
    assert.equal(seen({ rxBytes: 92, txBytes: 148 }, NOW + 5)?.receivedAt, NOW + 4);
  });

  it('takes a peer that was found without a living session for one that nobody uses', () => {
    for (const lastHandshake of [0, 1_799_999_800]) {
      const remotes = new Remotes();
      remotes.put(gateway(2));
      const { receivedAt } = remotes.seePeer(update({ lastHandshake }), NOW)?.facts.relay.peer ?? {};
      assert.equal(receivedAt, lastHandshake * 1000);
    }
  });

  it('believes nothing of an old key', () => {
    const remotes = new Remotes();
    remotes.put(gateway(2));
    remotes.seePeer(update(), NOW);
    remotes.seeProbe('gw-2', 'relay', probeFacts({ received: 1 }));
    assert.notEqual(remotes.put(gateway(2, { natType: null })).facts.relay.peer, null);
    const { facts } = remotes.put(gateway(2, { key: keyOf(22) }));
    assert.deepEqual([facts.relay.peer, facts.relay.probe], [null, null]);
    assert.equal(remotes.withKey(keyOf(2)), undefined);
    assert.equal(remotes.withKey(keyOf(22))?.gateway.name, 'gw-2');
    remotes.delete('gw-2');
    assert.equal(remotes.withKey(keyOf(22)), undefined);
    assert.equal(remotes.withProbeAddress(ip('10.0.2.1')), undefined);
  });

  it('drops peers that were taken away, or went with their device', () => {
    const remotes = new Remotes();
    remotes.put(gateway(2));
    remotes.seePeer(update(), NOW);
    remotes.seePeer(update({ plane: 'direct' }), NOW);
    remotes.dropPeer(keyOf(2), 'direct');
    assert.deepEqual(
      [remotes.get('gw-2')?.facts.direct.peer, remotes.get('gw-2')?.facts.relay.peer?.rxBytes],
      [null, 1000],
    );
    remotes.dropPeers('relay');
    assert.equal(remotes.get('gw-2')?.facts.relay.peer, null);
  });
});

describe('totals that never fall', () => {
  const bytes = (remotes: Remotes, plane: 'relay' | 'direct') => {
    const { rxBytes, txBytes } = remotes.get('gw-2')?.totals[plane] ?? assert.fail();
    return [rxBytes, txBytes];
  };

  it('count on when a peer is re-added, taken down, or has another key; and end with their gateway', () => {
    const remotes = new Remotes();
    remotes.seePeer(update({ rxBytes: 100, txBytes: 10 }), NOW);
    remotes.put(gateway(2));
    assert.deepEqual(bytes(remotes, 'relay'), [100, 10], 'of a peer that was there before its gateway was known');
    remotes.seePeer(update({ rxBytes: 150, txBytes: 10 }), NOW);
    remotes.seePeer(update({ rxBytes: 20, txBytes: 5 }), NOW);
    assert.deepEqual(bytes(remotes, 'relay'), [170, 15], 're-added between two looks');
    remotes.seePeer(update({ gone: true, rxBytes: 20, txBytes: 5 }), NOW);
    remotes.seePeer(update({ rxBytes: 300, txBytes: 6 }), NOW);
    assert.deepEqual(bytes(remotes, 'relay'), [470, 21], 'gone, and back with more than it had');
    remotes.dropPeers('relay');
    assert.deepEqual(bytes(remotes, 'relay'), [470, 21]);
    remotes.put(gateway(2, { key: keyOf(22) }));
    remotes.seePeer(update({ key: keyOf(22), rxBytes: 1, txBytes: 1 }), NOW);
    assert.deepEqual(
      [bytes(remotes, 'relay'), bytes(remotes, 'direct')],
      [
        [471, 22],
        [0, 0],
      ],
    );
    remotes.delete('gw-2');
    remotes.put(gateway(2));
    assert.deepEqual(bytes(remotes, 'relay'), [0, 0]);
  });

  it('count probes over generations, each of which begins at zero', () => {
    const remotes = new Remotes();
    remotes.put(gateway(2));
    for (const [sent, lost, generation] of [
      [10, 1, 1],
      [12, 1, 1],
      // More than the generation before had.
      [20, 5, 2],
      [3, 0, 3],
    ] as const) {
      remotes.seeProbe('gw-2', 'direct', probeFacts({ sent, lost, generation }));
    }
    remotes.seeProbe('gw-2', 'direct', null);
    const { probesSent, probesLost } = remotes.get('gw-2')?.totals.direct ?? assert.fail();
    assert.deepEqual([probesSent, probesLost], [35, 6]);
  });
});

describe('what decide is told of a remote', () => {
  it('has the central relay as the peer of the relay plane, between edges and only there', () => {
    const remotes = new Remotes();
    for (const of of [relay(1), relay(2), gateway(2)]) remotes.put(of);
    remotes.seePeer(update({ key: keyOf(1002), rxBytes: 7 }), NOW);
    remotes.seePeer(update({ key: keyOf(1001), rxBytes: 5 }), NOW);
    remotes.seeProbe('gw-2', 'relay', probeFacts({ received: 1 }));
    const relayPlane = (site: SiteFacts, name: string) =>
      factsOf(site, remotes, remotes.get(name) ?? assert.fail(name)).relay;
    const edge = siteFacts(gateway(1), [relay(1), relay(2)]);
    assert.deepEqual([relayPlane(edge, 'gw-2').peer?.rxBytes, relayPlane(edge, 'gw-2').probe?.received], [7, 1]);
    assert.equal(relayPlane(edge, 'relay-1').peer?.rxBytes, 5);
    assert.equal(relayPlane(siteFacts(gateway(1), []), 'gw-2').peer, null);
    assert.equal(relayPlane(siteFacts(relay(3), [relay(1), relay(2)]), 'gw-2').peer, null);
  });
});

describe('failures', () => {
  it('back off from a second to a minute, with jitter', () => {
    const failures = new Failures();
    const before = Date.now();
    const pauses = Array.from({ length: 12 }, () => failures.failed('k', 'o', new Error('x'), NOW).retryAt - NOW);
    pauses.forEach((pause, times) => {
      const middle = Math.min(60_000, 1000 * 2 ** times);
      assert.ok(pause >= middle * 0.8 && pause <= middle * 1.2, `${pause} of ${middle}`);
    });
    const since = [...failures.all][0]?.since ?? 0;
    assert.ok(since >= before && since <= Date.now(), 'since when is for people, by the wall clock');
  });

  it('are due when their time has come, and over when it has passed untried', () => {
    const failures = new Failures();
    failures.failed('k', 'o', new Error('x'), NOW);
    assert.equal(failures.due('k', NOW + 100), false);
    assert.equal(failures.due('other', NOW), true);
    assert.deepEqual([...failures.dueOwners(NOW + 100)], []);
    assert.deepEqual([...failures.dueOwners(NOW + 1200)], ['o']);
    failures.expire(NOW + 1200);
    assert.equal(failures.nextRetry(), Number.POSITIVE_INFINITY);
  });

  it('are forgotten for one owner without a look at the others', () => {
    const failures = new Failures();
    for (let owner = 0; owner < 3; owner++) {
      for (const key of ['a', 'b']) failures.failed(`${key} ${owner}`, `o${owner}`, new Error('x'), NOW);
    }
    const asked: string[] = [];
    failures.forget('o1', (key) => {
      asked.push(key);
      return key === 'a 1';
    });
    assert.deepEqual(asked, ['a 1', 'b 1']);
    assert.equal(failures.failed('a 1', 'o2', new Error('it passed to another'), NOW).times, 2);
    failures.forget('o1', () => assert.fail('it has none'));
    failures.forget('o2', () => false);
    assert.deepEqual(
      [...failures.all].map(({ owner }) => owner),
      ['o0', 'o0'],
    );
  });

  it('of deeds wake nobody, and are kept for a while to back off from', () => {
    const failures = new Failures();
    failures.failed('punch x', 'x', new Error('x'), NOW, false);
    failures.forget('x', () => false);
    failures.expire(NOW + 5000);
    assert.deepEqual([[...failures.dueOwners(NOW + 5000)], failures.nextRetry()], [[], Number.POSITIVE_INFINITY]);
    assert.equal(failures.failed('punch x', 'x', new Error('x'), NOW + 5000, false).times, 2);
    failures.expire(NOW + 120_000);
    assert.deepEqual([...failures.all], []);
  });
});

describe('gateways', () => {
  it('tell the own one, relays, edges and remotes apart, and follow changes', () => {
    const remotes = new Remotes();
    const gateways = new Gateways('node-1', remotes);
    gateways.take({
      synced: true,
      upserted: [gateway(1), gateway(2), relay(1)],
      refused: [],
      removed: [],
      unread: false,
    });
    assert.equal(gateways.own?.name, 'gw-1');
    assert.equal(gateways.remoteEdges, 1);
    assert.deepEqual(
      [...gateways.relays].map((of) => of.gateway.name),
      ['relay-1'],
    );
    assert.deepEqual(
      [...remotes.all].map((of) => of.gateway.name),
      ['gw-2', 'relay-1'],
    );
    gateways.take({
      synced: true,
      upserted: [gateway(1, { node: 'node-9' }), gateway(2, { node: 'node-1' })],
      refused: [],
      removed: ['relay-1'],
      unread: false,
    });
    assert.equal(gateways.own?.name, 'gw-2');
    assert.deepEqual(
      [...remotes.all].map((of) => of.gateway.name),
      ['gw-1'],
    );
    assert.deepEqual([...gateways.relays], []);
  });

  it('are taken in pieces, and not synced before the last', () => {
    const upserted = [gateway(1), relay(1), ...Array.from({ length: 50 }, (_, index) => gateway(2 + index))];
    const batch = { synced: true, upserted, refused: [], removed: [], unread: false };
    const [whole, sliced] = [new Remotes(), new Remotes()];
    const expected = new Gateways('node-1', whole).take(batch);
    const gateways = new Gateways('node-1', sliced);
    const pieces = gateways.taking(batch);
    let count = 0;
    let piece = pieces.next();
    for (; !piece.done; piece = pieces.next()) {
      count += 1;
      assert.equal(gateways.synced, false);
    }
    assert.deepEqual([gateways.synced, piece.value], [true, expected]);
    assert.deepEqual([...sliced.all], [...whole.all]);
    assert.ok(count >= upserted.length, `${count} pieces`);
  });
});

describe('the facts about the node', () => {
  it('round the number of edges up, so that one more seldom matters', () => {
    const facts = (remoteEdges: number) => {
      const { subnets: _, self: __, role: ___, scale: ____, crowded: _____, ...rest } = siteFacts(gateway(1), []);
      return gather({
        ...rest,
        own: gateway(1),
        remoteEdges,
        relays: [relay(2), relay(1)].map((of) => relayOf(of) as Relay),
      });
    };
    assert.deepEqual(
      [0, 1, 2, 3, 100, 101, 129].map((edges) => facts(edges).scale),
      [0, 1, 2, 4, 128, 128, 256],
    );
    assert.deepEqual(
      [100, 101].map((edges) => facts(edges).crowded),
      [false, true],
    );
    assert.deepEqual(
      facts(1).relays.map((of) => of.gateway.name),
      ['relay-1', 'relay-2'],
    );
    assert.ok(sameForRemotes(facts(5), facts(6)), 'the same for remotes');
    assert.ok(
      sameForRemotes(facts(5), { ...facts(5), relayEndpoints: [at('203.0.113.1')] }),
      'nor where a relay is seen',
    );
    assert.ok(!sameForRemotes(facts(5), { ...facts(5), probeAddress: null }), 'but this does');
  });

  it('knows the central relay', () => {
    assert.equal(isCentral(siteFacts(relay(2), [relay(1), relay(2)])), true);
    assert.equal(isCentral(siteFacts(relay(1), [relay(1), relay(2)])), false);
    assert.equal(isCentral(siteFacts(gateway(1), [])), false);
  });

  const held = (...addresses: string[]) => addresses.map((text) => ({ device: 'cni0', ip: ip(text) }));
  const cases: [string, string | null, ReturnType<typeof held>, string | null, string | null][] = [
    ['one that the node holds in its subnet', null, held('192.168.7.2', '10.0.1.7'), null, '10.0.1.7'],
    ['the one that was published, while it is held', '10.0.1.9', held('10.0.1.7', '10.0.1.9'), null, '10.0.1.9'],
    ['another when the published one is gone', '10.0.1.9', held('10.0.1.7'), null, '10.0.1.7'],
    ['the first of the subnet when it holds none', null, held('192.168.7.2', 'fd00::1'), null, '10.0.1.0'],
    ['none when that is not delivered', null, [], '10.0.1.0', null],
  ];
  for (const [name, probeAddress, addresses, rejected, chosen] of cases) {
    it(`chooses as probe address ${name}`, () => {
      const own = gateway(1, { probeAddress });
      assert.equal(chooseProbeAddress(own, 'node-1', addresses, rejected === null ? null : ip(rejected)), chosen);
    });
  }

  it('has no probe address without a gateway', () => {
    assert.equal(chooseProbeAddress(null, 'node-1', held('10.0.1.7'), null), null);
  });
});
