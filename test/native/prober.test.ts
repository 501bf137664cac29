/** The prober through the addon, in a network namespace of its own: the kernel answers on its own addresses. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type NativeEvent, openEngine, type ProbeSnapshot, type ProbeTarget } from '#src/native.js';
import { command, inOwnNamespace } from './namespace.js';
import { until } from './until.js';

const HERE = '10.244.1.1';
const THERE = '10.244.2.1';

const target = (id: number, change: Partial<ProbeTarget> = {}): ProbeTarget => ({
  id,
  source: HERE,
  destination: THERE,
  tos: 0x10,
  intervalMs: 100,
  fastIntervalMs: 50,
  size: 84,
  state: 1,
  ...change,
});

type Row = Record<Exclude<keyof ProbeSnapshot, 'count'>, number>;

/** One target's row, as an object. */
function row(snapshot: ProbeSnapshot, id: number): Row {
  const at = snapshot.ids.indexOf(id);
  assert.notEqual(at, -1, `target ${id} is not in the snapshot`);
  const columns = Object.entries(snapshot).filter(([name]) => name !== 'count') as Array<[string, Float64Array]>;
  return Object.fromEntries(columns.map(([name, column]) => [name, column[at]])) as Row;
}

const wall = (...destinations: readonly string[]): string =>
  JSON.stringify({
    nftables: [
      { add: { table: { family: 'ip', name: 'wall' } } },
      { delete: { table: { family: 'ip', name: 'wall' } } },
      { add: { table: { family: 'ip', name: 'wall' } } },
      {
        add: {
          chain: {
            family: 'ip',
            table: 'wall',
            name: 'in',
            type: 'filter',
            hook: 'input',
            prio: 0,
            policy: 'accept',
          },
        },
      },
      ...destinations.map((address) => ({
        add: {
          rule: {
            family: 'ip',
            table: 'wall',
            chain: 'in',
            expr: [
              { match: { op: '==', left: { payload: { protocol: 'ip', field: 'daddr' } }, right: address } },
              { drop: null },
            ],
          },
        },
      })),
    ],
  });

function suite(): void {
  const events: NativeEvent[] = [];
  const engine = openEngine((batch) => events.push(...batch));
  const far: NativeEvent[] = [];
  const farEngine = openEngine((batch) => far.push(...batch));
  const of = async (id: number) => row(await engine.probeSnapshot(), id);
  const probes = (id: number) => events.flatMap((event) => (event.type === 'probe' && event.id === id ? [event] : []));

  before(() => {
    command('ip', 'link', 'set', 'lo', 'up');
    for (const address of [HERE, THERE]) command('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
  });
  after(() => {
    engine.close();
    farEngine.close();
  });

  test('no targets, no rows', async () => {
    assert.equal((await engine.probeSnapshot()).count, 0);
    await engine.probeRemove([1, 2, 3]);
  });

  test('answers: counters, RTT, size, and one event', async () => {
    await engine.probeSet([target(1), target(4_294_967_295, { size: 1420, tos: 0x08 })]);
    await until(async () => (await of(1)).received >= 4 && (await of(4_294_967_295)).received >= 4);
    const one = await of(1);
    assert.equal(one.lost, 0);
    assert.equal(one.loss, 0);
    assert.equal(one.late, 0);
    assert.equal(one.answeredSize, 84);
    assert.equal((await of(4_294_967_295)).answeredSize, 1420);
    assert.ok(one.smoothedRttMs > 0 && one.lastRttMs > 0 && one.jitterMs >= 0);
    assert.ok(Math.abs(one.lastReply - Date.now() / 1000) < 60);
    assert.ok(one.sent >= one.received);
    assert.ok(engine.stats().probesSent >= 8);
    assert.equal(probes(1).length, 1);
    assert.deepEqual([probes(1)[0]?.lostInRow, probes(1)[0]?.answeredInRow], [0, 1]);
    assert.ok((probes(1)[0]?.rttMs ?? 0) > 0);
  });

  test('silence: events at one and three in a row, then the first answer', async () => {
    await engine.nft(wall(THERE));
    await until(async () => (await of(1)).lostInRow >= 3);
    await until(() => probes(1).length === 3);
    assert.deepEqual(
      probes(1).map(({ lostInRow, rttMs }) => [lostInRow, rttMs === null]),
      [
        [0, false],
        [1, true],
        [3, true],
      ],
    );
    await engine.nft(wall());
    await until(() => probes(1).length === 4);
    assert.equal(probes(1)[3]?.lostInRow, 0);
    assert.ok((await of(1)).loss > 0);
  });

  test('counters stay with the path and go with it', async () => {
    const { received } = await of(1);
    await engine.probeSet([target(1, { size: 1000, intervalMs: 50 })]);
    assert.ok((await of(1)).received >= received);
    await until(async () => (await of(1)).answeredSize === 1000);
    await engine.probeSet([target(1, { destination: '198.51.100.1' })]);
    assert.equal((await of(1)).received, 0);
    assert.ok(Number.isNaN((await of(1)).smoothedRttMs));
    // Nothing leads there: lost, not thrown.
    await until(async () => (await of(1)).lostInRow >= 3);
  });

  test("another engine's probes tell its state, once a change", async () => {
    await engine.probeRemove([1]);
    assert.equal((await engine.probeSnapshot()).count, 1);
    const states = () => events.flatMap((event) => (event.type === 'remote-state' ? [event] : []));
    // It hears whom it probes itself; the second engine's TOS 0x08 and first source are nobody's here.
    await engine.probeSet([target(2)]);
    await farEngine.probeSet([target(8, { source: '127.0.0.9', destination: HERE, state: 9 })]);
    await farEngine.probeSet([target(7, { source: THERE, destination: HERE, state: 200 })]);
    await until(() => states().length === 1);
    await farEngine.probeSet([target(7, { source: THERE, destination: HERE, state: 201 })]);
    await until(() => states().length === 2);
    assert.deepEqual(states(), [
      { type: 'remote-state', address: THERE, tos: 0x10, state: 200 },
      { type: 'remote-state', address: THERE, tos: 0x10, state: 201 },
    ]);
    // What the first engine's own probes say is no news to it.
    await until(() => far.some((event) => event.type === 'remote-state' && event.address === HERE));
    assert.ok(states().every(({ address }) => address === THERE));
  });

  test('what is out of range is a TypeError, and nothing of the call holds', async () => {
    const bad: ReadonlyArray<Partial<ProbeTarget>> = [
      { id: -1 },
      { id: 2 ** 32 },
      { source: '::1' },
      { destination: 'nowhere' },
      { destination: '0.0.0.0' },
      { tos: 256 },
      { tos: 1 },
      { intervalMs: 0 },
      { fastIntervalMs: 1.5 },
      { size: 63 },
      { size: 65_536 },
      { state: 256 },
    ];
    for (const change of bad) assert.throws(() => engine.probeSet([target(50), target(51, change)]), TypeError);
    assert.equal((await engine.probeSnapshot()).ids.includes(50), false);
  });
}

if (inOwnNamespace(import.meta.url)) describe('prober', suite);
