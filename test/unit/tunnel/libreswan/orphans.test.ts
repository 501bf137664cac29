/** What a pluto that ended left in the kernel: whose it is, and when it goes. The kernel here is a list. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine, XfrmDeletions } from '#src/native.js';
import type { Standing } from '#src/tunnel/libreswan/book.js';
import { numbersOf, Orphans } from '#src/tunnel/libreswan/orphans.js';

interface Row {
  readonly spi: number;
  readonly reqid: number;
  readonly ifId: number;
  readonly ports: readonly [number, number];
}

function kernel(rows: readonly Row[]) {
  const gone: number[] = [];
  const column = (of: (row: Row) => number) => rows.map(of);
  const engine = {
    xfrmSnapshot: async () => ({
      count: rows.length,
      destinations: new Uint8Array(rows.length * 16),
      spis: column(({ spi }) => spi),
      protocols: column(() => 50),
      marks: column(() => 0),
      markMasks: column(() => 0),
      reqids: column(({ reqid }) => reqid),
      ifIds: column(({ ifId }) => ifId),
      encapSourcePorts: column(({ ports }) => ports[0]),
      encapDestinationPorts: column(({ ports }) => ports[1]),
    }),
    xfrmDelete: async ({ states = [] }: XfrmDeletions) => {
      gone.push(...states.map(({ spi }) => spi));
      return states.map(() => null);
    },
  };
  return { engine: engine as unknown as Engine, gone };
}

const standing = (reqid: number, ifId: number | null) => ({ reqid, connection: { ifId } }) as unknown as Standing;

test('ours are those on our interfaces, and those of the numbers and the port of connections without', async () => {
  const { engine, gone } = kernel([
    { spi: 1, reqid: 7, ifId: 4500, ports: [4500, 30_000] },
    { spi: 2, reqid: 7, ifId: 1, ports: [4500, 4500] },
    { spi: 3, reqid: 5, ifId: 0, ports: [4500, 30_000] },
    { spi: 4, reqid: 5, ifId: 0, ports: [30_000, 4500] },
    { spi: 5, reqid: 5, ifId: 0, ports: [0, 0] },
    { spi: 6, reqid: 6, ifId: 0, ports: [4500, 4500] },
  ]);
  const orphans = new Orphans(engine);
  await orphans.find(1_000, numbersOf([standing(5, null), standing(6, 4501)]));
  // Their connections have nothing newer, then something, and then for long enough.
  await orphans.sweep(() => 0, 60_000);
  await orphans.sweep(() => 2_000, 6_000);
  assert.deepEqual(gone, []);
  await orphans.sweep(() => 2_000, 8_000);
  assert.deepEqual(gone, [1, 3, 4]);
});
