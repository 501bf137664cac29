/** Direct planes on demand: the first packet between two edges opens theirs, and nobody else's. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { PeerStatus } from '#src/model/status.js';
import { Lab } from '../lab.js';
import type { LabNode } from '../node.js';
import { saidOfFirstPacket } from '../traffic/direct-times.js';
import { bothOn, LONG_MS, type Pair } from './agents.js';

const ON_DEMAND = ['--direct', 'demand'];

let lab: Lab;
let edges: readonly LabNode[];
let pair: Pair;

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted' },
      { name: 'edge-b', nat: 'port-restricted' },
      { name: 'edge-c', nat: 'port-restricted' },
    ],
    relays: [{ name: 'relay-1' }],
    delays: 'proposal',
  });
  pair = { a: lab.site('edge-a'), b: lab.site('edge-b') };
  edges = [pair.a, pair.b, lab.site('edge-c')];
  await lab.relay().startAgent();
  await Promise.all(edges.map((edge) => edge.startAgent(ON_DEMAND)));
});

after(() => lab?.destroy());

async function directPeers(node: LabNode): Promise<number> {
  const { stdout } = await node.exec(['wg', 'show', 'raven-wg1', 'peers']);
  return stdout.split('\n').filter((line) => line !== '').length;
}

async function otherEdges(node: LabNode): Promise<PeerStatus[]> {
  return (await node.status()).peers.filter((peer) => edges.some(({ name }) => name === peer.node));
}

/** When the path last went direct by the agent's own log, Unix milliseconds; NaN where it did not. */
function directAt(node: LabNode): number {
  const lines = readFileSync(node.logFile, 'utf8').split('\n');
  const last = lines.findLast((line) => line.includes('"to":"direct"'));
  return last === undefined ? Number.NaN : Date.parse((JSON.parse(last) as { time: string }).time);
}

test('probes are no traffic: all stay on the relay, and say what they wait for', async () => {
  await lab.waitFor(
    async () => {
      const others = (await Promise.all(edges.map(otherEdges))).flat();
      return others.length === 6 && others.every(({ planes }) => planes.relay?.rttMs != null);
    },
    { what: 'probes between all edges are answered', timeoutMs: LONG_MS },
  );
  for (const edge of edges) {
    for (const peer of await otherEdges(edge)) {
      assert.deepEqual([peer.path, peer.state], ['relay', 'relayed']);
      assert.match(peer.reason, /no traffic/);
    }
    assert.equal(await directPeers(edge), 0);
  }
});

test('the first packet goes by the relay and opens the direct plane of its pair', async (t) => {
  const began = Date.now();
  const pings = await lab.pinger('edge-a', 'edge-b', { intervalMs: 100 });
  await bothOn(lab, pair, 'direct');
  const { sent, lost } = await pings.stop();
  t.diagnostic(saidOfFirstPacket([pair.a, pair.b].map((edge) => (directAt(edge) - began) / 1000)));
  assert.equal(lost, 0, `of ${sent} pings`);
  assert.deepEqual(await Promise.all(edges.map(directPeers)), [1, 1, 0], 'nobody else has a direct peer');
});

test('an agent that is started again keeps the path, though it knows of no traffic', async () => {
  await pair.a.restart('stop', ON_DEMAND);
  await lab.waitFor(async () => (await pair.a.peer('edge-b')).planes.relay?.rttMs != null, {
    what: 'the new agent has read the store and probes',
    timeoutMs: LONG_MS,
  });
  assert.equal((await pair.a.peer('edge-b')).path, 'direct');
  assert.deepEqual(await Promise.all(edges.map(directPeers)), [1, 1, 0]);
});
