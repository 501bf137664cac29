/** A pluto whose messages nobody knows: its own whack does the same work, and a person is told. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CarryItem, PeerItem } from '#src/model/item.js';
import { connectionsOf, establish } from '#src/tunnel/libreswan/connections.js';
import { PlutoClient, refusalIn } from '#src/tunnel/libreswan/pluto-client.js';
import { type LivePluto, startPluto } from '../../lab/libreswan/live-pluto.js';
import { at, ip, keyOf, prefix } from '../unit/decide/fixtures.js';

const ADDRESS = '192.0.2.1';
const PEER: PeerItem = {
  kind: 'peer',
  plane: 'relay',
  gateway: 'gw-2',
  key: keyOf(2),
  endpoint: at('203.0.113.1'),
  ipsec: {
    host: ip(ADDRESS),
    localName: ip(ADDRESS),
    remoteName: ip('203.0.113.1'),
    subnets: [prefix('10.1.0.0/24')],
    ifId: 4500,
    local: 'own',
    remote: 'any',
    initiates: false,
    fixedPort: true,
  },
};
const CARRY: CarryItem = { kind: 'carry', plane: 'relay', prefix: prefix('10.2.0.0/24'), peer: keyOf(2) };

let live: LivePluto;

before(async () => {
  live = await startPluto(ADDRESS);
});

after(() => live?.stop());

/** What pluto says of its connections, but for what it counts. */
async function listed(): Promise<string[]> {
  const { lines } = await live.pluto.send(live.version, { op: 'status' });
  return lines
    .map(({ text }) => text)
    .filter((text) => text.startsWith('"') && !/conn serial|newest/.test(text))
    .sort();
}

test('by whack and by the socket, the connection is the same', async () => {
  const [connection] = connectionsOf([PEER], [CARRY]).values();
  assert.ok(connection);
  // This kernel may have no XFRM interfaces.
  const message = establish(connection, 7);
  assert.ok(message.op === 'connection' && message.add);
  const command = { ...message, add: { ...message.add, ifId: null } };
  const seen: string[][] = [];
  for (const layouts of [undefined, []]) {
    const client = new PlutoClient(live.files.socket, live.program, layouts);
    await client.greet();
    assert.equal(client.warning === null, layouts === undefined);
    assert.equal(refusalIn(await client.send(command)), null);
    seen.push(await listed());
    assert.equal(refusalIn(await client.send({ op: 'connection', name: connection.name, delete: true })), null);
    assert.deepEqual(await listed(), [], 'and it is deleted');
    client.close();
  }
  assert.ok((seen[0]?.length ?? 0) > 5);
  assert.deepEqual(seen[1], seen[0]);
});

test('what pluto refuses is told in its own words', async () => {
  const client = new PlutoClient(live.files.socket, live.program, []);
  await assert.rejects(client.send({ op: 'status' }), /pluto does not answer/, 'before it was asked who it is');
  await client.greet();
  assert.match(client.warning ?? '', /the control messages of pluto [\d.]+ are not known/);
  client.close();
});
