import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProbeItem } from '#src/model/item.js';
import type { Engine, ProbeSnapshot, ProbeTarget } from '#src/native.js';
import { Prober, statedPath } from '#src/probe/prober.js';
import { ip } from '../decide/fixtures.js';

const item = (more: Partial<ProbeItem> = {}): ProbeItem => ({
  kind: 'probe',
  gateway: 'gw-2',
  plane: 'direct',
  source: ip('10.0.1.1'),
  destination: ip('10.0.2.1'),
  intervalMs: 250,
  fastIntervalMs: 250,
  size: 1420,
  path: 'relay',
  generation: 1,
  ...more,
});
const put = (more: Partial<ProbeItem> = {}) => ({ op: 'put', item: item(more), present: null }) as const;
const drop = (more: Partial<ProbeItem> = {}) => ({ op: 'delete', item: item(more) }) as const;

function rig() {
  const native = new Map<number, ProbeTarget>();
  const state = { failing: false };
  const answer = () => {
    if (state.failing) throw new Error('queue full');
  };
  const engine = {
    probeSet: async (targets: readonly ProbeTarget[]) => {
      answer();
      for (const target of targets) native.set(target.id, target);
    },
    probeRemove: async (ids: readonly number[]) => {
      answer();
      for (const id of ids) native.delete(id);
    },
    probeSnapshot: async (): Promise<ProbeSnapshot> => {
      const ids = [...native.keys()];
      const column = (value: number) => new Float64Array(ids.length).fill(value);
      const count = (value: number) => new Uint32Array(ids.length).fill(value);
      return {
        count: ids.length,
        ids: Uint32Array.from(ids),
        sent: column(3),
        received: column(0),
        lost: column(0),
        late: column(0),
        lastRttMs: column(Number.NaN),
        smoothedRttMs: column(Number.NaN),
        jitterMs: column(Number.NaN),
        lastReply: column(0),
        lostInRow: count(0),
        answeredInRow: count(0),
        answeredSize: count(0),
        loss: column(0),
      };
    },
  };
  return { prober: new Prober(engine as unknown as Engine), native, state };
}

describe('the prober', () => {
  it('probes by the plane of the item, and tells the path', async () => {
    const { prober, native } = rig();
    assert.deepEqual(await prober.apply([put(), put({ plane: 'relay', path: 'direct', generation: 0 })]), [null, null]);
    assert.deepEqual(
      [...native.values()].map(({ tos, state, size, destination }) => [tos, state, size, destination]),
      [
        [0x10, 0, 1420, '10.0.2.1'],
        [0x08, 1, 1420, '10.0.2.1'],
      ],
    );
  });

  it('sets all its targets again for a native prober that was lost with them, and none that went meanwhile', async () => {
    const { prober, native, state } = rig();
    await prober.apply([put(), put({ gateway: 'gw-3' }), put({ gateway: 'gw-4' })]);
    const all = [...native.values()];
    native.clear();
    await prober.restore();
    assert.deepEqual([...native.values()], all);
    state.failing = true;
    await prober.apply([drop()]);
    await assert.rejects(prober.restore(), /queue full/);
    state.failing = false;
    native.clear();
    await Promise.all([prober.restore(), prober.apply([drop({ gateway: 'gw-3' })])]);
    assert.deepEqual([...native.values()], all.slice(2));
  });

  it('keeps the counters while the generation is the same, and starts anew with another', async () => {
    const { prober, native } = rig();
    await prober.apply([put()]);
    const [id] = native.keys();
    await prober.apply([put({ size: 64, path: 'direct' })]);
    assert.deepEqual([[...native.keys()], native.get(id as number)?.size], [[id], 64]);
    await prober.apply([put({ generation: 2 })]);
    assert.deepEqual([native.size, native.has(id as number)], [1, false]);
  });

  it('reads what is unknown as null, with the generation that it belongs to', async () => {
    const { prober } = rig();
    await prober.apply([put({ generation: 7 })]);
    const [reading] = await prober.read();
    assert.deepEqual([reading?.gateway, reading?.plane], ['gw-2', 'direct']);
    const { rttMs, jitterMs, loss, sent, generation } = reading?.facts ?? {};
    assert.deepEqual([rttMs, jitterMs, loss, sent, generation], [null, null, null, 3, 7]);
  });

  it('removes later what could not be removed at once', async () => {
    const { prober, native, state } = rig();
    await prober.apply([put()]);
    state.failing = true;
    assert.deepEqual(
      (await prober.apply([drop()])).map((error) => error?.message),
      ['queue full'],
    );
    assert.deepEqual([...(await prober.read())], [], 'nobody is told of it meanwhile');
    state.failing = false;
    await prober.apply([drop()]);
    assert.equal(native.size, 0);
  });

  it('sets nothing that the same steps take away', async () => {
    const { prober, native } = rig();
    await prober.apply([put(), drop()]);
    assert.equal(native.size, 0);
  });

  it('knows whom an event is about, and nobody of a target that is gone', async () => {
    const { prober, native } = rig();
    await prober.apply([put()]);
    const event = {
      type: 'probe',
      id: [...native.keys()][0] as number,
      lostInRow: 1,
      answeredInRow: 0,
      rttMs: null,
    } as const;
    assert.equal(prober.subjectOf(event)?.gateway, 'gw-2');
    await prober.apply([drop()]);
    assert.equal(prober.subjectOf(event), null);
  });

  it('understands only the states that there are', () => {
    const state = (value: number) =>
      statedPath({ type: 'remote-state', address: '10.0.2.1', tos: 0, state: value }).path;
    assert.deepEqual([0, 1, 2, 255].map(state), ['relay', 'direct', null, null]);
  });
});
