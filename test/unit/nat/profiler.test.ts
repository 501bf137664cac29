import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NatReport } from '#src/model/nat.js';
import type { NatProfile } from '#src/model/nat-profile.js';
import { testIdle } from '#src/nat/lifetime.js';
import { profileOf } from '#src/nat/profile.js';
import { NatProfiler } from '#src/nat/profiler.js';
import { PROFILE_SAMPLES, profileTarget, sampleMappings } from '#src/nat/sample.js';
import { NatSimulator, SECOND, SERVER, type SimulatedNat } from './nat-simulator.js';
import { ip } from './stun-server.js';

const MAPPED = { ip: ip('203.0.113.10'), port: 40_000 };

const report = (changes: Partial<NatReport> = {}): NatReport => ({
  type: 'Port Restricted cone NAT',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  underNat: true,
  publicAddress: MAPPED,
  udpBlocked: false,
  method: 'behaviour-tests',
  servers: [
    {
      server: 'stun.example.org',
      address: SERVER,
      status: 'answered',
      mapped: MAPPED,
      otherAddress: SECOND,
      rttMs: 1,
      detail: null,
    },
  ],
  measuredAtMs: 0,
  ...changes,
});

describe('whom to ask for a profile', () => {
  it('nobody without a NAT, or without an answer', () => {
    assert.equal(profileTarget(report({ underNat: false })), null);
    assert.equal(profileTarget(report({ underNat: null, publicAddress: null })), null);
    assert.equal(profileTarget(report({ servers: [] })), null);
  });

  it('a second address only where mappings depend on it', () => {
    assert.deepEqual(profileTarget(report()), { server: SERVER, second: null, rttMs: 1 });
    const symmetric = report({ type: 'Symmetric NAT', mapping: 'address-and-port-dependent' });
    assert.deepEqual(profileTarget(symmetric)?.second, SECOND);
  });

  it('who saw the public address, and not one inside', () => {
    const [seen] = report().servers;
    assert.ok(seen);
    const inside = { ...seen, address: SECOND, mapped: { ip: ip('10.0.0.2'), port: 1 } };
    assert.deepEqual(profileTarget(report({ servers: [inside, seen] }))?.server, SERVER);
  });
});

const signal = new AbortController().signal;

describe('sampling', () => {
  const sampled = async (nat: NatSimulator, second: typeof SECOND | null = null) => {
    const options = { open: nat.open, bindAddress: null, signal };
    return sampleMappings({ server: SERVER, second, rttMs: 1 }, options);
  };

  it('one packet a mapping, each from a port of its own, in order', async () => {
    let next = 20_000;
    const nat = new NatSimulator({ nextPort: () => next++ });
    const samples = await sampled(nat);
    assert.deepEqual(
      samples.map(({ mapped }) => mapped.port),
      Array.from({ length: PROFILE_SAMPLES }, (_, index) => 20_000 + index),
    );
    assert.equal(new Set(samples.map(({ localPort }) => localPort)).size, PROFILE_SAMPLES);
    assert.deepEqual([nat.sent, nat.opened, nat.closed], [PROFILE_SAMPLES, PROFILE_SAMPLES, PROFILE_SAMPLES]);
    assert.equal(profileOf(samples).step, 1);
  });

  it("a socket's second mapping counts too, where the first keeps the port", async () => {
    let next = 61_000;
    const first = new Set<number>();
    const nextPort = (localPort: number) => {
      if (first.has(localPort)) return next++;
      first.add(localPort);
      return localPort;
    };
    const nat = new NatSimulator({ nextPort, symmetric: true });
    const { assignment, step } = profileOf(await sampled(nat, SECOND));
    assert.deepEqual({ assignment, step }, { assignment: 'sequential', step: 1 });
  });

  it('ends on abort and frees its sockets', async () => {
    const nat = new NatSimulator({ nextPort: () => abort.abort(new Error('stop')) ?? 20_000 });
    const abort = new AbortController();
    const options = { open: nat.open, bindAddress: null, signal: abort.signal };
    await assert.rejects(sampleMappings({ server: SERVER, second: null, rttMs: 1 }, options), /stop/);
    assert.equal(nat.opened, 1);
    assert.ok(nat.closed >= 1);
  });
});

function rig(settings: SimulatedNat, rounds = 1) {
  const nat = new NatSimulator(settings);
  const told: Array<NatProfile | null> = [];
  const errors: unknown[] = [];
  let ended: () => void = () => {};
  const allRounds = new Promise<void>((resolve) => {
    ended = resolve;
  });
  let slept = 0;
  const profiler = new NatProfiler({
    sample: (target, aborted) => sampleMappings(target, { open: nat.open, bindAddress: null, signal: aborted }),
    testIdle: ({ server, rttMs }, idleS, profile, aborted) => {
      const options = { open: nat.open, bindAddress: null, signal: aborted, rttMs, sleep: nat.sleep };
      return testIdle(server, idleS * 1000, profile, options);
    },
    onProfile: (profile) => told.push(profile),
    onError: (error) => errors.push(error),
    // The pause between rounds; the last one never ends but by abort.
    sleep: (_, aborted) => {
      slept += 1;
      if (slept < rounds) return Promise.resolve();
      ended();
      return new Promise((_resolve, reject) => aborted.addEventListener('abort', () => reject(aborted.reason)));
    },
  });
  return { nat, told, errors, profiler, allRounds };
}

describe('the profile in the background', { concurrency: true }, () => {
  it('tells the ports first, then the time-out as it is narrowed down', async () => {
    let next = 20_000;
    const { told, errors, profiler, allRounds, nat } = rig({
      nextPort: () => next++,
      responsePort: true,
      timeoutMs: 100_000,
    });
    profiler.look(report());
    await allRounds;
    assert.deepEqual(
      told.map((profile) => profile?.lifetime),
      [
        null,
        { livedS: 90, goneS: null },
        { livedS: 90, goneS: 300 },
        { livedS: 90, goneS: 180 },
        { livedS: 90, goneS: 120 },
      ],
    );
    assert.equal(profiler.profile?.step, 1);
    assert.deepEqual(errors, []);
    await profiler.stop();
    assert.equal(nat.closed, nat.opened);
  });

  it('gives up on a time-out that cannot be measured, and comes back to the rest', async () => {
    const { told, profiler, allRounds, nat } = rig({ nextPort: (localPort) => localPort }, 2);
    profiler.look(report());
    await allRounds;
    assert.equal(told.length, 2, 'once a round');
    assert.ok(told.every((profile) => profile?.assignment === 'port-preserving' && profile.lifetime === null));
    await profiler.stop();
    assert.equal(nat.closed, nat.opened);
  });

  it('keeps what was measured while a new round measures again', async () => {
    let next = 20_000;
    const { told, profiler, allRounds } = rig({ nextPort: () => next++, responsePort: true, timeoutMs: 35_000 }, 2);
    profiler.look(report());
    await allRounds;
    const lifetimes = told.map((profile) => profile?.lifetime);
    assert.deepEqual(lifetimes[0], null);
    assert.deepEqual(lifetimes.at(lifetimes.length / 2), { livedS: 30, goneS: 45 });
    await profiler.stop();
  });

  it('forgets it with the NAT, and is quiet without one', async () => {
    const { told, profiler, allRounds, nat } = rig({ nextPort: (localPort) => localPort });
    profiler.look(report({ underNat: false }));
    assert.deepEqual(told, []);
    profiler.look(report());
    await allRounds;
    profiler.look(report({ underNat: false }));
    assert.equal(told.at(-1), null);
    const { sent } = nat;
    await profiler.stop();
    assert.equal(nat.sent, sent);
  });
});
