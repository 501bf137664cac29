import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Observer } from '#src/agent/observer.js';
import { Remotes } from '#src/agent/remotes.js';
import { SITE, World } from '#src/agent/world.js';
import { formatHostPort } from '#src/model/address.js';
import type { Item } from '#src/model/item.js';
import type { Network } from '#src/network/network.js';
import type { ProbeReading, Prober } from '#src/probe/prober.js';
import type { PeerUpdate, PlaneReading, TunnelDriver } from '#src/tunnel/driver.js';
import { at, gateway, keyOf, prefix, probeFacts } from '../decide/fixtures.js';

const DEVICE: Item = { kind: 'device', plane: 'relay', name: 'raven-wg0', listenPort: 4500, mtu: 1420 };
const PEER: Item = { kind: 'peer', plane: 'relay', gateway: 'gw-2', key: keyOf(2), endpoint: null };
const CARRIES: Item[] = ['10.0.2.0/24', '10.0.3.0/24'].map((text) => ({
  kind: 'carry',
  plane: 'relay',
  prefix: prefix(text),
  peer: keyOf(2),
}));

const update = (more: Partial<PeerUpdate> = {}): PeerUpdate => ({
  plane: 'relay',
  key: keyOf(2),
  gone: false,
  moved: false,
  endpoint: at('198.51.100.2'),
  lastHandshake: 0,
  session: null,
  rxBytes: 0,
  txBytes: 0,
  carries: null,
  ...more,
});

function rig() {
  const reading: PlaneReading = { altered: false, peers: [] };
  const state = { up: true, unarmable: null as Error | null, reading, polls: 0, pollMs: () => {} };
  const world = new World();
  const remotes = new Remotes();
  remotes.put(gateway(2));
  const probes: ProbeReading[] = [];
  const marked: string[] = [];
  const moved: (string | null)[] = [];
  const failed: unknown[] = [];
  const worked: string[] = [];
  const looks: string[] = [];
  const observer = new Observer({
    driver: {
      observe: async () => [DEVICE, PEER, ...CARRIES],
      poll: async () => {
        state.polls += 1;
        state.pollMs();
        return state.reading;
      },
      isUp: async () => state.up,
    } as unknown as TunnelDriver,
    network: { observe: async () => [], firewallStands: async () => true } as unknown as Network,
    prober: { read: async () => probes } as unknown as Prober,
    remotes,
    world,
    mark: (owner) => marked.push(owner),
    peerMoved: (_, to) => moved.push(to === null ? null : formatHostPort(to)),
    looked: () => {},
    networkChanged: async () => {
      looks.push('look');
    },
    handingOver: () => false,
    rearm: async () => {
      looks.push('rearm');
      if (state.unarmable !== null) throw state.unarmable;
    },
    failed: (_, error) => failed.push(error),
    worked: (what) => worked.push(what),
  });
  /** All that was found is wanted. */
  const own = () => {
    world.want(SITE, [DEVICE]);
    world.want('gw-2', [PEER, ...CARRIES]);
  };
  const poll = async (reading: Partial<PlaneReading>) => {
    state.reading = { altered: false, peers: [], ...reading };
    // What starts an observer polls once; so does this.
    await observer.adopt();
  };
  return { state, probes, world, remotes, marked, moved, failed, worked, looks, observer, own, poll };
}

describe('the observer', () => {
  it('has a device set up again that is down or was altered, and leaves what hangs on it', async () => {
    for (const spoil of ['up', 'altered'] as const) {
      const { state, world, marked, failed, observer, own, poll } = rig();
      await observer.adopt();
      own();
      await observer.audit();
      assert.deepEqual([marked, failed], [[], []], 'nothing is wrong');
      if (spoil === 'up') {
        state.up = false;
        await observer.audit();
      } else await poll({ altered: true });
      assert.deepEqual(marked, [SITE], spoil);
      assert.deepEqual(world.want(SITE, [DEVICE]), [{ op: 'put', item: DEVICE, present: null }]);
      assert.ok(world.observed.has('carry relay 10.0.2.0/24'), 'what hangs on it stays');
    }
  });

  it('opens anew what an overrun may have ended, before it looks, and again while that fails', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    const { state, failed, worked, looks, observer } = rig();
    const settled = async () => {
      t.mock.timers.tick(200);
      await new Promise((resolve) => setImmediate(resolve));
    };
    observer.onEvent({ type: 'network' });
    await settled();
    assert.deepEqual(looks.splice(0), ['look'], 'a change is no overrun');
    observer.onEvent({ type: 'overrun' });
    observer.onEvent({ type: 'network' });
    state.unarmable = new Error('no descriptors left');
    await settled();
    assert.deepEqual([looks.splice(0), failed.splice(0)], [['rearm', 'look'], [state.unarmable]]);
    state.unarmable = null;
    await observer.audit();
    await observer.audit();
    assert.deepEqual(looks, ['rearm', 'look', 'look']);
    assert.ok(worked.includes('rearm'));
  });

  it('does not judge a device that nobody wants yet', async () => {
    const { state, world, marked, observer, poll } = rig();
    state.up = false;
    await poll({ altered: true });
    await observer.audit();
    assert.deepEqual(marked, []);
    assert.ok(world.observed.has('device raven-wg0'), 'it stands');
  });

  it('looks when it is asked to and once more, and however often it is asked, leaves most of the time to others', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    const { observer, state } = rig();
    state.pollMs = () => {
      now += 20;
    };
    /** Each look takes 20 ms. @returns looks within so many milliseconds */
    const looksIn = async (ms: number) => {
      const before = state.polls;
      for (let passed = 0; passed < ms; passed += 10) {
        now += 10;
        t.mock.timers.tick(10);
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      }
      return state.polls - before;
    };
    await observer.adopt();
    observer.start();
    assert.equal(await looksIn(900), 0);
    observer.lookSoon();
    assert.equal(await looksIn(10), 1, 'at once');
    assert.equal(await looksIn(190), 0);
    assert.equal(await looksIn(20), 1, 'the kernel tells of a first handshake late');
    assert.equal(await looksIn(900), 0);
    let looks = 0;
    for (let times = 0; times < 200; times++) {
      observer.lookSoon();
      looks += await looksIn(10);
    }
    t.diagnostic(`${looks} looks of 20 ms each`);
    assert.ok(looks > 5 && looks <= 12, `${looks} looks`);
    await observer.stop();
  });

  it('lets others have their turn while it takes in what 10,000 peers and probes have to tell', async () => {
    const { remotes, observer, state, probes } = rig();
    const numbers = Array.from({ length: 10_000 }, (_, index) => index + 10);
    for (const number of numbers) remotes.put(gateway(number));
    state.reading = { altered: false, peers: numbers.map((number) => update({ key: keyOf(number), rxBytes: number })) };
    probes.push(
      ...numbers.map((number) => ({
        gateway: `gw-${number}`,
        plane: 'relay' as const,
        facts: probeFacts({ sent: number }),
      })),
    );
    let turns = 0;
    let running = true;
    const turn = () => {
      turns += 1;
      if (running) setImmediate(turn);
    };
    setImmediate(turn);
    await observer.adopt();
    running = false;
    assert.ok(turns >= 38, `${turns} turns of the event loop`);
    const last = remotes.get('gw-10009')?.facts.relay;
    assert.deepEqual([last?.peer?.rxBytes, last?.probe?.sent], [10_009, 10_009]);
  });

  it('tells where a peer has moved to, and not that it renewed its session there', async () => {
    const { moved, marked, observer, own, poll } = rig();
    await observer.adopt();
    own();
    const seen = (port: number, more: Partial<PeerUpdate> = {}) =>
      poll({ peers: [update({ moved: true, endpoint: at('198.51.100.2', port), ...more })] });
    await seen(4500);
    await seen(4500, { lastHandshake: 120 });
    await seen(4500, { lastHandshake: 240, plane: 'direct' });
    await seen(61_000);
    await seen(61_000, { gone: true, moved: false });
    await seen(61_000);
    assert.deepEqual(moved, ['198.51.100.2:4500', '198.51.100.2:61000', null, '198.51.100.2:61000']);
    assert.ok(marked.filter((owner) => owner === 'gw-2').length >= 6, 'it is looked at each time');
  });

  it('has given back to a peer what somebody took from it', async () => {
    const { world, marked, observer, own, poll } = rig();
    await observer.adopt();
    own();
    await poll({ peers: [update({ carries: [prefix('10.0.2.0/24'), prefix('10.0.3.0/24')] })] });
    assert.deepEqual(marked, []);
    await poll({ peers: [update({ carries: [prefix('10.0.2.0/24'), prefix('10.0.99.0/24')] })] });
    assert.deepEqual(marked, ['gw-2']);
    const steps = world.want('gw-2', [PEER, ...CARRIES]);
    assert.deepEqual(steps, [{ op: 'put', item: CARRIES[1], present: null }]);
  });
});
