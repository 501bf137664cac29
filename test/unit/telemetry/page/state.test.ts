/** What the page's own script makes of what it is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PeerStatus } from '#src/model/status.js';
import { HEIGHT, lineOf, topOf, WIDTH } from '#src/telemetry/page/client/sparkline.js';
import { isIn, PageState, TRACE_LENGTH } from '#src/telemetry/page/client/state.js';
import {
  applyPeers,
  type Delta,
  difference,
  type Head,
  headView,
  type PeerView,
  viewOf,
} from '#src/telemetry/page/view.js';
import { edgeStatus, NOW, peerStatus } from '../../cli/fixtures.js';

const whole = (...peers: PeerStatus[]): NonNullable<Delta['peers']> =>
  peers.map((peer) => [peer.gateway, viewOf(peer)]);

function begun(...peers: PeerStatus[]): PageState {
  const state = new PageState();
  state.reset({ now: NOW, head: headView(edgeStatus() as Head), changes: [], count: peers.length });
  state.delta({ now: NOW, peers: whole(...peers) });
  return state;
}

const peersArbitrary = fc.uniqueArray(
  fc.record({
    gateway: fc.constantFrom('a', 'b', 'c', 'd', 'e', '__proto__', 'constructor'),
    reason: fc.constantFrom('x', 'y'),
    rttMs: fc.option(fc.constantFrom(1, 2.34, 99)),
    node: fc.option(fc.constantFrom('n', 'm')),
  }),
  { selector: ({ gateway }) => gateway },
);

test('deltas, one after the other, come to what is', () => {
  fc.assert(
    fc.property(fc.array(peersArbitrary, { maxLength: 6 }), (looks) => {
      const page = new Map<string, PeerView>();
      let before: ReadonlyMap<string, PeerView> = new Map();
      for (const look of looks) {
        const after = new Map<string, PeerView>(
          look.map(({ gateway, reason, rttMs, node }) => {
            const { relay } = peerStatus().planes;
            const planes = { relay: relay === null ? null : { ...relay, rttMs }, direct: null };
            return [gateway, viewOf(peerStatus({ gateway, reason, node, planes }))] as const;
          }),
        );
        const peers = [...after].flatMap(([name, view]): [string, Partial<PeerView>][] => {
          const changed = difference(before.get(name), view);
          return changed === null ? [] : [[name, changed]];
        });
        const gone = [...before.keys()].filter((name) => !after.has(name));
        applyPeers(page, JSON.parse(JSON.stringify({ now: 0, peers, gone })));
        assert.deepEqual(page, after);
        before = after;
      }
    }),
  );
});

test('a trace: one value a second, a gap where there was no answer or no word', () => {
  const { relay } = peerStatus().planes;
  const state = begun(peerStatus({ planes: { relay, direct: null } }));
  const latest = (count: number) => [...(state.trace('gw-b')?.relay ?? []).slice(-count)];
  assert.deepEqual(latest(2), [Number.NaN, Math.fround(54.7)]);
  state.delta({ now: NOW + 1 });
  assert.deepEqual(latest(2), [Math.fround(54.7), Math.fround(54.7)]);
  const dead = relay === null ? null : { ...relay, alive: false };
  state.delta({ now: NOW + 2, peers: [['gw-b', { planes: { relay: dead, direct: null } }]] });
  assert.deepEqual(latest(2), [Math.fround(54.7), Number.NaN]);
  state.delta({ now: NOW + 5, peers: [['gw-b', { planes: { relay, direct: null } }]] });
  assert.deepEqual(latest(4), [Number.NaN, Number.NaN, Number.NaN, Math.fround(54.7)]);
  assert.equal(state.trace('gw-b')?.relay.length, TRACE_LENGTH);
  state.delta({ now: NOW + 6, gone: ['gw-b'] });
  assert.equal(state.trace('gw-b'), undefined, 'nothing is kept of one that is gone');
});

test('a restart is told from a lost connection', () => {
  const state = begun(peerStatus());
  const again = { now: NOW + 3, head: headView(edgeStatus() as Head), changes: [], count: 1 };
  assert.equal(state.reset(again), false);
  assert.equal(state.reset({ ...again, head: { ...again.head, startedAt: NOW } }), true);
});

test('filter, groups and order', () => {
  const { relay, direct } = peerStatus().planes;
  const dead = relay === null ? null : { ...relay, alive: false };
  const state = begun(
    peerStatus({ gateway: 'paris', subnets: ['10.1.0.0/24'] }),
    peerStatus({ gateway: 'berlin', path: 'relay', state: 'punching' }),
    peerStatus({ gateway: 'rome', path: 'relay', state: 'relayed', mayBeDirect: false, reason: 'both are Symmetric' }),
    peerStatus({ gateway: 'oslo', path: 'relay', state: 'relayed', planes: { relay: dead, direct } }),
  );
  const names = (words: string, group: Parameters<PageState['select']>[1] = null) =>
    state.select(words, group).map(({ gateway }) => gateway);
  assert.deepEqual(names(''), ['oslo', 'berlin', 'rome', 'paris']);
  assert.deepEqual(names('', 'silent'), ['oslo']);
  assert.deepEqual(names('', 'relayed'), ['rome']);
  assert.deepEqual(names('', 'direct'), ['paris']);
  assert.deepEqual(names('10.1.0'), ['paris']);
  assert.deepEqual(names('symmetric RELAYED'), ['rome']);
  assert.deepEqual(names('nothing like it'), []);
  const groups = ['silent', 'punching', 'relayed', 'direct'] as const;
  for (const peer of state.peers.values())
    assert.equal(groups.filter((group) => isIn(peer, group)).length, 1, peer.gateway);
});

test('sparklines: one scale for both planes, broken where nothing answered', () => {
  const trace = { relay: new Float32Array([50, 60, Number.NaN, 40, Number.NaN]), direct: new Float32Array(5).fill(20) };
  const top = topOf(trace);
  assert.ok(top > 60);
  const line = lineOf(trace.relay, top);
  assert.equal(line.match(/M/g)?.length, 2, line);
  assert.equal(line.match(/L/g)?.length, 1, line);
  assert.equal(lineOf(new Float32Array(5).fill(Number.NaN), top), '');
  fc.assert(
    fc.property(fc.float32Array({ minLength: 2, maxLength: 200, min: 0, max: 100_000 }), (relay) => {
      const both = { relay, direct: new Float32Array([1, 2]) };
      for (const [, x, y] of lineOf(relay, topOf(both)).matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
        assert.ok(Number(x) >= 0 && Number(x) <= WIDTH && Number(y) >= 0 && Number(y) <= HEIGHT);
      }
    }),
  );
});
