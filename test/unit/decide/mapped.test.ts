import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decidePath, newPath } from '#src/decide/path.js';
import { decideRemote, pathInput } from '#src/decide/remote.js';
import { asSite, at, gateway, PORT, relay, SYMMETRIC, siteFacts, UNSEEN } from './fixtures.js';

const T0 = 1_790_000_000_000;
const MAPPED = at('198.51.100.1', 50_000);
const OTHER = at('198.51.100.2', 50_000);
const mapped = gateway(1, { natType: 'Full cone NAT', hole: MAPPED, mapped: MAPPED });
const plain = (natType: typeof PORT | typeof SYMMETRIC) => gateway(2, { natType });

/** Both ends' view of the pair. */
function inputs(a: ReturnType<typeof gateway>, b: ReturnType<typeof gateway>) {
  return [
    pathInput(siteFacts(a, [relay(1)]), asSite(b), UNSEEN, T0),
    pathInput(siteFacts(b, [relay(1)]), asSite(a), UNSEEN, T0),
  ] as const;
}

describe('an edge whose hole its router maps', () => {
  for (const type of [SYMMETRIC, PORT]) {
    it(`may be direct with a ${type}: that end comes to it, and it waits`, () => {
      const [waits, comes] = inputs(mapped, plain(type));
      assert.deepEqual([waits.verdict.may, comes.verdict.may], [true, true]);
      assert.deepEqual([waits.reAdds, comes.reAdds], [false, true]);
      assert.deepEqual([waits.comesLast, comes.comesLast], [true, false]);
      const deeds = (input: typeof waits) => decidePath(newPath(T0), input).deeds.map(({ op }) => op);
      assert.deepEqual([deeds(waits), deeds(comes)], [[], ['punch']], 'what it sends first would be in the way');
    });
  }

  it('is as any other with another one: one of them begins', () => {
    const [a, b] = inputs(mapped, gateway(2, { natType: 'Full cone NAT', hole: OTHER, mapped: OTHER }));
    assert.notEqual(a.reAdds, b.reAdds);
    assert.deepEqual([a.isMapped, b.isMapped, a.comesLast, b.comesLast], [false, false, false, false]);
  });

  it('counts as open only once the mapping is the published hole', () => {
    const claimed = gateway(1, { natType: SYMMETRIC, mapped: MAPPED });
    const [a, b] = inputs(claimed, plain(SYMMETRIC));
    assert.deepEqual([a.verdict.may, b.verdict.may, a.isMapped], [false, false, false]);
  });

  it('counts as open whatever STUN says of the NAT', () => {
    const nat = { type: SYMMETRIC, mapping: null, filtering: null, underNat: true, publicAddress: null } as const;
    const report = { ...nat, udpBlocked: false, method: null, servers: [], measuredAtMs: 0 };
    const site = siteFacts(mapped, [relay(1)], { nat: report });
    const decision = decideRemote(site, plain(SYMMETRIC), null, UNSEEN, T0);
    assert.equal(decision.path?.state, 'punching');
    assert.deepEqual(decision.deeds, []);
  });
});
