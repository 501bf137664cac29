/**
 * Sequential symmetric NATs: the next port is told beforehand, so that few sockets and probes do, and two of them open to
 * each other; also where a carrier gives a block of 64 ports, which wraps. Two random ones stay on the relay, and say why.
 */
import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { PREDICTED_SOCKETS } from '#src/decide/prediction.js';
import type { Lab } from '../lab.js';
import { ALL_PORTS, BLOCK_PORTS } from '../net/nat.js';
import { bothOn, LONG_MS, type Pair, peersOf } from '../test/agents.js';
import { bothWent, createLab, goDirect, type NatKind, OTHER_ENTRIES, openingLines, startBehind } from './openings.js';

const FULL = process.env.CORAX_LAB_FULL === '1';
const RUNS = FULL ? 10 : 1;
/** Of a try that is made where a sequence wraps little comes: the next is made elsewhere. */
const MOST_TRIES = 4;
const BLOCK_SIZE = BLOCK_PORTS['symmetric-sequential-block'];

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createLab());
});

after(() => lab?.destroy());

interface Case {
  readonly kinds: readonly [NatKind, NatKind];
  readonly what: string;
  readonly passedOver?: number;
}

const SEQUENTIAL = 'symmetric-sequential';
const BLOCK = 'symmetric-sequential-block';
/** Discovery and profile take about 25 ports, the latter the last 16 of them; a prediction the next 16. */
const CASES: readonly Case[] = [
  { kinds: [SEQUENTIAL, 'port-restricted'], what: 'direct by a prediction' },
  { kinds: [SEQUENTIAL, SEQUENTIAL], what: 'direct by two predictions' },
  { kinds: [BLOCK, BLOCK], what: 'direct though the blocks wrap while they are measured', passedOver: BLOCK_SIZE - 18 },
  {
    kinds: [BLOCK, BLOCK],
    what: 'direct though the blocks wrap about where the next ports are',
    passedOver: BLOCK_SIZE - 33,
  },
  ...(FULL ? [{ kinds: ['linux', SEQUENTIAL], what: 'direct by a prediction' } as const] : []),
];

for (const { kinds, what, passedOver } of CASES) {
  test(`${kinds[0]} with ${kinds[1]}: ${what}, nothing lost, ${RUNS} times`, async (t) => {
    for (let index = 0; index < RUNS; index++) {
      const since = Date.now();
      const { tries, entries } = await goDirect(t, lab, pair, kinds, passedOver);
      assert.ok(tries <= MOST_TRIES, `${tries} tries`);
      const lines = [pair.a, pair.b].flatMap((node) => openingLines(node, since));
      assert.ok(
        lines.some(({ opening }) => opening === 'sampling'),
        'the next port was asked for',
      );
      // No birthday: that takes hundreds at either end.
      const most = tries * PREDICTED_SOCKETS + OTHER_ENTRIES;
      assert.ok(Math.max(...entries) <= most, `${entries.join(' and ')} entries, ${most} at most`);
      if (passedOver !== undefined) await wrapped(t);
    }
  });
}

/** Each end's NAT has given out ports up to the end of the block, and from its start. */
async function wrapped(t: TestContext): Promise<void> {
  const [first] = ALL_PORTS;
  for (const node of [pair.a, pair.b]) {
    const given = await node.natPorts();
    const other = (node === pair.a ? pair.b : pair.a).plan.publicAddress;
    const tried = given.filter(({ to }) => to === other).map(({ port }) => port);
    t.diagnostic(`${node.name}, towards the other: ${tried.toSorted((one, another) => one - another).join(' ')}`);
    // Others in its table go to the router itself, and keep their port.
    const ports = new Set(given.map(({ port }) => port));
    assert.deepEqual(
      [first + BLOCK_SIZE - 1, first].map((port) => ports.has(port)),
      [true, true],
    );
  }
}

for (const easy of FULL ? (['full-cone', 'restricted-cone'] as const) : []) {
  test(`symmetric-sequential with ${easy}: direct by the hole`, async () => {
    const since = Date.now();
    await startBehind(lab, pair, ['symmetric-sequential', easy]);
    await bothWent(lab, pair, 'direct', since);
    assert.deepEqual(
      openingLines(pair.a, since).filter(({ opening }) => opening !== undefined),
      [],
    );
  });
}

for (const [other, words] of [
  ['symmetric', /the next port of neither can be told: 1024 probes a side would meet in 0\.\d+ % of tries/],
  ['symmetric-sequential', /next port cannot be told: 256 mappings would be met in 0\.\d+ % of tries/],
] as const) {
  test(`symmetric with ${other}: on the relay, and both ends say why, with the odds`, async (t) => {
    await startBehind(lab, pair, ['symmetric', other]);
    await bothOn(lab, pair, 'relay');
    const told = async () => (await peersOf(pair)).every(({ reason }) => words.test(reason));
    await lab.waitFor(told, { what: 'both ends tell the odds', timeoutMs: LONG_MS, everyMs: 1_000 });
    const peers = await peersOf(pair);
    for (const { path, reason } of peers) {
      t.diagnostic(reason);
      assert.equal(path, 'relay');
    }
  });
}
