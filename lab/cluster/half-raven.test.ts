/**
 * Clusters that are half raven: mixes in which each role of one's meets each role of the other's, over underlays of 1,400
 * bytes and behind PPPoE.
 *
 *              relay-1  relay-0  edge-a  edge-a-2  edge-b  edge-b-2
 *   first      corax    raven    corax   raven     raven   corax
 *   second     raven    corax    corax   corax     raven   raven
 *
 * relay-1 is the central one, and the edges are the nodes that hold their gateway's tunnel, the others members. Two edges
 * of ours are in lab/test, two relays of ours in moves.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { footprint, LONG_MS, startAgents } from '../test/agents.js';
import { FakeRaven } from './raven.js';
import { unreached, wholePing } from './sites.js';

let lab: Lab;
const node = (name: string): LabNode => lab.site(name);
/** What stood on a node before anybody made anything. */
const bare = new Map<string, Record<string, string>>();
const ravens = new Map<string, FakeRaven>();

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'full-cone', nodes: 2, mtu: 1400 },
      { name: 'edge-b', nat: 'port-restricted', nodes: 2, uplinkMtu: 1492 },
    ],
    relays: [{ name: 'relay-0' }, { name: 'relay-1' }],
    stun: false,
  });
  for (const name of ['relay-1', 'edge-a-2', 'edge-b-2']) bare.set(name, await footprint(node(name)));
});

after(async () => {
  await lab?.destroy();
});

function raven(name: string): FakeRaven {
  const made = ravens.get(name) ?? new FakeRaven(lab, node(name));
  ravens.set(name, made);
  return made;
}

async function cleanUp(name: string): Promise<void> {
  const { stateDirectory } = node(name);
  await node(name).stop();
  await node(name).exec([...node(name).agentCommand().slice(0, 3), '--cleanup', '--state-dir', stateDirectory]);
}

async function everybodyReaches(): Promise<void> {
  for (const from of lab.nodes) {
    const others = lab.nodes.filter((other) => other !== from).map(({ plan }) => plan.podAddress);
    await lab.waitFor(
      async () => {
        const missing = await unreached(from, others);
        if (missing.length > 0) throw new Error(`no answer from ${missing.join(', ')}`);
        return true;
      },
      { what: `${from.name}'s pod reaches all others`, timeoutMs: 90_000 },
    );
  }
}

/** Runs corax, and stands in its Gateway as raven needs it: with a key and a public address. */
async function known(name: string): Promise<void> {
  const { gateway } = node(name).plan;
  await lab.waitFor(
    () => {
      const { spec } = parse(readFileSync(join(lab.gateways, `${gateway}.yaml`), 'utf8'));
      const { publicIP, config } = spec.endpoints[0];
      return Boolean(publicIP && config?.publicKey && config.corax);
    },
    { what: `${name} is known`, timeoutMs: LONG_MS },
  );
}

test('first mix: a corax relay, a corax edge with a raven member, a raven edge with a corax member', async () => {
  raven('edge-b').announce('Port Restricted cone NAT');
  raven('relay-0').announce('Undefined');
  await startAgents(['relay-1', 'edge-a', 'edge-b-2'].map(node), 3);
  await known('relay-1');
  await known('edge-a');
  for (const name of ['relay-0', 'edge-b', 'edge-a-2']) await raven(name).apply();
  await everybodyReaches();
});

test('full-size packets pass over 1,400 bytes and behind PPPoE, or get their ICMP', async () => {
  const [a, b] = ['edge-a-2', 'edge-b-2'].map(node) as [LabNode, LabNode];
  for (const [from, to, size] of [
    [a, b, 1320],
    [b, node('relay-1'), 1420],
    [b, a, 1320],
  ] as const) {
    const { code, stdout } = await wholePing(from, to.plan.podAddress, size);
    assert.equal(code, 0, `${size} from ${from.name} to ${to.name}: ${stdout}`);
  }
  const tooLong = await wholePing(a, b.plan.podAddress, 1321);
  assert.match(`${tooLong.stdout}${tooLong.stderr}`, /mtu ?= ?1320/i);
  // Through the tunnel it fits; at the far site's gateway node it does not, and its word comes back.
  const far = await wholePing(b, a.plan.podAddress, 1420);
  assert.match(`${far.stdout}${far.stderr}`, /mtu ?= ?1320/i);
});

test('a raven edge that has moved our subnets to its direct peer is met on the direct plane', async () => {
  const peer = () => node('edge-a').peer('edge-b');
  await lab.waitFor(async () => (await peer()).planes.direct !== null, {
    what: 'edge-a has a direct peer for the raven edge',
    timeoutMs: LONG_MS,
  });
  await raven('edge-b').goDirect(node('edge-a'));
  await lab.waitFor(
    async () => {
      const missing = await unreached(node('edge-b-2'), [
        node('edge-a').plan.podAddress,
        node('edge-a-2').plan.podAddress,
      ]);
      return missing.length === 0 && (await peer()).path === 'direct';
    },
    { what: 'they meet on the direct plane', timeoutMs: LONG_MS },
  );
});

test('second mix: a raven relay, a corax edge with a corax member, a raven edge with a raven member', async () => {
  for (const name of ['relay-1', 'edge-b-2']) {
    await cleanUp(name);
    assert.deepEqual(await footprint(node(name)), bare.get(name), `${name} is as it was found`);
  }
  // Not edge-a-2's: there raven-agent was killed, and what it made is taken over.
  for (const name of ['relay-0', 'edge-b']) await raven(name).remove();
  raven('relay-1').announce('Undefined');
  await startAgents(['relay-0', 'edge-a-2'].map(node));
  await known('relay-0');
  for (const name of ['relay-1', 'edge-b', 'edge-b-2']) await raven(name).apply();
  await everybodyReaches();
});

test("--cleanup takes away what was raven's too, but for its chains", async () => {
  await cleanUp('edge-a-2');
  const { 'nft list tables': tables, ...left } = await footprint(node('edge-a-2'));
  const { 'nft list tables': before, ...found } = bare.get('edge-a-2') ?? {};
  assert.deepEqual(left, found);
  assert.deepEqual(tables?.split('\n').sort(), `${before}\ntable ip raven`.split('\n').sort());
});
