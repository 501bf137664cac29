/**
 * Clusters that are half raven, with IPsec. Two mixes, in which relay and edge of the one meet those of the other:
 *
 *              relay-1  edge-a  edge-b
 *   first      corax    corax   raven
 *   second     raven    corax   raven
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { unreached } from '../cluster/sites.js';
import { Lab } from '../lab.js';
import { LONG_MS, startAgents } from '../test/agents.js';
import { FakePlutoRaven } from './raven.js';

let lab: Lab;
let edge: FakePlutoRaven;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'full-cone' },
      { name: 'edge-b', nat: 'port-restricted' },
    ],
    relays: [{ name: 'relay-1' }],
    stun: false,
    driver: 'libreswan',
  });
  edge = new FakePlutoRaven(lab, lab.site('edge-b'));
});

after(() => lab?.destroy());

async function everybodyReaches(): Promise<void> {
  for (const from of lab.nodes) {
    const others = lab.nodes.filter((other) => other !== from).map(({ plan }) => plan.podAddress);
    await lab.waitFor(
      async () => {
        const missing = await unreached(from, others);
        if (missing.length > 0) throw new Error(`no answer from ${missing.join(', ')}`);
        return true;
      },
      { what: `${from.name}'s pod reaches all others`, timeoutMs: LONG_MS },
    );
  }
}

test('first mix: a corax relay between a corax edge and a raven edge', async () => {
  edge.announce('Port Restricted cone NAT');
  await startAgents([lab.relay(), lab.site('edge-a')]);
  await edge.apply();
  await everybodyReaches();
  assert.equal((await lab.site('edge-a').peer('edge-b')).path, 'relay');
});

test('second mix: a raven relay between them', async () => {
  const relay = lab.relay();
  await relay.stop();
  await relay.exec([...relay.agentCommand().slice(0, 3), '--cleanup', '--state-dir', relay.stateDirectory]);
  const raven = new FakePlutoRaven(lab, relay);
  raven.announce('Undefined');
  await raven.apply();
  await edge.apply();
  await everybodyReaches();
});
