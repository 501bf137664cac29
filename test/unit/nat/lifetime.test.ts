import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { MappingLifetime } from '#src/model/nat-profile.js';
import { IDLE_TIMES_S, narrowed, nextIdleTime, testIdle } from '#src/nat/lifetime.js';
import { NatSimulator, SERVER, type SimulatedNat } from './nat-simulator.js';
import { ip } from './stun-server.js';

const UNMEASURED: MappingLifetime = { livedS: null, goneS: null };

describe('idle times', () => {
  it('bisection ends next to the true time-out, after four tests at most', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), (timeoutS) => {
        let lifetime = UNMEASURED;
        let tests = 0;
        for (let idleS = nextIdleTime(lifetime); idleS !== null; idleS = nextIdleTime(lifetime)) {
          lifetime = narrowed(lifetime, idleS, idleS < timeoutS ? 'lived' : 'gone');
          tests += 1;
        }
        assert.ok(tests <= 4);
        const expected = {
          lived: IDLE_TIMES_S.findLast((time) => time < timeoutS),
          gone: IDLE_TIMES_S.find((time) => time >= timeoutS),
        };
        assert.deepEqual(lifetime, { livedS: expected.lived ?? null, goneS: expected.gone ?? null });
      }),
    );
  });

  it('what is unclear moves nothing', () => {
    const lifetime = { livedS: 30, goneS: 90 };
    assert.deepEqual(narrowed(lifetime, 60, 'unclear'), lifetime);
  });
});

let counter = 40_000;
const kept: SimulatedNat['nextPort'] = (localPort) => localPort;
const sequential: SimulatedNat['nextPort'] = () => counter++;
const PRESERVING = { assignment: 'port-preserving', pooling: 'paired' } as const;
const SEQUENTIAL = { assignment: 'sequential', pooling: 'paired' } as const;
const POOLED = { assignment: 'sequential', pooling: 'arbitrary' } as const;
const two = [ip('203.0.113.10'), ip('203.0.113.11')];

type Profile = Parameters<typeof testIdle>[2];

describe('one idle mapping', { concurrency: true }, () => {
  const optionsFor = (nat: NatSimulator) => ({
    open: nat.open,
    bindAddress: null,
    signal: new AbortController().signal,
    rttMs: 1,
    sleep: nat.sleep,
  });
  const test = (nat: NatSimulator, idleS: number, profile: Profile) =>
    testIdle(SERVER, idleS * 1000, profile, optionsFor(nat));

  const cases: Array<[string, SimulatedNat, Profile]> = [
    ['RESPONSE-PORT, ports kept', { nextPort: kept, responsePort: true }, PRESERVING],
    ['RESPONSE-PORT, symmetric', { nextPort: sequential, symmetric: true, responsePort: true }, SEQUENTIAL],
    ['no RESPONSE-PORT: by the port that comes back', { nextPort: sequential }, SEQUENTIAL],
    ['another address for the second socket', { nextPort: sequential, addresses: two, responsePort: true }, POOLED],
  ];
  for (const [what, settings, profile] of cases) {
    it(`${what}: lived before the time-out, gone after, with few packets`, async () => {
      const nat = new NatSimulator({ ...settings, timeoutMs: 60_000 });
      assert.equal(await test(nat, 45, profile), 'lived');
      assert.ok(nat.sent <= 5 + 4, `${nat.sent} packets`);
      assert.equal(await test(nat, 90, profile), 'gone');
      assert.equal(nat.closed, nat.opened, 'no socket stays open');
    });
  }

  it('unclear where ports are kept and nobody can answer to another port', async () => {
    const nat = new NatSimulator({ nextPort: kept, timeoutMs: 60_000 });
    assert.equal(await test(nat, 90, PRESERVING), 'unclear');
    assert.equal(nat.now, 3_000, 'without waiting for it');
  });

  it('unclear, not gone, where the server went away', async () => {
    const nat = new NatSimulator({ nextPort: kept, responsePort: true });
    const sleep = async (ms: number, signal: AbortSignal) => {
      await nat.sleep(ms, signal);
      nat.down = nat.now > 10_000;
    };
    assert.equal(await testIdle(SERVER, 20_000, PRESERVING, { ...optionsFor(nat), sleep }), 'unclear');
  });

  it('a firewall of this node that forgets sooner is looked past, and blamed on the NAT without', async () => {
    const nat = new NatSimulator({ nextPort: kept, responsePort: true, timeoutMs: 300_000 });
    nat.firewallMs = 60_000;
    assert.equal(await test(nat, 90, PRESERVING), 'gone');
    const outcome = await testIdle(SERVER, 90_000, PRESERVING, {
      ...optionsFor(nat),
      pastFirewall: (run) =>
        run((listener) => {
          const tap = (payload: Uint8Array, from: typeof SERVER) =>
            listener({ address: from.ip, port: from.port, payload });
          nat.taps.add(tap);
          return () => nat.taps.delete(tap);
        }),
    });
    assert.equal(outcome, 'lived');
    assert.equal(nat.taps.size, 0);
  });

  it('ends on abort, with the reason, and frees its sockets', async () => {
    const nat = new NatSimulator({ nextPort: kept, responsePort: true });
    const abort = new AbortController();
    const options = { ...optionsFor(nat), signal: abort.signal };
    const waiting = testIdle(SERVER, 60_000, PRESERVING, {
      ...options,
      sleep: async (ms, signal) => {
        if (ms === 60_000) abort.abort(new Error('stop'));
        return nat.sleep(ms, signal);
      },
    });
    await assert.rejects(waiting, /stop/);
    assert.equal(nat.opened, 2);
    assert.equal(nat.closed, 2);
    await assert.rejects(testIdle(SERVER, 60_000, PRESERVING, options), /stop/);
    assert.equal(nat.opened, 2);
  });
});
