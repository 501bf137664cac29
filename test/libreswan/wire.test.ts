/** Every command that we build, next to what libreswan's own whack of that version sends for it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openPluto, type PlutoCommand, type PlutoConnection, type PlutoEnd, plutoLayouts } from '#src/native.js';
import { FakePluto } from './fake-pluto.js';
import { commandOf, type Libreswan, libreswans } from './libreswans.js';
import { dissect } from './whack-message.js';
import { whackWords } from './whack-words.js';

const name = '192.168.1.2-203.0.113.1-10.1.0.0/24-10.0.0.0/24';
const end = (id: string, host: string | null, client: string, ikePort: number | null = null): PlutoEnd => ({
  ...{ id, host, client, ikePort },
});
const v4 = end('@192.168.1.2-10.1.0.0/24', '192.168.1.2', '10.1.0.0/24');
const v6 = end('@a', '2001:db8::1', '2001:db8:1::/48');

const connection = (changes: Partial<PlutoConnection> = {}): PlutoConnection => ({
  local: v4,
  remote: end('@192.168.2.2-10.2.0.0/24', '203.0.113.12', '10.2.0.0/24', 21_277),
  dpdDelayS: 5,
  dpdAction: 'restart',
  retransmitTimeoutS: 10,
  retransmitIntervalMs: 500,
  ifId: null,
  reqid: 1,
  ike: null,
  esp: null,
  ...changes,
});
const on = (rest: object): PlutoCommand => ({ op: 'connection', name, ...rest });

const commands: Record<string, PlutoCommand> = {
  listen: { op: 'listen' },
  rereadsecrets: { op: 'rereadsecrets' },
  status: { op: 'status' },
  showstates: { op: 'showstates' },
  trafficstatus: { op: 'trafficstatus' },
  shutdown: { op: 'shutdown' },
  delete: on({ delete: true }),
  route: on({ route: true }),
  unroute: on({ unroute: true }),
  initiate: on({ initiate: true }),
  terminate: on({ terminate: true }),
  'unroute and terminate': on({ unroute: true, terminate: true }),
  add: on({ add: connection() }),
  'an end that may be anywhere': on({ add: connection({ remote: end('@b', null, '10.2.0.0/24') }) }),
  'ourselves anywhere': on({ add: connection({ local: end('@a', null, '10.1.0.0/24') }) }),
  'ports on both ends': on({ add: connection({ local: { ...v4, ikePort: 4500 } }) }),
  'an interface of its own, the last reqid': on({ add: connection({ ifId: 2, reqid: 16_383 }) }),
  'the largest interface number': on({ add: connection({ ifId: 2 ** 31 - 1 }) }),
  proposals: on({ add: connection({ ike: 'aes_gcm256-sha2_256;modp2048', esp: 'aes_gcm256' }) }),
  'times of more than a second': on({
    add: connection({ dpdDelayS: 3600, retransmitTimeoutS: 3600, retransmitIntervalMs: 1250 }),
  }),
  'no restart': on({ add: connection({ dpdAction: 'clear' }) }),
  'the shortest times': on({ add: connection({ dpdDelayS: 1, retransmitTimeoutS: 1, retransmitIntervalMs: 1 }) }),
  IPv6: on({ add: connection({ local: v6, remote: end('@b', '2001:db8::2', '2001:db8:2::/48', 4500) }) }),
  'IPv6 from anywhere': on({ add: connection({ local: v6, remote: end('@b', null, '2001:db8:2::/48') }) }),
  'IPv4 in IPv6': on({
    add: connection({ local: { ...v4, host: '2001:db8::1' }, remote: end('@b', '2001:db8::2', '10.2.0.0/16') }),
  }),
  'all IPv4': on({ add: connection({ remote: end('@b', '203.0.113.1', '0.0.0.0/0') }) }),
  'an address as ID': on({ add: connection({ remote: end('203.0.113.1', '203.0.113.1', '10.0.0.1/32') }) }),
  'delete, add, route and initiate in one': on({ delete: true, add: connection(), route: true, initiate: true }),
  'long strings': on({
    name: 'n'.repeat(512),
    add: connection({ local: { ...v4, id: `@${'i'.repeat(200)}` }, esp: 'aes_gcm256,'.repeat(20) }),
  }),
};

function suite({ version, root }: Libreswan): void {
  // Short: a socket's path has 107 bytes.
  const folder = mkdtempSync(join(root || '/', 'tmp/corax-'));
  const path = join(folder, 'pluto.ctl');
  let fake: FakePluto;

  async function fromWhack(command: PlutoCommand): Promise<Buffer> {
    const inside = root === '' ? folder : folder.slice(root.length);
    const whack = spawn(...commandOf(root, 'whack', '--rundir', inside, ...whackWords(version, command)), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: Buffer[] = [];
    for (const stream of [whack.stdout, whack.stderr]) stream.on('data', (data: Buffer) => said.push(data));
    const [status] = await once(whack, 'close');
    assert.equal(status, 0, `whack: ${Buffer.concat(said)}`);
    return taken();
  }

  async function fromUs(command: PlutoCommand): Promise<Buffer> {
    const pluto = openPluto(path);
    assert.deepEqual(await pluto.send(version, command), { lines: [{ code: 0, text: 'noted' }] });
    pluto.close();
    return taken();
  }

  function taken(): Buffer {
    const [message, ...more] = fake.messages.splice(0);
    assert.ok(message && more.length === 0, `${more.length} connections more than one`);
    return message;
  }

  before(async () => {
    fake = await FakePluto.listen(path);
  });
  after(async () => {
    await fake.close();
    rmSync(folder, { recursive: true });
  });

  test('its version has a layout', () => assert.ok(plutoLayouts().includes(version)));

  for (const [title, command] of Object.entries(commands)) {
    test(title, async () => {
      const [theirs, ours] = [await fromWhack(command), await fromUs(command)];
      assert.deepEqual(dissect(version, ours), dissect(version, theirs));
      assert.equal(ours.length, theirs.length);
    });
  }
}

for (const libreswan of libreswans()) describe(`whack ${libreswan.version}`, () => suite(libreswan));
