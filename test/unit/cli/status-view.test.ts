import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import type { Terminal } from '#src/cli/output.js';
import { isDegraded } from '#src/cli/status.js';
import { renderStatus } from '#src/cli/status-view.js';
import type { PeerStatus } from '#src/model/status.js';
import { byUrgency, type Urgency, urgencyOf } from '#src/model/urgency.js';
import { edgeStatus, NOW, peerStatus } from './fixtures.js';

const plain: Terminal = { columns: 80, color: false };
const { relay, direct } = peerStatus().planes;
const silent = { ...(relay ?? assert.fail()), alive: false, rttMs: null, loss: 1 };
const unheard = { ...(relay ?? assert.fail()), alive: null, rttMs: null, loss: null };

function widest(text: string): number {
  return Math.max(...text.split('\n').map((line) => stripVTControlCharacters(line).length));
}

test('status, as a person sees it on 80 columns', () => {
  assert.equal(
    renderStatus(edgeStatus(), plain, NOW),
    `node   edge-a, edge of gw-a
agent  corax 0.1.0, wireguard, up 2 h
NAT    Port Restricted cone NAT, mapping endpoint-independent, filtering
       address-and-port-dependent, hole 203.0.113.10:4500
store  directory, read
paths  2 gateways: 1 on the relay, 1 direct

  GATEWAY     PATH                 RELAY     DIRECT   LOSS  HANDSHAKE    SINCE
  gw-c        relay              54.7 ms    37.4 ms    0 %       59 s     60 s
    both NATs are symmetric
  gw-b        direct             54.7 ms    37.4 ms   <1 %        9 s     60 s
    direct answers in 37.4 ms, relay in 54.7 ms`,
  );
});

test('what should be known though nothing is wrong', () => {
  const remarked = edgeStatus({ remarks: ['one plane'] });
  assert.equal(renderStatus(remarked, plain, NOW).split('\n')[4], 'note   one plane');
  assert.equal(isDegraded(remarked), isDegraded(edgeStatus()));
});

test('how the NAT gives out ports, where it is known', () => {
  const profile = {
    samples: 16,
    assignment: 'sequential' as const,
    step: 1,
    between: 2,
    ports: { first: 10_240, last: 10_303 },
    block: true,
    pooling: 'arbitrary' as const,
    addresses: ['203.0.113.10', '203.0.113.11'],
    lifetime: { livedS: 30, goneS: 45 },
  };
  const { nat } = edgeStatus();
  const wide = { ...plain, columns: 400 };
  const shown = (changes: Partial<typeof profile> | object) =>
    renderStatus(edgeStatus({ nat: { ...nat, profile: { ...profile, ...changes } } }), wide, NOW).split('\n')[3];
  assert.equal(
    shown({}),
    'ports  sequential, step 1, up to 2 of others between two of ours, in a block of about 64 ports (10240–10303); ' +
      'arbitrary: mappings have 2 public addresses (203.0.113.10, 203.0.113.11); ' +
      'idle mappings live more than 30 s and less than 45 s',
  );
  const kept = { assignment: 'port-preserving', step: null, between: null, ports: null, pooling: 'paired' };
  assert.equal(shown({ ...kept, lifetime: null }), 'ports  port-preserving');
  assert.equal(
    shown({ ...kept, lifetime: { livedS: 600, goneS: null } }),
    'ports  port-preserving; idle mappings live more than 600 s',
  );
  assert.match(shown({ ...kept, lifetime: { livedS: null, goneS: 20 } }) ?? '', /; idle mappings live less than 20 s$/);
  assert.match(
    shown({ assignment: null, samples: 1, pooling: 'paired', lifetime: null }) ?? '',
    /unknown: 1 mapping tells/,
  );
});

const long = edgeStatus({
  store: { kind: 'directory', synced: true, lastError: 'cannot be read '.repeat(12).trim() },
  peers: [
    peerStatus({ gateway: 'g'.repeat(200), reason: 'because '.repeat(40).trim() }),
    peerStatus({ planes: { relay: { ...silent, rttMs: 12345.6 }, direct: null } }),
    peerStatus({ path: null, state: 'punching', since: null, planes: { relay: null, direct: null } }),
  ],
  errors: [{ code: 'CORAX_GATEWAY', gateway: 'gw-x', message: 'it claims '.repeat(30).trim(), since: NOW - 5 }],
});

for (const columns of [60, 80, 120, 200]) {
  test(`it fits ${columns} columns, whatever names and reasons there are`, () => {
    const text = renderStatus(long, { columns, color: false }, NOW);
    assert.ok(widest(text) <= columns, text);
    assert.equal(text.match(/because/g)?.length, 40, 'the reason is wrapped, not cut');
    const colored = renderStatus(long, { columns, color: true }, NOW);
    assert.equal(stripVTControlCharacters(colored).replace(/ +$/gm, ''), text);
  });
}

test('more room, more columns; the reason comes into the line where it fits', () => {
  const heading = (columns: number) =>
    (/^ {2}GATEWAY.*$/m.exec(renderStatus(edgeStatus(), { columns, color: false }, NOW))?.[0] ?? '').trim().split(/ +/);
  assert.deepEqual(heading(60), ['GATEWAY', 'PATH', 'RELAY', 'DIRECT', 'LOSS']);
  assert.deepEqual(heading(80), ['GATEWAY', 'PATH', 'RELAY', 'DIRECT', 'LOSS', 'HANDSHAKE', 'SINCE']);
  assert.deepEqual(heading(120), ['GATEWAY', 'PATH', 'RELAY', 'DIRECT', 'LOSS', 'SINCE', 'WHY']);
  assert.deepEqual(heading(200).sort(), [
    'DIRECT',
    'ENDPOINT',
    'GATEWAY',
    'HANDSHAKE',
    'LOSS',
    'NODE',
    'PATH',
    'RELAY',
    'SINCE',
    'WHY',
  ]);
});

/** name, changes, urgency, the mark before its name */
const judged: Array<[string, Partial<PeerStatus>, Urgency, string]> = [
  ['a', { path: null, planes: { relay: null, direct: null } }, 'silent', '!'],
  ['b', { path: 'relay', state: 'relayed', planes: { relay: silent, direct: null } }, 'silent', '!'],
  ['c', { path: 'direct', planes: { relay, direct: silent } }, 'silent', '!'],
  ['d', { path: 'relay', state: 'punching' }, 'punching', '~'],
  ['e', { path: 'relay', state: 'relayed' }, 'relayed', '-'],
  [
    'f',
    { path: 'relay', state: 'relayed', mayBeDirect: null, planes: { relay: unheard, direct: null } },
    'waiting',
    '?',
  ],
  ['g', { path: 'relay', state: 'relayed', mayBeDirect: false }, 'well', ' '],
  ['h', { path: 'relay', state: 'relayed', mayBeDirect: null }, 'well', ' '],
  ['i', { planes: { relay: silent, direct } }, 'well', ' '],
  ['j', {}, 'well', ' '],
];

test('what needs a look comes first, and has a mark', () => {
  const peers = judged.map(([gateway, changes]) => peerStatus({ gateway, ...changes }));
  assert.deepEqual(
    peers.map(urgencyOf),
    judged.map(([, , urgency]) => urgency),
  );
  const text = renderStatus(edgeStatus({ peers: [...peers].reverse() }), plain, NOW);
  assert.deepEqual(
    text.match(/^[!~?\- ] [a-j](?= )/gm),
    judged.map(([name, , , mark]) => `${mark} ${name}`),
  );
  assert.match(
    text.replace(/\n {7}/g, ' '),
    /^paths {2}10 gateways: 3 do not answer, 1 is punching, 1 relayed that may be direct, 1 has not answered yet, 2 on the relay, 2 direct$/m,
  );
});

test('the order is total: every shuffle of the peers comes out the same', () => {
  const peers = judged.map(([gateway, changes]) => peerStatus({ gateway, ...changes }));
  for (let turn = 0; turn < peers.length; turn += 1) {
    const turned = [...peers.slice(turn), ...peers.slice(0, turn)];
    assert.deepEqual(
      turned.sort(byUrgency).map(({ gateway }) => gateway),
      judged.map(([name]) => name),
    );
  }
});

test('colours only when asked for', () => {
  assert.ok(!renderStatus(edgeStatus(), plain, NOW).includes('\u001b'));
  assert.ok(renderStatus(edgeStatus(), { ...plain, color: true }, NOW).includes('\u001b['));
});
