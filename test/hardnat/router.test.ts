/**
 * PCP, NAT-PMP and UPnP against a real miniupnpd behind which a node sits, on this machine's own kernel: what a mapping
 * lets through a symmetric NAT, what a router that reboots does to it, and what is left of it.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Ip, parseIp } from '#src/model/address.js';
import type { PortMapping } from '#src/model/port-mapping.js';
import { listenForAnnouncements } from '#src/nat/portmap/announcements.js';
import { ask, ownAddressToward } from '#src/nat/portmap/exchange.js';
import { MappingKeeper, type Pace } from '#src/nat/portmap/keeper.js';
import { NatPmpClient } from '#src/nat/portmap/nat-pmp.js';
import { PcpClient } from '#src/nat/portmap/pcp.js';
import { announceRequest, parsePcpAnswer } from '#src/nat/portmap/pcp-codec.js';
import { type MappingClient, ROUTER_PORT } from '#src/nat/portmap/protocol.js';
import { UpnpClient } from '#src/nat/portmap/upnp.js';
import { Miniupnpd } from '../../lab/hardnat/miniupnpd.js';
import { inside } from '../../lab/net/apply.js';
import { natRules } from '../../lab/net/nat.js';
import { run } from '../../lab/process.js';
import { command, inOwnNamespace } from '../native/namespace.js';

const ROUTER = parseIp('192.168.1.1') as Ip;
const [OUTSIDE, STRANGER] = ['128.66.0.10', '128.66.0.1'];
const WISH = { internalPort: 4500, externalPort: 50_000 };
const NONCE = Uint8Array.from({ length: 12 }, (_, index) => index + 1);
const link = { router: ROUTER, now: () => performance.now() };
/** Nobody looks, so what is found was told; or all the time. */
const TOLD: Partial<Pace> = { checkEveryMs: 3_600_000, spreadMs: 10 };
const ASKED: Partial<Pace> = { checkEveryMs: 200, spreadMs: 10, firstPauseMs: 200, longestPauseMs: 500 };

/** The node is where this runs; beside it are its router and the world. */
async function build(): Promise<void> {
  for (const name of ['router', 'world']) command('ip', 'netns', 'add', name);
  const ip = (words: string) => command('ip', ...words.split(' '));
  ip('link set lo up');
  ip('link add wan type veth peer name lan netns router');
  ip('link add wan0 netns world type veth peer name wan netns router');
  ip('address add 192.168.1.2/24 dev wan');
  ip('link set wan up');
  for (const [name, device, address] of [
    ['router', 'lan', `${ROUTER}/24`],
    ['router', 'wan', `${OUTSIDE}/24`],
    ['world', 'wan0', `${STRANGER}/24`],
  ] as const) {
    ip(`-n ${name} link set lo up`);
    ip(`-n ${name} address add ${address} dev ${device}`);
    ip(`-n ${name} link set ${device} up`);
  }
  ip(`route add default via ${ROUTER}`);
  await run([...inside('router'), 'sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  const nat = {
    kind: 'symmetric',
    outside: OUTSIDE,
    inside: '192.168.1.0/24',
    ports: [20_000, 32_999],
    forwards: [],
  } as const;
  await run([...inside('router'), 'nft', '-f', '-'], { input: natRules(nat) });
}

/** What a stranger hears who sends to the mapped place: who answered, or nobody. */
async function strangerHears(port: number, from = 0): Promise<string> {
  const script = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.on('message', (bytes, from) => { console.log(bytes + ' from ' + from.address + ':' + from.port); process.exit(); });
    socket.bind(${from}, () => socket.send('hello', ${port}, '${OUTSIDE}'));
    setTimeout(() => { console.log('nobody'); process.exit(); }, 1000);`;
  return (await run([...inside('world'), process.execPath, '-e', script])).stdout.trim();
}

interface Kept {
  readonly keeper: MappingKeeper;
  readonly told: (PortMapping | null)[];
  lost: number;
}

function keep(clients: readonly MappingClient[], pace: Partial<Pace>): Kept {
  const kept: Omit<Kept, 'keeper'> = { told: [], lost: 0 };
  const keeper = new MappingKeeper({
    router: ROUTER,
    wish: WISH,
    clients,
    events: {
      changed: (mapping) => kept.told.push(mapping),
      settled: () => undefined,
      asked: () => undefined,
      lost: () => {
        kept.lost += 1;
      },
    },
    listen: listenForAnnouncements,
    pace,
  });
  keeper.start();
  return Object.assign(kept, { keeper });
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** By its clock: a restart right after the start is within what RFC 6887 8.5 lets two clocks differ by. */
async function upForLong(): Promise<boolean> {
  const parse = (bytes: Uint8Array) => {
    const answer = parsePcpAnswer(bytes);
    return answer?.kind === 'announce' ? answer.epoch : null;
  };
  const answer = await ask({ router: ROUTER, port: ROUTER_PORT, request: announceRequest, parse, waitsMs: [1000] });
  return answer.kind === 'answered' && answer.value >= 5;
}

const pcp = () => new PcpClient({ ...link, nonce: NONCE });
const natPmp = () => new NatPmpClient(link);
const upnp = () => new UpnpClient({ ...link, ownAddress: () => ownAddressToward(ROUTER) });
const GRANTED = [`${WISH.externalPort} -> 192.168.1.2:4500`];

function tests(): void {
  let router: Miniupnpd;
  const tunnel = createSocket('udp4');

  before(async () => {
    await build();
    router = new Miniupnpd(
      { namespace: 'router' },
      { natPmp: true, upnp: true },
      mkdtempSync(join(tmpdir(), 'corax-router-')),
    );
    await router.start();
    tunnel.on('message', (bytes, { address, port }) => tunnel.send(`${bytes} back`, port, address));
    tunnel.bind(WISH.internalPort);
    await once(tunnel, 'listening');
  });

  after(async () => {
    tunnel.close();
    await router.stop();
  });

  // miniupnpd announces itself by PCP only; NAT-PMP's own announcement (RFC 6886 3.2.1) comes when its address changes.
  const cases: [string, () => MappingClient, Partial<Pace>, string][] = [
    ['PCP', pcp, TOLD, 'which says so itself'],
    ['PCP', pcp, ASKED, 'which is asked'],
    ['NAT-PMP', natPmp, ASKED, 'which is asked'],
    ['UPnP', upnp, ASKED, 'which is asked'],
  ];
  for (const [name, client, pace, how] of cases) {
    test(`${name}: strangers get in; a router that reboots, ${how}, maps it again; in the end nothing is left`, async () => {
      assert.equal(await strangerHears(WISH.externalPort), 'nobody');
      const kept = keep([client()], pace);
      await until(() => kept.told.length > 0);
      assert.equal(kept.keeper.state.reason, `192.168.1.1 maps ${OUTSIDE}:50000 here by ${name}`);
      assert.deepEqual(await router.mappings(), GRANTED);
      assert.equal(await strangerHears(WISH.externalPort), `hello back from ${OUTSIDE}:${WISH.externalPort}`);

      await until(upForLong);
      await router.reboot();
      await until(async () => (await router.mappings()).length > 0);
      assert.deepEqual(await router.mappings(), GRANTED);
      assert.equal(kept.lost, 1);
      assert.equal(kept.told.length, 1, 'it is the same mapping to everybody else');

      await kept.keeper.stop();
      assert.deepEqual(await router.mappings(), []);
      assert.equal(kept.told.at(-1), null);
    });
  }

  test('who was spoken to first, by another port of the NAT, gets in too', async () => {
    const port = 7000;
    await new Promise((sent) => tunnel.send('first', port, STRANGER, sent));
    const kept = keep([pcp()], TOLD);
    await until(() => kept.told.length > 0);
    // The router has an entry of these two already, and gives the stranger another port on the inside.
    assert.equal(await strangerHears(WISH.externalPort, port), `hello back from ${OUTSIDE}:${WISH.externalPort}`);
    await kept.keeper.stop();
  });

  test('an agent that was killed finds its mapping again by its nonce, and nobody else takes it away', async () => {
    const signal = AbortSignal.timeout(30_000);
    const outcome = await pcp().map(WISH, signal);
    assert.equal(outcome.kind === 'granted' && outcome.external.port, WISH.externalPort);
    // With another nonce it is another's (RFC 6887 11.3): miniupnpd refuses.
    const stranger = new PcpClient({ ...link, nonce: NONCE.with(0, 99) });
    await stranger.release(WISH);
    assert.deepEqual(await router.mappings(), GRANTED);
    const again = await pcp().map(WISH, signal);
    assert.deepEqual(again, outcome);
    await pcp().release(WISH);
    assert.deepEqual(await router.mappings(), []);
  });

  test('a router that speaks UPnP only is found after the others at once', async () => {
    const only = new Miniupnpd(
      { namespace: 'router' },
      { natPmp: false, upnp: true },
      mkdtempSync(join(tmpdir(), 'corax-router-')),
    );
    await router.stop();
    await only.start();
    const kept = keep([pcp(), natPmp(), upnp()], TOLD);
    try {
      await until(() => kept.told.length > 0);
      assert.equal(kept.told[0]?.protocol, 'upnp');
    } finally {
      await kept.keeper.stop();
      assert.deepEqual(await only.mappings(), []);
      await only.stop();
      await router.start();
    }
  });

  test('a router of none is said to be one', async () => {
    await router.stop();
    const kept = keep([pcp(), natPmp(), upnp()], TOLD);
    await until(() => kept.keeper.state.reason !== 'the router is being asked');
    const why = '192.168.1.1 grants none (PCP: not spoken there; NAT-PMP: not spoken there; UPnP: no answer)';
    assert.equal(kept.keeper.state.reason, why);
    await kept.keeper.stop();
    await router.start();
  });
}

if (inOwnNamespace(import.meta.url)) describe('a real router', { timeout: 120_000 }, tests);
