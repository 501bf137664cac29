import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { renderExplanation } from '#src/cli/explain.js';
import {
  editDistance,
  formatAge,
  formatBytes,
  formatLoss,
  formatRtt,
  nearest,
  printable,
  type Terminal,
  wrap,
} from '#src/cli/output.js';
import { renderPeer } from '#src/cli/peers.js';
import { isDegraded, renderStatus } from '#src/cli/status.js';
import { edgeStatus, NOW, peerStatus } from './fixtures.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CURSOR = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

const plain: Terminal = { columns: 80, color: false };

function widest(text: string): number {
  return Math.max(...text.split('\n').map((line) => stripVTControlCharacters(line).length));
}

test('status, as a person sees it', () => {
  assert.equal(
    renderStatus(edgeStatus(), plain, NOW),
    `node   edge-a, edge of gw-a
agent  corax 0.1.0, wireguard, up 2 h
NAT    Port Restricted cone NAT, mapping endpoint-independent, filtering
       address-and-port-dependent, hole 203.0.113.10:4500
store  directory, read

GATEWAY   PATH    STATE     RELAY MS  DIRECT MS  LOSS   HANDSHAKE
gw-c      relay   relayed   54.7      37.4       0 %    59 s
  both NATs are symmetric
gw-b      direct  direct    54.7      37.4       <1 %   9 s
  direct answers in 37.4 ms, relay in 54.7 ms`,
  );
});

test('status fits 80 columns, whatever names and reasons there are', () => {
  const long = edgeStatus({
    peers: [
      peerStatus({ gateway: 'g'.repeat(200), reason: 'because '.repeat(40).trim() }),
      peerStatus({ planes: { relay: { ...peerStatus().planes.relay, rttMs: 12345.6 } as never, direct: null } }),
      peerStatus({ path: null, state: 'punching', since: null, planes: { relay: null, direct: null } }),
    ],
    errors: [{ code: 'CORAX_GATEWAY', gateway: 'gw-x', message: 'it claims '.repeat(30).trim(), since: NOW - 5 }],
  });
  assert.ok(widest(renderStatus(long, plain, NOW)) <= 80);
  const colored = renderStatus(long, { columns: 80, color: true }, NOW);
  assert.ok(widest(colored) <= 80);
  assert.equal(stripVTControlCharacters(colored).replace(/ +$/gm, ''), renderStatus(long, plain, NOW));
  const wide = renderStatus(long, { columns: 160, color: false }, NOW);
  assert.ok(widest(wide) <= 160);
  assert.match(wide, /HANDSHAKE +REASON/);
});

test('what needs a look comes first', () => {
  const peers = [
    peerStatus({ gateway: 'a' }),
    peerStatus({ gateway: 'b', path: 'relay', state: 'relayed' }),
    peerStatus({ gateway: 'c', path: 'relay', state: 'punching' }),
    peerStatus({ gateway: 'd', path: null, state: 'relayed' }),
  ];
  const names = renderStatus(edgeStatus({ peers }), plain, NOW).match(/^[a-d](?= )/gm);
  assert.deepEqual(names, ['d', 'c', 'b', 'a']);
});

test('colours only when asked for', () => {
  assert.ok(!renderStatus(edgeStatus(), plain, NOW).includes('\u001b'));
  assert.ok(renderStatus(edgeStatus(), { ...plain, color: true }, NOW).includes('\u001b['));
});

test('names and reasons cannot move the cursor', () => {
  const evil = '\u001b[2Jgw\r\n\u009b\u202e';
  const status = edgeStatus({
    node: evil,
    peers: [peerStatus({ gateway: evil, node: evil, reason: evil, subnets: [evil] })],
    errors: [{ code: evil, gateway: evil, message: evil, since: null }],
    store: { kind: 'directory', synced: true, lastError: evil },
  });
  const explanation = { gateway: evil, facts: [[evil, evil] as [string, string]], reason: evil, wouldChange: [evil] };
  const texts = [
    renderStatus(status, plain, NOW),
    renderPeer(status.peers[0] ?? assert.fail(), plain, NOW),
    renderExplanation(explanation, plain),
  ];
  for (const text of texts) assert.ok(!CURSOR.test(text), JSON.stringify(text));
  assert.equal(printable('plain ä 🐦'), 'plain ä 🐦');
});

test('before anything is known', () => {
  const text = renderStatus(
    edgeStatus({
      gateway: null,
      role: null,
      peers: [],
      nat: { type: null, mapping: null, filtering: null, hole: null },
      store: { kind: 'directory', synced: false, lastError: 'no such folder' },
    }),
    plain,
    NOW,
  );
  assert.match(text, /node {3}edge-a, no role yet of no gateway/);
  assert.match(text, /NAT {4}not known yet/);
  assert.match(text, /store {2}directory, not read yet, no such folder/);
  assert.match(text, /no gateways read yet$/);
});

test('one peer in full', () => {
  assert.equal(
    renderPeer(peerStatus(), plain, NOW),
    `gw-b (edge-b)
  subnets  10.244.2.0/24
  path     direct, direct for 60 s
  reason   direct answers in 37.4 ms, relay in 54.7 ms
  relay    203.0.113.1:4500, rtt 54.7 ms, loss 0 %, handshake 59 s, rx 1 B, tx 1
           B
  direct   203.0.113.20:4500, rtt 37.4 ms, loss <1 %, handshake 9 s, rx 2.0 KiB,
           tx 1 B`,
  );
});

test('an explanation, in order', () => {
  const text = renderExplanation(
    {
      gateway: 'gw-b',
      facts: [
        ['own NAT', 'Symmetric NAT'],
        ['remote NAT', 'Symmetric NAT'],
        ['rule', 'two symmetric NATs cannot reach each other'],
      ],
      reason: 'both NATs are symmetric',
      wouldChange: ['another NAT at either end'],
    },
    plain,
  );
  assert.equal(
    text,
    `gw-b
  own NAT     Symmetric NAT
  remote NAT  Symmetric NAT
  rule        two symmetric NATs cannot reach each other

so: both NATs are symmetric

what would change it:
  - another NAT at either end`,
  );
});

test('degraded: errors, a gateway without a path, a store that was never read', () => {
  assert.equal(isDegraded(edgeStatus()), false);
  assert.equal(isDegraded(edgeStatus({ peers: [peerStatus({ path: null })] })), true);
  assert.equal(
    isDegraded(edgeStatus({ errors: [{ code: 'CORAX_NFT', gateway: null, message: 'x', since: null }] })),
    true,
  );
  assert.equal(isDegraded(edgeStatus({ store: { kind: 'directory', synced: false, lastError: null } })), true);
});

test('values', () => {
  const ages: Array<[number | null, string]> = [
    [null, '–'],
    [0, 'never'],
    [NOW + 5, '0 s'],
    [NOW - 119, '119 s'],
    [NOW - 120, '2 min'],
    [NOW - 7200, '2 h'],
    [NOW - 172_800, '2 d'],
  ];
  for (const [time, text] of ages) assert.equal(formatAge(time, NOW), text);
  assert.deepEqual(
    [formatRtt(null), formatRtt(0.04), formatRtt(999.94), formatRtt(1234.5)],
    ['–', '0.0', '999.9', '1235'],
  );
  assert.deepEqual(
    [formatLoss(null), formatLoss(0), formatLoss(0.001), formatLoss(0.01), formatLoss(1)],
    ['–', '0 %', '<1 %', '1 %', '100 %'],
  );
  assert.deepEqual(
    [formatBytes(null), formatBytes(0), formatBytes(1023), formatBytes(1536), formatBytes(2 ** 50)],
    ['–', '0 B', '1023 B', '1.5 KiB', '1024.0 TiB'],
  );
  assert.equal(wrap('a bb ccc dddd', 6, '  '), 'a bb\n  ccc\n  dddd');
});

test('the names that may have been meant', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.deepEqual(nearest('gw-shangai', ['gw-berlin', 'gw-shanghai', 'gw-a'], 1), ['gw-shanghai']);
});
