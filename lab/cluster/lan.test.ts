/** Two edges behind one NAT that lets nobody back in from inside: they meet on their LAN. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import { bothOn, LONG_MS, peersOf, startAgents } from '../test/agents.js';

let lab: Lab;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'symmetric' },
      { name: 'edge-b', nat: 'symmetric', behind: 'edge-a' },
    ],
    relays: [{ name: 'relay-1' }],
    stun: false,
  });
  await startAgents(lab.nodes);
});

after(async () => {
  await lab?.destroy();
});

test('they go direct by their private addresses, and by the relay when the LAN is cut', async () => {
  const pair = { a: lab.site('edge-a'), b: lab.site('edge-b') };
  await bothOn(lab, pair, 'direct', LONG_MS);
  const endpoints = (await peersOf(pair)).map(({ planes }) => planes.direct?.endpoint);
  assert.deepEqual(
    endpoints,
    [pair.b, pair.a].map(({ plan }) => `${plan.privateAddress}:4500`),
  );
  const drop = `table ip cut {\n  chain input { type filter hook input priority -50; ip saddr ${pair.b.plan.privateAddress} drop; }\n}\n`;
  await pair.a.exec(['nft', '-f', '-'], { input: drop });
  await bothOn(lab, pair, 'relay', LONG_MS);
});
