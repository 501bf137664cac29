import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Epoch, natPmpEpochIsValid, pcpEpochIsValid } from '#src/nat/portmap/epoch.js';

const since = (server: number, client: number) => ({ server, client });

it('PCP: two clocks may differ by a sixteenth and two seconds (RFC 6887 8.5)', () => {
  const valid = (server: number, client: number) => pcpEpochIsValid(since(1000, 50), since(1000 + server, 50 + client));
  assert.deepEqual([valid(0, 0), valid(160, 160), valid(-1, 0)], [true, true, true]);
  assert.equal(valid(-2, 0), false, 'time that ran back is a start over');
  assert.equal(valid(152, 164), true);
  assert.equal(valid(150, 170), false, 'too little passed there');
  assert.equal(valid(170, 150), false, 'too much passed there: another server, or one that was set');
});

it('NAT-PMP: seven eighths and two seconds (RFC 6886 3.6)', () => {
  const valid = (server: number, client: number) =>
    natPmpEpochIsValid(since(1000, 50), since(1000 + server, 50 + client));
  assert.deepEqual([valid(0, 0), valid(68, 80), valid(500, 80)], [true, true, true]);
  assert.equal(valid(67, 80), false);
  assert.equal(valid(-1000, 5), false);
});

it('a clock that runs as ours does is never doubted, one that starts over always is', () => {
  const steps = fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(
      fc.constantFrom(pcpEpochIsValid, natPmpEpochIsValid),
      steps,
      fc.integer({ min: 100, max: 100_000 }),
      (rule, pauses, start) => {
        const epoch = new Epoch(rule);
        let now = 0;
        assert.equal(epoch.observe(start, now), true, 'the first is all that is known');
        for (const pause of pauses) {
          now += pause;
          assert.equal(epoch.observe(start + now, now), true);
        }
        assert.equal(epoch.observe(1, now + 5), false);
        assert.equal(epoch.observe(11, now + 15), true, 'from there on it counts anew');
      },
    ),
  );
});
