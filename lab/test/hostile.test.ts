/** A folder that anybody can write into: each bad Gateway is refused by name, all else works. And a big one. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import type { StatusError } from '#src/model/status.js';
import { writeGatewayFile } from '../gateways.js';
import type { Lab } from '../lab.js';
import { bothOn, createPair, LONG_MS, type Pair, pause, startAgents } from './agents.js';

const THOUSAND = 1_000;
/** Netlink messages about routes that one changed peer may cost: audits of the same seconds included. */
const FEW_MESSAGES = 40;

let lab: Lab;
let pair: Pair;

before(async () => {
  ({ lab, pair } = await createPair(['full-cone', 'full-cone'], {
    delays: 'none',
  }));
  await startAgents([lab.relay(), ...lab.sites]);
  await bothOn(lab, pair, 'direct');
});

after(() => lab?.destroy());

interface Wishes {
  readonly subnets?: readonly string[];
  readonly endpoint?: Record<string, unknown>;
  readonly config?: Record<string, string>;
}

function gateway(name: string, { subnets = ['10.99.0.0/24'], endpoint = {}, config }: Wishes): string {
  const tunnel = {
    nodeName: `node-${name}`,
    type: 'tunnel',
    underNAT: true,
    ...endpoint,
    ...(config ? { config } : {}),
  };
  return stringify(
    {
      apiVersion: 'raven.openyurt.io/v1beta1',
      kind: 'Gateway',
      metadata: { name },
      spec: { endpoints: [tunnel] },
      status: { nodes: [{ nodeName: tunnel.nodeName, privateIP: '192.168.77.7', subnets }], activeEndpoints: [tunnel] },
    },
    { aliasDuplicateObjects: false },
  );
}

const key = () => randomBytes(32).toString('base64');

/** File name → its text, and what the refusal says. */
const BAD: ReadonlyArray<readonly [string, () => string, RegExp]> = [
  ['bad-yaml', () => 'kind: Gateway\nspec: [\n', /bad-yaml\.yaml:\d+/],
  [
    'bad-claim',
    () => gateway('bad-claim', { subnets: [pair.b.plan.podSubnet], config: { publicKey: key() } }),
    /claims/,
  ],
  ['bad-default', () => gateway('bad-default', { subnets: ['0.0.0.0/0'] }), /default route/],
  [
    'bad-relay',
    () => gateway('bad-relay', { subnets: [`${lab.relay().plan.publicAddress}/32`], config: { publicKey: key() } }),
    /the address of relay/,
  ],
  ['bad-key', () => gateway('bad-key', { config: { publicKey: 'AAAA' } }), /publicKey/],
  ['bad-port-0', () => gateway('bad-port-0', { endpoint: { publicIP: '203.0.113.99', publicPort: 0 } }), /publicPort/],
  [
    'bad-port-70000',
    () => gateway('bad-port-70000', { endpoint: { publicIP: '203.0.113.99', publicPort: 70000 } }),
    /publicPort/,
  ],
  ['bad-huge', () => `# ${'x'.repeat(3_000_000)}\n${gateway('bad-huge', {})}`, /over the limit of 1 MiB/],
];

const errorsOf = async (node = pair.a): Promise<StatusError[]> => (await node.status()).errors;

test('a hostile folder: every bad file is refused by name, and traffic does not notice', async (t) => {
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  for (const [name, text] of BAD) writeGatewayFile(lab.gateways, `${name}.yaml`, text());
  for (const [name, , expected] of BAD) {
    const found = await lab.waitFor(
      async () => (await errorsOf()).find((error) => error.gateway === name && error.code === 'CORAX_GATEWAY') ?? null,
      { what: `${name} is refused`, timeoutMs: LONG_MS },
    );
    t.diagnostic(`${name}: ${found.message}`);
    assert.match(found.message, expected);
  }
  await bothOn(lab, pair, 'direct');
  const { lost } = await pings.stop();
  assert.equal(lost, 0);
  const { peers } = await pair.a.status();
  assert.deepEqual(
    peers.map((peer) => peer.gateway).filter((name) => name.startsWith('bad-')),
    [],
    'none of them is a peer',
  );
});

test('a broken version of a good file changes nothing: the last good one stays in force', async () => {
  writeGatewayFile(lab.gateways, 'gw-b.yaml', 'kind: Gateway\nmetadata: { name: gw-b }\nspec: {');
  await lab.waitFor(async () => (await errorsOf()).some(({ message }) => message.includes('gw-b.yaml')), {
    what: 'the broken file is complained of',
    timeoutMs: LONG_MS,
  });
  assert.equal((await pair.a.peer('edge-b')).path, 'direct');
});

test('1,000 peers: one changed Gateway is one peer touched', async (t) => {
  const relay = lab.relay();
  const subnet = (index: number) => `10.${100 + (index >> 8)}.${index & 255}.0/24`;
  const keys = Array.from({ length: THOUSAND }, key);
  const text = (index: number, extra: readonly string[] = []) =>
    gateway(`many-${index}`, { subnets: [subnet(index), ...extra], config: { publicKey: keys[index] as string } });
  for (let index = 0; index < THOUSAND; index++) writeGatewayFile(lab.gateways, `many-${index}.yaml`, text(index));

  const peersOf = async () => (await relay.exec(['wg', 'show', 'raven-wg0', 'allowed-ips'])).stdout.trim().split('\n');
  await lab.waitFor(async () => (await peersOf()).length >= THOUSAND + 2, {
    what: 'all peers in the kernel',
    timeoutMs: 2 * LONG_MS,
    everyMs: 2_000,
  });
  const engine = async () => (await relay.status()).engine;
  await pause(3_000);

  const before = await engine();
  writeGatewayFile(lab.gateways, 'many-500.yaml', text(500, ['10.250.0.0/24']));
  await lab.waitFor(
    async () =>
      (await peersOf()).some((line) => line.startsWith(keys[500] as string) && line.includes('10.250.0.0/24')),
    {
      what: 'the change in the kernel',
      timeoutMs: LONG_MS,
    },
  );
  const now = await engine();
  const sent = {
    peers: now.wireguardPeers - before.wireguardPeers,
    routes: now.routeMessages - before.routeMessages,
  };
  t.diagnostic(
    `one change among ${THOUSAND}: ${sent.peers} WireGuard peer, ${sent.routes} netlink messages about routes`,
  );
  assert.equal(sent.peers, 1, 'one peer is touched');
  assert.ok(sent.routes >= 2 && sent.routes < FEW_MESSAGES, `${sent.routes} route messages`);
});
