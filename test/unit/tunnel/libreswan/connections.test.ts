import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CarryItem, IpsecPart, PeerItem } from '#src/model/item.js';
import type { Plane } from '#src/model/names.js';
import { connectionsOf, establish, plutoConnection, sameConnection } from '#src/tunnel/libreswan/connections.js';
import { at, ip, keyOf, prefix } from '../../decide/fixtures.js';

const PART: IpsecPart = {
  host: ip('192.168.1.2'),
  localName: ip('192.168.1.2'),
  remoteName: ip('203.0.113.1'),
  subnets: [prefix('10.1.0.0/24')],
  ifId: 4500,
  local: 'own',
  remote: 'carried',
  initiates: true,
  fixedPort: false,
};

function peer(number: number, part: Partial<IpsecPart> = {}, plane: Plane = 'relay'): PeerItem {
  const ipsec = { ...PART, ...part };
  return { kind: 'peer', plane, gateway: `gw-${number}`, key: keyOf(number), endpoint: at('203.0.113.1'), ipsec };
}

function carries(number: number, plane: Plane, ...prefixes: string[]): CarryItem[] {
  return prefixes.map((text) => ({ kind: 'carry', plane, prefix: prefix(text), peer: keyOf(number) }));
}

const names = (peers: PeerItem[], items: CarryItem[]) => [...connectionsOf(peers, items).keys()].sort();

test('which connections follow from peers and what they carry', () => {
  const two = ['10.1.0.0/24', '10.9.0.0/24'].map(prefix);
  const edge = (number: number, name: string, local: IpsecPart['local']) =>
    peer(number, { local, remoteName: ip(name), initiates: false, localName: ip('203.0.113.1') });
  const cases: Array<[what: string, peers: PeerItem[], carries: CarryItem[], names: string[]]> = [
    ['nobody', [], [], []],
    ['a peer that carries nothing', [peer(1)], [], []],
    [
      'a pair of subnets each',
      [peer(1, { subnets: two })],
      carries(1, 'relay', '10.2.0.0/24', '10.3.0.0/24'),
      [
        '192.168.1.2-203.0.113.1-10.1.0.0/24-10.2.0.0/24',
        '192.168.1.2-203.0.113.1-10.1.0.0/24-10.3.0.0/24',
        '192.168.1.2-203.0.113.1-10.9.0.0/24-10.2.0.0/24',
        '192.168.1.2-203.0.113.1-10.9.0.0/24-10.3.0.0/24',
      ],
    ],
    [
      'to a central relay one an own subnet, whatever it carries',
      [peer(1, { remote: 'any', subnets: two })],
      carries(1, 'relay', '10.2.0.0/24', '10.3.0.0/24'),
      ['192.168.1.2-203.0.113.1-10.1.0.0/24-0.0.0.0/0', '192.168.1.2-203.0.113.1-10.9.0.0/24-0.0.0.0/0'],
    ],
    [
      'a central relay: one for each subnet of an edge',
      [edge(1, '192.168.1.2', 'any'), edge(2, '192.168.2.2', 'any')],
      [...carries(1, 'relay', '10.1.0.0/24'), ...carries(2, 'relay', '10.2.0.0/24')],
      ['203.0.113.1-192.168.1.2-0.0.0.0/0-10.1.0.0/24', '203.0.113.1-192.168.2.2-0.0.0.0/0-10.2.0.0/24'],
    ],
    [
      "a central relay to raven's edge: its own and each other edge's",
      [edge(1, '192.168.3.2', 'edges'), edge(2, '192.168.2.2', 'any'), peer(3, { remoteName: ip('203.0.113.3') })],
      [
        ...carries(1, 'relay', '10.3.0.0/24'),
        ...carries(2, 'relay', '10.2.0.0/24'),
        ...carries(3, 'relay', '10.4.0.0/24'),
      ],
      [
        '192.168.1.2-203.0.113.3-10.1.0.0/24-10.4.0.0/24',
        '203.0.113.1-192.168.2.2-0.0.0.0/0-10.2.0.0/24',
        '203.0.113.1-192.168.3.2-10.1.0.0/24-10.3.0.0/24',
        '203.0.113.1-192.168.3.2-10.2.0.0/24-10.3.0.0/24',
      ],
    ],
    [
      'families do not mix',
      [peer(1, { remote: 'any', subnets: [prefix('10.1.0.0/24'), prefix('fd00:1::/64')] })],
      carries(1, 'relay', '10.2.0.0/24', 'fd00:2::/64'),
      ['192.168.1.2-203.0.113.1-10.1.0.0/24-0.0.0.0/0', '192.168.1.2-203.0.113.1-fd00:1::/64-::/0'],
    ],
    ['who begins waits for where to', [{ ...peer(1), endpoint: null }], carries(1, 'relay', '10.2.0.0/24'), []],
    [
      "WireGuard's peers are none",
      [{ ...peer(1), ipsec: undefined } as unknown as PeerItem],
      carries(1, 'relay', '10.2.0.0/24'),
      [],
    ],
  ];
  for (const [what, peers, items, expected] of cases) assert.deepEqual(names(peers, items), expected, what);
});

test('without an interface a connection has no if_id, and is another than the one with', () => {
  const items = carries(1, 'relay', '10.2.0.0/24');
  const [bare] = connectionsOf([peer(1, { ifId: null })], items).values();
  const [bound] = connectionsOf([peer(1)], items).values();
  assert.ok(bare && bound);
  assert.deepEqual([plutoConnection(bare, 7).ifId, plutoConnection(bound, 7).ifId], [null, 4500]);
  assert.equal(bare.name, bound.name);
  assert.ok(!sameConnection(bare, bound), 'it is made anew where the kernel has them, or has lost them');
});

test('who begins says where to, and only it; the other takes whoever has the ID', () => {
  const items = carries(1, 'direct', '10.2.0.0/24');
  const [begins] = connectionsOf(
    [{ ...peer(1, { ifId: 4501 }, 'direct'), endpoint: at('198.51.100.7', 31_320) }],
    items,
  ).values();
  const [waits] = connectionsOf([peer(1, { initiates: false, fixedPort: true }, 'direct')], items).values();
  assert.ok(begins && waits);
  assert.ok(!sameConnection(begins, waits) && sameConnection(begins, { ...begins }));

  const one = plutoConnection(begins, 7);
  assert.deepEqual(one.remote, {
    id: '@203.0.113.1-10.2.0.0/24-10.1.0.0/24',
    host: '198.51.100.7',
    ikePort: 31_320,
    client: '10.2.0.0/24',
  });
  assert.deepEqual([one.local.ikePort, one.dpdAction, one.ifId, one.reqid], [null, 'restart', 4501, 7]);
  assert.match(one.ike ?? '', /dh19/);
  const message = establish(begins, 7);
  assert.ok(message.op === 'connection' && message.delete && message.route && message.initiate);

  const other = plutoConnection(waits, 8);
  assert.deepEqual([other.remote.host, other.remote.ikePort, other.local.ikePort], [null, null, 4500]);
  assert.deepEqual([other.dpdAction, other.ike, other.esp], ['clear', null, null], 'raven is answered too');
  const answer = establish(waits, 8);
  assert.ok(answer.op === 'connection' && answer.delete && !answer.route && !answer.initiate);
});
