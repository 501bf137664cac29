/** Direct planes on demand: for whom there is traffic with, and no longer than that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedUntil, isOnDemand } from '#src/decide/demand.js';
import { siteItems } from '#src/decide/desired.js';
import { adoptedPath, newPath, type PathMemory } from '#src/decide/path.js';
import { decideRemote, pathInput, reasonOf } from '#src/decide/remote.js';
import { DEMAND_MS, IN_USE_MS } from '#src/decide/timing.js';
import type { RemoteFacts, SiteFacts } from '#src/model/facts.js';
import type { Item } from '#src/model/item.js';
import { asSite, gateway, peerFacts, probeFacts, relay, siteFacts, UNSEEN } from './fixtures.js';

const NOW = 1_800_000_000_000;
const theirs = gateway(2);
const at = (more: Partial<SiteFacts>): SiteFacts => siteFacts(gateway(1), [relay(1)], more);
const onDemand = at({ direct: 'demand' });
const isDirect = (item: Item) => item.kind === 'peer' && item.plane === 'direct';
const isRoute = (item: Item) => item.kind === 'route' && item.device === 'raven-wg1' && item.table === 9028;

test('who gives direct planes on demand', () => {
  const table: Array<[Partial<SiteFacts>, boolean]> = [
    [{ direct: 'auto' }, false],
    [{ direct: 'auto', crowded: true }, true],
    [{ direct: 'demand' }, true],
    [{ direct: 'demand', crowded: true }, true],
    [{ direct: 'all', crowded: true }, false],
    [{ direct: 'none', crowded: true }, false],
    [{ direct: 'demand', role: 'member' }, false],
    [{ direct: 'demand', role: 'relay' }, false],
  ];
  for (const [more, expected] of table) {
    assert.equal(isOnDemand(at(more)), expected, JSON.stringify(more));
    const firewall = siteItems(at(more)).find((item) => item.kind === 'firewall');
    if (more.role !== 'member') assert.equal(firewall?.watchesTraffic, expected, 'watched only where it is of use');
  }
});

test('until when: so long after the last packet; a clock that was set back makes nothing last longer', () => {
  const table: Array<[Partial<RemoteFacts>, number]> = [
    [{}, Number.NEGATIVE_INFINITY],
    [{ trafficAt: NOW }, NOW + DEMAND_MS],
    [{ trafficAt: NOW - DEMAND_MS }, NOW],
    [{ trafficAt: NOW - DEMAND_MS - 1 }, Number.NEGATIVE_INFINITY],
    [{ trafficAt: NOW + 1_000 }, NOW + DEMAND_MS],
    [{ trafficAt: NOW + DEMAND_MS + 1 }, Number.NEGATIVE_INFINITY],
  ];
  for (const [more, expected] of table) assert.equal(askedUntil(onDemand, { ...UNSEEN, ...more }, NOW), expected);
  assert.equal(askedUntil(at({ direct: 'all' }), UNSEEN, NOW), Number.POSITIVE_INFINITY);
});

test('without traffic nothing is in force for a direct plane, and nothing is woken for', () => {
  const { items, deeds, path, wakeAt } = decideRemote(onDemand, theirs, null, UNSEEN, NOW);
  assert.deepEqual([items.filter(isDirect), deeds, wakeAt], [[], [], Number.POSITIVE_INFINITY]);
  assert.ok(path !== null);
  assert.equal(path.state, 'relayed');
  assert.match(reasonOf(onDemand, asSite(theirs), path, UNSEEN, NOW), /no traffic with it lately/);
});

test('with traffic it is opened at once, as for everybody', () => {
  const asked = decideRemote(onDemand, theirs, newPath(NOW - 60_000), { ...UNSEEN, trafficAt: NOW }, NOW);
  const all = decideRemote(at({ direct: 'all' }), theirs, newPath(NOW - 60_000), UNSEEN, NOW);
  assert.equal(asked.path?.state, 'punching');
  assert.deepEqual([asked.items, asked.deeds, asked.wakeAt], [all.items, all.deeds, all.wakeAt]);
});

const heard = (trafficAt: number): RemoteFacts => ({
  relay: { peer: null, probe: probeFacts({ sent: 9, received: 9, answeredInRow: 9, rttMs: 40, loss: 0 }) },
  direct: {
    peer: peerFacts({ lastHandshake: NOW / 1000 - 30, receivedAt: NOW - 100 }),
    probe: probeFacts({ sent: 9, received: 9, answeredInRow: 9, rttMs: 20, loss: 0 }),
  },
  remotePath: 'direct',
  trafficAt,
});

function directPath(facts: RemoteFacts): PathMemory {
  const { fingerprint } = pathInput(onDemand, asSite(theirs), facts, NOW);
  return { ...adoptedPath(NOW - 60_000, fingerprint), adopted: false, pings: 'answered' };
}

test('a direct path goes when there was no traffic for long; its peer is left to the other end until that is off it too', () => {
  const facts = heard(NOW - DEMAND_MS + 1_000);
  const kept = decideRemote(onDemand, theirs, directPath(facts), facts, NOW);
  assert.equal(kept.path?.state, 'direct');
  assert.equal(kept.wakeAt, NOW + 1_001, 'that is when to look again');

  const later = kept.wakeAt;
  const gone = decideRemote(onDemand, theirs, kept.path, facts, later);
  assert.equal(gone.path?.state, 'relayed');
  assert.equal(gone.items.some(isRoute), false);
  assert.equal(gone.items.filter(isDirect).length, 1);
  const quiet = { ...facts, remotePath: 'relay' } as const;
  const end = decideRemote(onDemand, theirs, gone.path, quiet, later + IN_USE_MS + 1_000);
  assert.deepEqual([end.items.filter(isDirect), end.wakeAt], [[], Number.POSITIVE_INFINITY]);
});

test('a packet keeps it, and one that comes after it went opens it again', () => {
  const facts = heard(NOW - 1_000);
  const kept = decideRemote(onDemand, theirs, directPath(facts), facts, NOW);
  assert.equal(kept.path?.state, 'direct');
  const gone = decideRemote(onDemand, theirs, kept.path, heard(NOW - DEMAND_MS - 1), NOW);
  const again = decideRemote(onDemand, theirs, gone.path, heard(NOW), NOW + 1);
  assert.equal(again.path?.state, 'punching');
});
