/** Whoever there is traffic with is looked at once, and not for every packet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Remotes } from '#src/agent/remotes.js';
import { TrafficWatch } from '#src/agent/traffic.js';
import { adoptedPath, newPath } from '#src/decide/path.js';
import type { Ip } from '#src/model/address.js';
import { busyIn } from '#src/network/traffic.js';
import { gateway, ip } from '../decide/fixtures.js';

function watch(busy: () => Promise<Ip[]>, watched = () => true) {
  const remotes = new Remotes();
  remotes.put(gateway(2));
  const marked: string[] = [];
  const troubles: string[] = [];
  const holders: Record<string, string> = { '10.2.0.9': 'gw-2', '10.2.0.7': 'gw-2', '10.1.0.5': 'gw-1' };
  const traffic = new TrafficWatch({
    network: { busy },
    remotes,
    holderOf: (address) => holders[address] ?? null,
    watched,
    mark: (owner) => marked.push(owner),
    failed: (_, error) => troubles.push(String(error)),
    worked: () => troubles.push('worked'),
  });
  return { traffic, remotes, marked, troubles };
}

test('one packet or many, of one pod or several: its gateway is marked once, and nobody else', async () => {
  const busy = ['10.2.0.9', '10.2.0.7', '10.1.0.5', '192.0.2.1'].map(ip);
  const { traffic, remotes, marked } = watch(async () => busy);
  await traffic.look();
  await traffic.look();
  assert.deepEqual(marked, ['gw-2']);
  assert.ok((remotes.get('gw-2')?.facts.trafficAt ?? 0) > 0);
});

test('those that are direct when direct planes come to be on demand keep theirs', () => {
  const { remotes } = watch(async () => []);
  const other = remotes.put(gateway(3));
  const remote = remotes.put(gateway(2));
  remote.path = adoptedPath(1, 'f');
  other.path = newPath(1);
  remotes.keepDirect(77);
  assert.deepEqual([remote.facts.trafficAt, other.facts.trafficAt], [77, undefined]);
});

test('nobody watches: the kernel is not asked; it fails: it is told, and the next look goes on', async () => {
  let asked = 0;
  let watched = false;
  const busy = async () => {
    asked += 1;
    if (asked === 1) throw new Error('busy');
    return [ip('10.2.0.9')];
  };
  const { traffic, marked, troubles } = watch(busy, () => watched);
  await traffic.look();
  assert.equal(asked, 0);
  watched = true;
  await traffic.look();
  await traffic.look();
  assert.deepEqual([troubles, marked], [['Error: busy', 'worked'], ['gw-2']]);
});

test('a look that takes long is not had so often', async () => {
  let tookMs = 0;
  const { traffic } = watch(async () => {
    const until = performance.now() + tookMs;
    while (performance.now() < until);
    return [];
  });
  assert.equal(traffic.waitMs, 250);
  tookMs = 60;
  await traffic.look();
  assert.ok(traffic.waitMs >= 9 * tookMs, `${traffic.waitMs} ms`);
});

test('the answer of nft: elements with their time or without, and nothing that is none of ours', () => {
  const set = (name: string, elem: unknown) =>
    JSON.stringify({ nftables: [{ metainfo: {} }, { set: { name, elem } }] });
  const timed = { elem: { val: '10.2.0.9', timeout: 5, expires: 4 } };
  assert.deepEqual(busyIn(set('busy', [timed, '10.2.0.7', 7, null, 'x', { elem: {} }])), ['10.2.0.9', '10.2.0.7']);
  assert.deepEqual([busyIn(set('other', [timed])), busyIn(set('busy', undefined)), busyIn('{}')], [[], [], []]);
});
