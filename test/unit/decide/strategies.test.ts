import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowance, FOR_ALL, PER_REMOTE, recent, type Spending } from '#src/decide/budget.js';
import { SPRAY_PROBES } from '#src/decide/opening-size.js';
import { birthdayOdds, bothHardOdds, fanFor, type NatEnd, strategiesFor } from '#src/decide/strategies.js';
import { NAT_TYPES, type NatType } from '#src/model/nat.js';
import type { NatPorts } from '#src/model/nat-profile.js';
import { ALL_PORTS } from '#src/model/ports.js';
import { aBlock, aSequence, RANDOM_PORTS } from './ports.js';

const SYMMETRIC = 'Symmetric NAT';
const RESTRICTED = 'Port Restricted cone NAT';
const close = (a: number, b: number, by = 1e-9) => assert.ok(Math.abs(a - b) <= by, `${a} is not about ${b}`);

describe('the odds of a birthday', () => {
  it('are those of drawing by hand', () => {
    const four = { first: 1, last: 4 };
    // Two of four open; two drawn: 1 − (2/4 · 1/3).
    close(birthdayOdds(2, 2, four), 5 / 6);
    close(birthdayOdds(1, 1, four), 1 / 4);
    assert.equal(birthdayOdds(4, 1, four), 1);
    assert.equal(birthdayOdds(9, 1, four), 1);
    assert.equal(birthdayOdds(1, 4, four), 1);
    assert.equal(birthdayOdds(0, 4, four), 0);
    assert.equal(birthdayOdds(2, 0, four), 0);
  });

  it('are over 98 % for 256 mappings and 1,024 probes in all ports, and for two random NATs next to nothing', () => {
    close(birthdayOdds(256, 1_024, ALL_PORTS), 0.983, 0.001);
    close(bothHardOdds(1_024, ALL_PORTS, ALL_PORTS), (1_024 / 64_512) ** 2, 1e-6);
  });

  it('are what comes out when it is tried', () => {
    const range = { first: 1, last: 400 };
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * below);
    };
    const draw = (count: number) => {
      const drawn = new Set<number>();
      while (drawn.size < count) drawn.add(random(400));
      return drawn;
    };
    const tries = 4_000;
    let hits = 0;
    for (let index = 0; index < tries; index++) {
      const open = draw(20);
      if ([...draw(30)].some((port) => open.has(port))) hits += 1;
    }
    close(hits / tries, birthdayOdds(20, 30, range), 0.03);
  });
});

const end = (type: NatType | null, ports: NatPorts | null = null): NatEnd => ({ type, ports });

describe('strategies', () => {
  const types: Array<NatType | null> = [...NAT_TYPES, null];
  const kinds = (local: NatEnd, remote: NatEnd) => strategiesFor(local, remote, true).list.map(({ kind }) => kind);
  const habits = [null, RANDOM_PORTS, aSequence()];

  it('are the hole wherever a hole does, and cost nothing there', () => {
    const pairs = types.flatMap((a) => types.map((b) => [end(a), end(b, aSequence())] as const));
    const hole = pairs.filter((pair) => strategiesFor(...pair, true).list[0]?.kind === 'hole');
    // All without a symmetric end (5 × 5), and one symmetric with full or restricted cone, both ways.
    assert.equal(hole.length, 25 + 4);
    for (const pair of hole) {
      const { list, role } = strategiesFor(...pair, true);
      assert.deepEqual([list[0]?.probes, list.length, role], [0, 1, null]);
    }
  });

  it('are a birthday with one random end, a prediction before it with a sequential one', () => {
    for (const [ports, expected] of [
      [null, ['birthday']],
      [RANDOM_PORTS, ['birthday']],
      [aSequence(), ['predicted', 'birthday']],
    ] as const) {
      assert.deepEqual(kinds(end(SYMMETRIC, ports), end(RESTRICTED)), expected);
      assert.deepEqual(kinds(end(RESTRICTED), end(SYMMETRIC, ports)), expected);
    }
    // The easy end's own ports do not matter.
    for (const ports of habits) assert.deepEqual(kinds(end(SYMMETRIC), end(RESTRICTED, ports)), ['birthday']);
  });

  it('are a prediction with two sequential ends, and none with any other two that are symmetric', () => {
    for (const one of habits) {
      for (const other of habits) {
        const both = [one, other].every((ports) => ports?.assignment === 'sequential');
        assert.deepEqual(kinds(end(SYMMETRIC, one), end(SYMMETRIC, other)), both ? ['predicted'] : []);
      }
    }
  });

  it('are the same at both ends, with the two parts', () => {
    for (const mine of habits) {
      for (const theirs of habits) {
        for (const type of types) {
          const [a, b] = [end(SYMMETRIC, mine), end(type, theirs)];
          const [here, there] = [strategiesFor(a, b, true), strategiesFor(b, a, false)];
          assert.deepEqual(here.list, there.list);
          assert.deepEqual([here.role, there.role], here.role === null ? [null, null] : ['fan', 'spray']);
        }
      }
    }
    assert.deepEqual(strategiesFor(end(RESTRICTED), end(SYMMETRIC), true).role, 'spray');
    assert.deepEqual(strategiesFor(end(SYMMETRIC), end(SYMMETRIC), false).role, 'spray');
  });

  it('come cheapest first, each with its odds', () => {
    for (const ports of [aSequence(), aSequence({ step: -2, between: 4 }), aSequence(aBlock(10_240, 64))]) {
      const { list } = strategiesFor(end(SYMMETRIC, ports), end(RESTRICTED), true);
      const costs = list.map(({ sockets, probes }) => sockets + probes);
      assert.deepEqual(
        costs,
        costs.toSorted((a, b) => a - b),
      );
      for (const { odds } of list) assert.ok(odds > 0.9 && odds <= 1, `${odds}`);
    }
  });

  it("take no more than a quarter of a carrier's block, and probe each of its ports at most", () => {
    const block = { ...RANDOM_PORTS, ...aBlock(40_000, 512) };
    assert.deepEqual(fanFor(block), { sockets: 128, ports: block.ports });
    assert.equal(fanFor({ ...RANDOM_PORTS, ...aBlock(40_000, 2) }).sockets, 1);
    assert.equal(fanFor({ ...RANDOM_PORTS, ...aBlock(30_000, 8_000) }).sockets, 256);
    assert.equal(fanFor({ ...block, block: null }).ports, ALL_PORTS);
    const [own] = strategiesFor(end(SYMMETRIC, block), end(RESTRICTED), true).list;
    assert.deepEqual([own?.sockets, own?.probes, own?.odds], [128, 512, 1]);
    const [both] = strategiesFor(end(SYMMETRIC, aSequence(aBlock(40_000, 64))), end(RESTRICTED), true).list;
    assert.deepEqual([both?.sockets, both?.probes, both?.odds], [16, 16, 1]);
  });

  it('say what they come to', () => {
    const reason = (one: NatPorts | null, other: NatPorts | null, type: NatType = SYMMETRIC) =>
      strategiesFor(end(SYMMETRIC, one), end(type, other), true).reason;
    assert.match(reason(null, null, RESTRICTED), /: probes find a way in 98\.3 % of tries$/);
    assert.match(
      reason(aSequence(), null, RESTRICTED),
      /: the next port of the symmetric one can be told, and 16 probes find a way in 100\.0 % of tries, else 1024 in 98\.3 %$/,
    );
    assert.equal(
      reason(aSequence(), aSequence({ between: 1 })),
      'both ends are behind a Symmetric NAT: the next port of each can be told, and 16 probes find a way in 50.0 % of tries',
    );
    const neither = 'both ends are behind a Symmetric NAT; the next port of neither can be told';
    assert.equal(reason(RANDOM_PORTS, RANDOM_PORTS), `${neither}: 1024 probes a side would meet in 0.025 % of tries`);
    assert.match(reason(RANDOM_PORTS, null), /neither can be told, as far as is known: .* 0\.025 % of tries$/);
    assert.match(
      reason(aSequence(), RANDOM_PORTS),
      /; the other's next port cannot be told: 256 mappings would be met in 0\.397 % of tries$/,
    );
    assert.match(reason(null, aSequence()), /; this end's next port cannot be told, as far as is known: 256/);
  });
});

describe('the budget', () => {
  const now = 1_800_000_000_000;
  const spent = (gateway: string, probes: number, at = now): Spending => ({ gateway, probes, at });

  it('is per remote and for all, an hour long', () => {
    const ledger = [spent('b', PER_REMOTE - 100), spent('c', 1_000)];
    assert.equal(allowance(ledger, 0, 'b', now).probes, 100);
    assert.equal(allowance(ledger, 0, 'c', now).probes, PER_REMOTE - 1_000);
    assert.equal(allowance([spent('b', PER_REMOTE + 5)], 0, 'b', now).probes, 0);
    const many = Array.from({ length: FOR_ALL / SPRAY_PROBES }, (_, index) => spent(`gw-${index}`, SPRAY_PROBES));
    assert.equal(allowance(many, 0, 'new', now).probes, 0);
    assert.equal(allowance(many, 0, 'new', now + 3_600_000).probes, PER_REMOTE);
    assert.deepEqual(recent(many, now + 3_600_000), []);
  });

  it('does not outlast a clock that was set back', () => {
    assert.deepEqual(recent([spent('b', 9, now + 7_200_000)], now), []);
  });

  it('lets one try go on at a time', () => {
    assert.deepEqual(
      [0, 1].map((active) => allowance([], active, 'b', now).busy),
      [false, true],
    );
  });
});
