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
import { isDegraded } from '#src/cli/status.js';
import { renderStatus } from '#src/cli/status-view.js';
import { edgeStatus, explanation, NOW, peerStatus } from './fixtures.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CURSOR = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

const plain: Terminal = { columns: 80, color: false };

function widest(text: string): number {
  return Math.max(...text.split('\n').map((line) => stripVTControlCharacters(line).length));
}

test('names and reasons cannot move the cursor', () => {
  const evil = '\u001b[2Jgw\r\n\u009b\u202e';
  const status = edgeStatus({
    node: evil,
    peers: [peerStatus({ gateway: evil, node: evil, reason: evil, subnets: [evil] })],
    errors: [{ code: evil, gateway: evil, message: evil, since: null }],
    store: { kind: 'directory', synced: true, lastError: evil },
  });
  const fact = { label: evil, value: evil, rule: evil, verdict: 'bad' } as const;
  const explained = explanation({
    gateway: evil,
    node: evil,
    reason: evil,
    sections: [{ title: evil, verdict: evil, facts: [fact] }],
    wouldChange: [evil],
    changes: [{ at: NOW, gateway: evil, from: 'relayed', to: 'direct', reason: evil }],
  });
  const texts = [
    renderStatus(status, plain, NOW),
    renderPeer(status.peers[0] ?? assert.fail(), plain, NOW),
    renderExplanation(explained, plain, NOW),
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
      nat: { type: null, mapping: null, filtering: null, hole: null, profile: null },
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
  relay    203.0.113.1:4500, rtt 54.7 ms, loss 0 %, handshake 59 s, rx 1 B, tx
           1 B
  direct   203.0.113.20:4500, rtt 37.4 ms, loss <1 %, handshake 9 s, rx 2.0 KiB,
           tx 1 B`,
  );
});

test('an explanation, in order', () => {
  const changes = [{ at: NOW, gateway: 'gw-b', from: 'punching', to: 'relayed', reason: 'no handshake' } as const];
  assert.equal(
    renderExplanation(explanation({ changes }), plain, NOW).replace(/\d\d-\d\d \d\d:\d\d:\d\d/, 'TIME'),
    `gw-b (edge-b)  on the relay for 5 min
  both ends are behind a Symmetric NAT

May it be direct?  no
    own NAT        Symmetric NAT
  ! rule           both ends are behind a Symmetric NAT

Relay plane  alive
  + lost in a row  0  [3 make it dead]

Direct plane  not there

What would change it
  - another NAT at either end

Latest changes
  - TIME  punching to relayed: no handshake`,
  );
});

test('an explanation fits the terminal, colours or not', () => {
  const long = explanation({
    reason: 'because '.repeat(30).trim(),
    sections: [
      {
        title: 'Who',
        verdict: null,
        facts: [
          { label: 'a'.repeat(30), value: 'word '.repeat(40).trim(), rule: 'rule '.repeat(20).trim(), verdict: 'good' },
        ],
      },
    ],
  });
  const text = renderExplanation(long, plain, NOW);
  assert.ok(widest(text) <= 80);
  const colored = renderExplanation(long, { ...plain, color: true }, NOW);
  assert.ok(colored.includes('\u001b['));
  assert.equal(stripVTControlCharacters(colored), text);
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
  assert.equal(wrap('aaaaa 5 ms bbb', 9, ' '), 'aaaaa\n 5 ms bbb', 'no line ends before a unit');
});

test('the names that may have been meant', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.deepEqual(nearest('gw-shangai', ['gw-berlin', 'gw-shanghai', 'gw-a'], 1), ['gw-shanghai']);
});
