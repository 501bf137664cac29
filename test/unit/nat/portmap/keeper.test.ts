import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type Ip, parseIp } from '#src/model/address.js';
import type { MappingProtocol } from '#src/model/port-mapping.js';
import { loadMappingIdentity } from '#src/nat/portmap/identity.js';
import { MappingKeeper, type Pace } from '#src/nat/portmap/keeper.js';
import type { MapOutcome, MappingClient } from '#src/nat/portmap/protocol.js';

const ROUTER = parseIp('192.168.1.1') as Ip;
const OUTSIDE = parseIp('198.51.100.7') as Ip;
const granted = (port: number, lifetimeS = 3600): MapOutcome => ({
  kind: 'granted',
  external: { ip: OUTSIDE, port },
  lifetimeS,
});

/** A router of one protocol that does as it is told; the last word holds from then on. */
class Told implements MappingClient {
  readonly checkEveryMs = 5;
  readonly atRouterPort: boolean;
  has: number | null = null;
  restarted = false;
  readonly asked: string[] = [];
  readonly name: MappingProtocol;
  outcomes: MapOutcome[];

  constructor(name: MappingProtocol, ...outcomes: MapOutcome[]) {
    this.name = name;
    this.atRouterPort = name !== 'upnp';
    this.outcomes = outcomes;
  }

  async map({ externalPort }: { externalPort: number }): Promise<MapOutcome> {
    const outcome = (this.outcomes.length > 1 ? this.outcomes.shift() : this.outcomes[0]) ?? { kind: 'silent' };
    this.asked.push(`map ${externalPort}`);
    if (outcome.kind === 'granted') this.has = outcome.external.port;
    return outcome;
  }

  async check() {
    const lost = this.restarted;
    this.restarted = false;
    return lost ? ('lost' as const) : ('kept' as const);
  }

  async release({ externalPort }: { externalPort: number }) {
    this.asked.push(`release ${externalPort}`);
    this.has = null;
  }

  announced(): boolean {
    return true;
  }
}

const FAST: Partial<Pace> = { firstPauseMs: 5, longestPauseMs: 20, spreadMs: 5, leastRenewMs: 5 };

function keep(t: TestContext, clients: readonly Told[], pace: Partial<Pace> = {}) {
  const told: string[] = [];
  let announce: () => void = () => undefined;
  let listening = false;
  let settled = 0;
  const keeper = new MappingKeeper({
    router: ROUTER,
    wish: { internalPort: 4500, externalPort: 50_000 },
    clients,
    events: {
      changed: (mapping) => told.push(mapping === null ? 'none' : `${mapping.protocol} ${mapping.external.port}`),
      settled: () => {
        settled += 1;
      },
      asked: () => undefined,
      lost: (protocol) => told.push(`${protocol} lost`),
    },
    listen: (_router, heard) => {
      listening = true;
      announce = () => heard(new Uint8Array());
      return () => {
        listening = false;
      };
    },
    pace: { ...FAST, ...pace },
  });
  t.after(() => keeper.stop());
  keeper.start();
  return { keeper, told, announce: () => announce(), listening: () => listening, settled: () => settled };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('the keeper of a mapping', { timeout: 20_000 }, () => {
  it('asks by one protocol after the other, and gives back to the one that granted', async (t) => {
    const clients = [
      new Told('pcp', { kind: 'unsupported', closed: false }),
      new Told('nat-pmp', granted(50_001)),
      new Told('upnp'),
    ];
    const { keeper, told, listening } = keep(t, clients);
    await until(() => keeper.state.mapping !== null);
    assert.equal(keeper.state.reason, '192.168.1.1 maps 198.51.100.7:50001 here by NAT-PMP');
    assert.equal(listening(), true);
    await keeper.stop();
    assert.deepEqual(told, ['nat-pmp 50001', 'none']);
    assert.deepEqual(
      clients.map(({ asked }) => asked),
      [['map 50000'], ['map 50000', 'release 50001'], []],
    );
    assert.equal(listening(), false);
  });

  it('asks nobody at a port that is closed', async (t) => {
    const clients = [new Told('pcp', { kind: 'unsupported', closed: true }), new Told('nat-pmp'), new Told('upnp')];
    const { keeper } = keep(t, clients, { firstPauseMs: 3_600_000, longestPauseMs: 3_600_000 });
    await until(() => keeper.state.reason.includes('grants none'));
    assert.deepEqual(
      clients.map(({ asked }) => asked.length),
      [1, 0, 1],
    );
    const why = '(PCP: not spoken there; NAT-PMP: not spoken there; UPnP: no answer)';
    assert.equal(keeper.state.reason, `192.168.1.1 grants none ${why}`);
  });

  it('says why there is none, and asks again', async (t) => {
    const refused: MapOutcome = { kind: 'refused', reason: 'NOT_AUTHORIZED' };
    const clients = [new Told('pcp', refused, refused, granted(50_000)), new Told('upnp', { kind: 'silent' })];
    const { keeper, told, settled } = keep(t, clients);
    await until(() => clients[1]?.asked.length === 1);
    await until(() => keeper.state.reason !== 'the router is being asked');
    assert.equal(keeper.state.reason, '192.168.1.1 grants none (PCP: NOT_AUTHORIZED; UPnP: no answer)');
    await until(() => keeper.state.mapping !== null);
    assert.deepEqual([told, settled()], [['pcp 50000'], 1]);
    assert.equal(clients[0]?.asked.length, 3);
  });

  it('does not wait out a pause when the network changes', async (t) => {
    const client = new Told('pcp', { kind: 'silent' }, granted(50_000));
    const { keeper } = keep(t, [client], { firstPauseMs: 3_600_000, longestPauseMs: 3_600_000 });
    await until(() => client.asked.length === 1 && keeper.state.reason.includes('grants none'));
    keeper.kick();
    await until(() => keeper.state.mapping !== null);
  });

  it('renews at half the lifetime, for the port that it has, and nobody hears of it', async (t) => {
    const client = new Told('pcp', granted(50_007, 0.02));
    const { keeper, told } = keep(t, [client], { checkEveryMs: 60_000 });
    await until(() => client.asked.length >= 4);
    await keeper.stop();
    assert.deepEqual(client.asked.slice(0, 3), ['map 50000', 'map 50007', 'map 50007']);
    assert.deepEqual(told, ['pcp 50007', 'none']);
  });

  it('keeps what a silent router granted until it has run out', async (t) => {
    const client = new Told('pcp', granted(50_007, 0.1), { kind: 'silent' });
    const { keeper, told } = keep(t, [client], { checkEveryMs: 60_000 });
    await until(() => told.includes('none'));
    const renewals = client.asked.filter((asked) => asked === 'map 50007');
    assert.ok(renewals.length > 1, 'it was tried more than once');
    assert.deepEqual(told, ['pcp 50007', 'none']);
    assert.match(keeper.state.reason, /no longer grants it \(no answer\)|grants none/);
  });

  it('asks a router again that started over: one that is asked, and one that tells', async (t) => {
    const client = new Told('nat-pmp', granted(50_007), granted(50_007), granted(50_009));
    const { keeper, told, announce } = keep(t, [client]);
    await until(() => keeper.state.mapping !== null);
    client.restarted = true;
    await until(() => client.asked.length === 2);
    announce();
    await until(() => keeper.state.mapping?.external.port === 50_009);
    assert.deepEqual(told, ['nat-pmp 50007', 'nat-pmp lost', 'nat-pmp lost', 'nat-pmp 50009']);
    assert.deepEqual(client.asked, ['map 50000', 'map 50007', 'map 50007']);
  });

  it('has none any more where the router started over and refuses', async (t) => {
    const client = new Told('pcp', granted(50_007), { kind: 'refused', reason: 'NO_RESOURCES' });
    const { keeper, told } = keep(t, [client], { firstPauseMs: 3_600_000 });
    await until(() => keeper.state.mapping !== null);
    client.restarted = true;
    await until(() => told.includes('none'));
    assert.deepEqual(told, ['pcp 50007', 'pcp lost', 'none']);
  });

  it('gives back what may have been granted unheard', async (t) => {
    const client = new Told('pcp');
    const { keeper } = keep(t, [client]);
    await keeper.stop();
    assert.deepEqual(client.asked, ['map 50000', 'release 50000']);
  });
});

describe('what a node asks with', () => {
  const directory = () => mkdtempSync(join(tmpdir(), 'corax-mapping-'));

  it('is the same after a restart, and for its owner only', async () => {
    const state = directory();
    const identity = await loadMappingIdentity(state);
    assert.equal(identity.nonce.length, 12);
    assert.ok(identity.port >= 49_152 && identity.port <= 65_535);
    const again = await loadMappingIdentity(state);
    assert.deepEqual([Buffer.from(again.nonce), again.port], [Buffer.from(identity.nonce), identity.port]);
    assert.equal(statSync(join(state, 'port-mapping.json')).mode & 0o777, 0o600);
    const other = await loadMappingIdentity(directory());
    assert.notDeepEqual(Buffer.from(other.nonce), Buffer.from(identity.nonce));
  });

  it('is made anew where it is damaged', async () => {
    const state = directory();
    const file = join(state, 'port-mapping.json');
    for (const text of ['', '{}', '{"nonce":"00","port":50000}', '{"nonce":"000000000000000000000000","port":4500}']) {
      writeFileSync(file, text);
      await loadMappingIdentity(state);
      assert.match(readFileSync(file, 'utf8'), /^\{"nonce":"[0-9a-f]{24}","port":\d{5}\}$/);
    }
  });
});
