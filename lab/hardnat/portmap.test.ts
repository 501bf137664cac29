/**
 * Edges whose routers, each with a real miniupnpd, map the tunnel's port: by PCP, NAT-PMP and UPnP. Their NATs and the
 * other end's are symmetric, which without a mapping leaves the relay only.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import type { MappingPolicy, MappingProtocol } from '#src/model/port-mapping.js';
import { Lab } from '../lab.js';
import type { NatPlan } from '../net/plan.js';
import type { LabNode } from '../node.js';
import { bothOn, LONG_MS } from '../test/agents.js';
import { Miniupnpd } from './miniupnpd.js';

interface Mapped {
  readonly name: string;
  readonly protocol: MappingProtocol;
  readonly router: { readonly natPmp: boolean; readonly upnp: boolean };
  /** What `--port-mapping` says; null: nothing. */
  readonly ask: MappingPolicy | null;
}

/** miniupnpd cannot do NAT-PMP without PCP: there the agent is told. */
const MAPPED: readonly Mapped[] = [
  { name: 'edge-pcp', protocol: 'pcp', router: { natPmp: true, upnp: true }, ask: null },
  { name: 'edge-pmp', protocol: 'nat-pmp', router: { natPmp: true, upnp: false }, ask: 'nat-pmp' },
  { name: 'edge-upnp', protocol: 'upnp', router: { natPmp: false, upnp: true }, ask: null },
];
const PLAIN = 'edge-plain';
/** miniupnpd maps nothing behind an address that it takes for private or for documentation. */
const publicAddress = (index: number) => `128.66.0.${10 + index}`;

let lab: Lab;
const routers = new Map<string, Miniupnpd>();

function routerOf(name: string): Miniupnpd {
  return routers.get(name) ?? assert.fail(`${name} has no router`);
}

before(async () => {
  lab = await Lab.create({
    sites: [
      ...MAPPED.map(({ name }, index) => ({ name, nat: 'symmetric', publicAddress: publicAddress(index) }) as const),
      { name: PLAIN, nat: 'symmetric' },
    ],
    relays: [{ name: 'relay-1' }],
    stun: false,
  });
  for (const { name, router } of MAPPED) {
    const miniupnpd = new Miniupnpd(lab.site(name).plan.nats[0] as NatPlan, router, lab.directory);
    routers.set(name, miniupnpd);
    await miniupnpd.start();
  }
  await lab.relay().startAgent();
  await Promise.all([
    lab.site(PLAIN).startAgent(['--port-mapping', 'off']),
    ...MAPPED.map(({ name, ask }) => lab.site(name).startAgent(ask === null ? [] : ['--port-mapping', ask])),
  ]);
});

after(async () => {
  await Promise.all([...routers.values()].map((router) => router.stop()));
  await lab?.destroy();
});

const mappingOf = async (node: LabNode) => (await node.status()).nat.portMapping ?? null;

/** The mapping that the agent says is in force. */
function inForce({ name, protocol }: Mapped): Promise<string> {
  return lab.waitFor(
    async () => {
      const mapping = await mappingOf(lab.site(name));
      assert.equal(mapping?.protocol, protocol, mapping?.reason);
      assert.equal(mapping.inForce, true, mapping.reason);
      return mapping.external;
    },
    { what: `${name}'s hole is mapped by ${protocol}`, timeoutMs: LONG_MS, everyMs: 500 },
  );
}

/** What the router ought to have, and has. */
async function isGranted({ name }: Mapped, external: string): Promise<void> {
  const { plan } = lab.site(name);
  const [ip, port] = external.split(':');
  assert.equal(ip, plan.publicAddress);
  assert.deepEqual(await routerOf(name).mappings(), [`${port} -> ${plan.address}:4500`]);
}

const holes = new Map<string, string>();

for (const mapped of MAPPED) {
  test(`${mapped.protocol}: the router's mapping is the hole, and the NAT counts as open`, async () => {
    const external = await inForce(mapped);
    holes.set(mapped.name, external);
    await isGranted(mapped, external);
    // The type follows once the edge has read that the mapping is the hole.
    const file = join(lab.gateways, `${lab.site(mapped.name).plan.gateway}.yaml`);
    await lab.waitFor(
      async () => {
        const [endpoint] = parse(readFileSync(file, 'utf8')).spec.endpoints;
        assert.equal(`${endpoint.publicIP}:${endpoint.publicPort}`, external);
        assert.equal(endpoint.natType, 'Full cone NAT');
        return true;
      },
      { what: `${mapped.name} is published as open`, timeoutMs: LONG_MS, everyMs: 500 },
    );
  });
}

test('who is told not to ask does not', async () => {
  assert.equal(await mappingOf(lab.site(PLAIN)), null);
});

test('symmetric with symmetric goes direct where one end is mapped, and where both are', async (t) => {
  const names = [...MAPPED.map(({ name }) => name), PLAIN];
  const pairs = names.flatMap((a, index) => names.slice(index + 1).map((b) => ({ a: lab.site(a), b: lab.site(b) })));
  assert.equal(pairs.length, 6);
  const seconds = await Promise.all(pairs.map((pair) => bothOn(lab, pair, 'direct')));
  pairs.forEach(({ a, b }, index) => {
    t.diagnostic(`${a.name} with ${b.name}: on both ends direct ${seconds[index]?.toFixed(1)} s after the mappings`);
  });
});

test('a router that reboots has lost them: it is asked again, for the same port', async () => {
  await Promise.all(
    [...routers.values()].map(async (router) => {
      await router.stop();
      await router.forget();
      // Once it listens the agent may be quicker than this look.
      assert.deepEqual(await router.mappings(), []);
      await router.start();
    }),
  );
  for (const mapped of MAPPED) {
    const external = holes.get(mapped.name) ?? assert.fail(mapped.name);
    await lab.waitFor(
      async () => {
        await isGranted(mapped, external);
        assert.equal((await mappingOf(lab.site(mapped.name)))?.external, external);
        return true;
      },
      { what: `${mapped.name}'s router maps its port again`, timeoutMs: LONG_MS, everyMs: 500 },
    );
  }
});

test('a mapping is given back at the end', async () => {
  await Promise.all(MAPPED.map(({ name }) => lab.site(name).stop()));
  for (const { name } of MAPPED) assert.deepEqual(await routerOf(name).mappings(), [], name);
});
