/** Nodes' own addresses are carried by the tunnels when asked for (--forward-node-ip), and not otherwise. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { LONG_MS } from '../test/agents.js';
import { unreached } from './sites.js';

let lab: Lab;
const node = (name: string): LabNode => lab.site(name);
const FLAG = '--forward-node-ip';

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted', nodes: 2 },
      { name: 'edge-b', nat: 'restricted-cone' },
    ],
    relays: [{ name: 'relay-1' }],
    stun: false,
  });
  // What a ping reaches answers it: else a firewall would do for "not reached".
  for (const name of ['edge-a', 'edge-a-2', 'edge-b']) await node(name).admitPings(true);
  await Promise.all(lab.nodes.map((each) => each.startAgent([FLAG])));
});

after(async () => {
  await lab?.destroy();
});

async function reaches(from: LabNode, addresses: readonly string[]): Promise<void> {
  await lab.waitFor(
    async () => {
      const missing = await unreached(from, addresses);
      if (missing.length > 0) throw new Error(`no answer from ${missing.join(', ')}`);
      return true;
    },
    { what: `${from.name}'s pod reaches ${addresses.join(', ')}`, timeoutMs: LONG_MS },
  );
}

const addressesOf = (...names: string[]) => names.map((name) => node(name).plan.privateAddress);
const podsOf = (...names: string[]) => names.map((name) => node(name).plan.podAddress);
const path = async (name: string) => (await node(name).exec(['ip', 'route', 'show', 'table', '9028'])).stdout;

test('asked for, nodes are reached too: gateway nodes and members, from both sides', async () => {
  await reaches(node('edge-b'), [...addressesOf('edge-a', 'edge-a-2'), ...podsOf('edge-a', 'edge-a-2', 'relay-1')]);
  await reaches(node('edge-a-2'), [...addressesOf('edge-b'), ...podsOf('edge-b')]);
  const ping = ['ping', '-n', '-c', '1', '-W', '3', ...addressesOf('edge-b')];
  assert.equal((await node('edge-a-2').exec(ping, { allowFailure: true })).code, 0, 'from host to host');
});

test('an address that tunnels are reached by is carried by none', async () => {
  const way = async (to: string) => (await node('edge-b').exec(['ip', 'route', 'get', to])).stdout;
  for (const address of addressesOf('edge-a', 'edge-a-2')) assert.match(await way(address), / dev raven-wg[01] /);
  assert.match(await way(node('relay-1').plan.publicAddress), / dev wan /);
});

test('an agent that is not asked takes the routes away: pods are reached and nodes are not', async () => {
  await node('edge-b').restart('stop');
  await lab.waitFor(async () => !/192\.168\./.test(await path('edge-b')), {
    what: "no node's address is left in the table",
    timeoutMs: LONG_MS,
  });
  await reaches(node('edge-b'), podsOf('edge-a', 'edge-a-2', 'relay-1'));
  const nodes = addressesOf('edge-a', 'edge-a-2');
  assert.deepEqual((await unreached(node('edge-b'), nodes)).sort(), nodes);
});
