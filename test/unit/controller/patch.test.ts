import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alarms } from '#src/controller/alarms.js';
import { statusPatch } from '#src/controller/patch.js';
import { site, tunnel } from './fixtures.js';

const NODES = [{ nodeName: 'n1', privateIP: '192.168.0.1', subnets: ['10.244.1.0/24'] }];
const wanted = { nodes: NODES, activeEndpoints: [tunnel('n1')] };
const uid = { op: 'test', path: '/metadata/uid', value: 'uid-gw' };

test('no status: it is added to the very version that has none', () => {
  assert.deepEqual(statusPatch(site([]), wanted), [
    uid,
    { op: 'test', path: '/metadata/resourceVersion', value: '1' },
    { op: 'add', path: '/status', value: wanted },
  ]);
});

test('only what differs is replaced, and what is replaced is tested', () => {
  const status = { nodes: NODES, activeEndpoints: [tunnel('n2')] };
  assert.deepEqual(statusPatch(site([], { status }), wanted), [
    uid,
    { op: 'test', path: '/status/activeEndpoints', value: [tunnel('n2')] },
    { op: 'replace', path: '/status/activeEndpoints', value: [tunnel('n1')] },
  ]);
});

test('a list that is not there is added', () => {
  const status = { activeEndpoints: [tunnel('n1')] };
  assert.deepEqual(statusPatch(site([], { status }), wanted), [
    uid,
    { op: 'add', path: '/status/nodes', value: NODES },
  ]);
});

test('alarms: each rings once, never before its time, the last setting counts', async () => {
  const rung = new Map<string, number>();
  let enough: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const began = performance.now();
  const alarms = new Alarms(
    (names) => {
      for (const name of names) {
        assert.ok(!rung.has(name), `${name} rang twice`);
        rung.set(name, performance.now() - began);
      }
      if (rung.size >= 3) enough();
    },
    () => performance.now(),
  );
  alarms.set('late', began + 60);
  alarms.set('early', began + 20);
  alarms.set('moved', began + 1);
  alarms.set('moved', began + 40);
  alarms.set('dropped', began + 5);
  alarms.delete('dropped');
  await all;
  assert.deepEqual([...rung.keys()].sort(), ['early', 'late', 'moved']);
  for (const [name, at] of Object.entries({ early: 20, moved: 40, late: 60 })) assert.ok((rung.get(name) ?? 0) >= at);
  alarms.set('never', performance.now() + 1e6);
  alarms.clear();
});
