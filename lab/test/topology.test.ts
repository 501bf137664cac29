/** Proves the lab itself, without any agent: its NATs, delays and faults are what they are said to be. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import type { NatKind } from '../net/nat.js';
import { median } from '../traffic/pinger.js';
import { UdpPeer } from '../traffic/udp.js';

/** What comes is here within this time, in emulation too; what has not come by then was dropped. */
const SOON_MS = 2_000;
const TUNNEL_PORT = 4500;

interface Behaviour {
  readonly nat: NatKind | readonly NatKind[];
  /** Whether one inside port keeps one public port toward everybody. */
  readonly endpointIndependent: boolean;
  /** Whose packets come in: anybody's, those of contacted addresses, of contacted addresses and ports. */
  readonly filtering: 'anybody' | 'address' | 'address-and-port';
}

const BEHAVIOURS: ReadonlyArray<readonly [string, Behaviour]> = [
  ['full-cone', { nat: 'full-cone', endpointIndependent: true, filtering: 'anybody' }],
  ['restricted', { nat: 'restricted-cone', endpointIndependent: true, filtering: 'address' }],
  ['port-restricted', { nat: 'port-restricted', endpointIndependent: true, filtering: 'address-and-port' }],
  ['symmetric', { nat: 'symmetric', endpointIndependent: false, filtering: 'address-and-port' }],
  ['sequential', { nat: 'symmetric-sequential', endpointIndependent: false, filtering: 'address-and-port' }],
  ['linux', { nat: 'linux', endpointIndependent: true, filtering: 'address-and-port' }],
  ['double', { nat: ['full-cone', 'port-restricted'], endpointIndependent: true, filtering: 'address-and-port' }],
  ['none', { nat: 'none', endpointIndependent: true, filtering: 'anybody' }],
  ['udp-blocked', { nat: 'udp-blocked', endpointIndependent: true, filtering: 'anybody' }],
];

let lab: Lab;
/** Three servers on two addresses: contacted first, same address with another port, another address. */
let world: UdpPeer;

before(async () => {
  lab = await Lab.create({
    sites: BEHAVIOURS.map(([name, { nat }]) => ({ name, nat })),
    relays: [{ name: 'relay-1' }],
    delays: 'proposal',
    stun: true,
  });
  const [one, two] = lab.stun?.addresses ?? ['', ''];
  world = new UdpPeer('stun');
  await world.bind('contacted', one, 9001);
  await world.bind('same-address', one, 9002);
  await world.bind('stranger', two, 9002);
  await world.bind('mapping-1', one, 9003);
  await world.bind('mapping-2', two, 9003);
});

after(async () => {
  world?.kill();
  await lab?.destroy();
});

/** Sends from a site's tunnel port to a server and tells from where it was seen to come. */
async function seenAs(
  site: UdpPeer,
  server: 'contacted' | 'mapping-1' | 'mapping-2',
  text: string,
): Promise<string | null> {
  const [one, two] = lab.stun?.addresses ?? ['', ''];
  site.send('tunnel', server === 'mapping-2' ? two : one, server === 'contacted' ? 9001 : 9003, text);
  const packet = await world.receive(text, SOON_MS);
  return packet ? `${packet.address}:${packet.port}` : null;
}

for (const [name, { endpointIndependent, filtering }] of BEHAVIOURS.filter(([name]) => name !== 'udp-blocked')) {
  test(`NAT ${name}: maps and filters as its kind does`, async () => {
    const site = new UdpPeer(name);
    try {
      await site.bind('tunnel', '0.0.0.0', TUNNEL_PORT);
      const hole = await seenAs(site, 'contacted', `${name} opens`);
      assert.ok(hole, 'the first packet gets out');
      const [address = '', port = ''] = hole.split(':');
      assert.equal(address, lab.site(name).plan.publicAddress);

      for (const server of ['stranger', 'same-address', 'contacted']) {
        world.send(server, address, Number(port), `${server} to ${name}`);
      }
      assert.ok(await site.receive(`contacted to ${name}`, SOON_MS), 'the one that was contacted answers');
      const same = await site.receive(`same-address to ${name}`, filtering === 'address-and-port' ? 500 : SOON_MS);
      assert.equal(same !== null, filtering !== 'address-and-port', 'another port of an address that was contacted');
      const stranger = await site.receive(`stranger to ${name}`, filtering === 'anybody' ? SOON_MS : 500);
      assert.equal(stranger !== null, filtering === 'anybody', 'an address that was not contacted');

      const first = await seenAs(site, 'mapping-1', `${name} maps 1`);
      const second = await seenAs(site, 'mapping-2', `${name} maps 2`);
      assert.ok(first && second);
      const holes = new Set([hole, first, second]);
      assert.equal(holes.size, endpointIndependent ? 1 : 3, [...holes].join(' '));
      if (name === 'sequential') {
        assert.equal(Number(second.split(':')[1]), Number(first.split(':')[1]) + 1, 'ports in sequence');
      }
    } finally {
      site.kill();
    }
  });
}

test('UDP blocked: no UDP passes, all else does', async () => {
  const site = new UdpPeer('udp-blocked');
  try {
    await site.bind('tunnel', '0.0.0.0', TUNNEL_PORT);
    assert.equal(await seenAs(site, 'contacted', 'blocked'), null);
    await lab.site('udp-blocked').exec(['ping', '-c', '1', '-W', '3', lab.relay().plan.publicAddress]);
  } finally {
    site.kill();
  }
});

test('a rebound NAT forgets its mappings and gives another port', async () => {
  const site = new UdpPeer('port-restricted');
  try {
    await site.bind('tunnel', '0.0.0.0', TUNNEL_PORT);
    const old = await seenAs(site, 'contacted', 'before the rebinding');
    await lab.site('port-restricted').rebindNat();
    const [address = '', port = ''] = old?.split(':') ?? [];
    world.send('contacted', address, Number(port), 'to the old hole');
    assert.equal(await site.receive('to the old hole', 500), null);
    const hole = await seenAs(site, 'contacted', 'after the rebinding');
    assert.ok(hole);
    assert.notEqual(hole, old);
  } finally {
    site.kill();
  }
});

test('paths are cut and healed one direction at a time', async () => {
  const site = new UdpPeer('none');
  const here = lab.site('none').plan.publicAddress;
  const there = lab.stun?.addresses[0] ?? '';
  try {
    await site.bind('tunnel', '0.0.0.0', TUNNEL_PORT);
    await lab.faults.cut(here, there, 'forth');
    assert.equal(await seenAs(site, 'contacted', 'cut'), null);
    world.send('contacted', here, TUNNEL_PORT, 'the other way');
    assert.ok(await site.receive('the other way', SOON_MS));
    await lab.faults.heal(here, there);
    assert.equal(await seenAs(site, 'contacted', 'healed'), `${here}:${TUNNEL_PORT}`);
    await lab.faults.blockUdp(here);
    assert.equal(await seenAs(site, 'contacted', 'no UDP'), null);
    await lab.faults.unblockUdp(here);
    assert.ok(await seenAs(site, 'contacted', 'UDP again'));
  } finally {
    site.kill();
  }
});

test('a link that was down comes back with its routes', async () => {
  const site = lab.site('none');
  const reach = ['ping', '-c', '1', '-W', '2', lab.relay().plan.publicAddress];
  await lab.faults.linkDown('none', 'wan');
  assert.notEqual((await site.exec(reach, { allowFailure: true })).code, 0);
  await lab.faults.linkUp('none', 'wan');
  assert.equal((await site.exec(reach, { allowFailure: true })).code, 0);
});

test('the way by the relay is longer than the direct one', async (t) => {
  const relay = lab.relay().plan.publicAddress;
  const measure = async (from: string, to: string): Promise<number> => {
    const pinger = await lab.pinger(from, to, { intervalMs: 100 });
    await lab.waitFor(() => pinger.received >= 10, { what: `pings from ${from} to ${to}`, timeoutMs: 20_000 });
    await pinger.stop();
    return median(pinger.latest(10));
  };
  // Only a NAT with open INPUT answers pings from outside.
  const direct = await measure('none', lab.site('linux').plan.publicAddress);
  const relayed = (await measure('none', relay)) + (await measure('linux', relay));
  t.diagnostic(`edge to edge ${direct.toFixed(1)} ms, by the relay ${relayed.toFixed(1)} ms`);
  assert.ok(relayed > direct, `${relayed} > ${direct}`);
});

test('pings are accounted for one by one: what a cut path swallows is lost, all else is not', async () => {
  const here = lab.site('none').plan.publicAddress;
  const relay = lab.relay().plan.publicAddress;
  const pinger = await lab.pinger('none', relay, { intervalMs: 50 });
  await lab.waitFor(() => pinger.received >= 10, { what: 'the first pings', timeoutMs: 20_000 });
  await lab.faults.cut(here, relay);
  const cutAt = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const healedAt = Date.now();
  await lab.faults.heal(here, relay);
  const before = pinger.received;
  await lab.waitFor(() => pinger.received >= before + 10, { what: 'pings after healing', timeoutMs: 20_000 });
  const report = await pinger.stop();
  assert.equal(report.sent, report.received + report.lost);
  assert.ok(report.lost >= 10, `${report.lost} lost`);
  assert.equal(report.duplicates, 0);
  assert.ok(report.longestGapMs >= healedAt - cutAt);
  assert.equal(pinger.report(0, cutAt - 1_000).lost, 0);
});

test('TCP between pods of one node: one connection stays, new ones come and go', async () => {
  const traffic = await lab.tcp('relay-1', 'relay-1');
  const report = await lab.waitFor(
    async () => {
      const now = await traffic.report();
      return now.completed >= 5 && now.echoed >= 20 ? now : null;
    },
    { what: 'connections and echoes', timeoutMs: 30_000 },
  );
  assert.equal(report.failed, 0);
  assert.ok(report.alive);
  await traffic.stop();
});
