import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allowance, FOR_ALL, PER_REMOTE, recent, type Spending } from '#src/decide/budget.js';
import { ALL_PORTS, birthdayOdds, bothHardOdds, fanFor, SPRAY_PROBES, strategiesFor } from '#src/decide/strategies.js';
import { NAT_TYPES, type NatType } from '#src/model/nat.js';

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
    close(bothHardOdds(1_024, ALL_PORTS), (1_024 / 64_512) ** 2, 1e-6);
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

describe('strategies', () => {
  const types: Array<NatType | null> = [...NAT_TYPES, null];

  it('are the hole wherever a hole does, and cost nothing there', () => {
    const pairs = types.flatMap((a) => types.map((b) => [a, b] as const));
    const hole = pairs.filter(([a, b]) => strategiesFor(a, b).list[0]?.kind === 'hole');
    // All without a symmetric end (5 × 5), and one symmetric with full or restricted cone, both ways.
    assert.equal(hole.length, 25 + 4);
    for (const [a, b] of hole) assert.equal(strategiesFor(a, b).list[0]?.probes, 0);
  });

  it('give the two ends of a pair the two parts', () => {
    for (const easy of [RESTRICTED, 'Undefined', null] as const) {
      assert.equal(strategiesFor(SYMMETRIC, easy).list[0]?.role, 'fan');
      assert.equal(strategiesFor(easy, SYMMETRIC).list[0]?.role, 'spray');
    }
    assert.match(strategiesFor(SYMMETRIC, RESTRICTED).reason, /98\.3 % of tries/);
  });

  it("take no more than a quarter of a carrier's block, and probe each of its ports at most", () => {
    const block = { first: 40_000, last: 40_511 };
    assert.deepEqual(fanFor(block), { sockets: 128, ports: block });
    assert.equal(fanFor({ first: 40_000, last: 40_001 }).sockets, 1);
    assert.equal(fanFor({ first: 30_000, last: 50_000 }).sockets, 256);
    const [own] = strategiesFor(SYMMETRIC, RESTRICTED, block).list;
    assert.deepEqual([own?.sockets, own?.probes, own?.odds], [128, 512, 1]);
    // It says nothing of the other end's NAT.
    assert.equal(strategiesFor(RESTRICTED, SYMMETRIC, block).list[0]?.sockets, 256);
  });

  it('are none for two symmetric ends, with the odds in the reason', () => {
    const { list, reason } = strategiesFor(SYMMETRIC, SYMMETRIC);
    assert.deepEqual(list, []);
    assert.match(reason, /both ends are behind a Symmetric NAT: 1024 probes a side would meet in 0\.025 % of tries/);
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
