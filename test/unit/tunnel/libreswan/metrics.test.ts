/** From the kernel's SAs to what Prometheus reads of a peer of Libreswan's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerMetrics } from '#src/agent/measured.js';
import { Remotes } from '#src/agent/remotes.js';
import type { PeerItem } from '#src/model/item.js';
import { ChangeFlag } from '#src/native.js';
import { PeerExposition } from '#src/telemetry/peer-metrics.js';
import { Roster } from '#src/tunnel/libreswan/roster.js';
import { SaLedger } from '#src/tunnel/libreswan/sa-ledger.js';
import { at, gateway, keyOf, relay, siteFacts } from '../../decide/fixtures.js';
import { delta, isOwn, THEIRS } from './xfrm-delta.js';

const REQID = 5;
const PEER: PeerItem = { kind: 'peer', plane: 'direct', gateway: 'gw-2', key: keyOf(2), endpoint: at(THEIRS) };

test('driver, when the newest SA came up, and bytes that never fall: over a rekeying, and a peer that is added anew', async () => {
  const [ledger, roster, remotes] = [new SaLedger(), new Roster(), new Remotes()];
  remotes.put(gateway(2));
  const remote = remotes.get('gw-2') ?? assert.fail();
  const site = siteFacts(gateway(1), [relay(9)]);
  const exposition = new PeerExposition({ maxPeers: 1, wireguardNames: true });

  /** The next poll, and the scrape after it: the name without `corax_peer_`, and the value. */
  async function scraped(now: number, ...rows: Parameters<typeof delta>) {
    if (ledger.take(delta(...rows), isOwn, now).size > 0) roster.touch('direct', PEER.key);
    for (const update of roster.news('direct', () => [ledger.facts(REQID)])) remotes.seePeer(update, now * 1000);
    const peer = peerMetrics({ site, driver: 'libreswan', world: null }, remote, now * 1000);
    const text = Buffer.concat(await exposition.render([peer], 1, 'text')).toString('utf8');
    assert.doesNotMatch(text, /^wireguard_/m);
    assert.match(text, /^corax_peer_info\{peer="gw-2",driver="libreswan",/m);
    const value = (name: string) =>
      Number(new RegExp(`^corax_peer_${name}\\{peer="gw-2"\\} (\\S+)$`, 'm').exec(text)?.[1]);
    return ['last_handshake_timestamp_seconds', 'receive_bytes_total', 'transmit_bytes_total'].map(value);
  }

  roster.put(PEER);
  assert.deepEqual(await scraped(90), [0, 0, 0], 'no SA yet');
  assert.deepEqual(await scraped(100.5, { spi: 1, bytes: 100 }, { spi: 2, out: true, bytes: 50 }), [100.5, 100, 50]);
  const rekeyed = [
    { spi: 3, bytes: 10, addedAt: 7300 },
    { spi: 4, out: true, bytes: 5, addedAt: 7300 },
  ];
  assert.deepEqual(await scraped(7300, ...rekeyed), [7300, 110, 55]);
  const gone = [1, 3].flatMap((spi) => [
    { spi, changes: ChangeFlag.Removed },
    { spi: spi + 1, out: true, changes: ChangeFlag.Removed },
  ]);
  assert.deepEqual(await scraped(7400, ...gone), [7300, 110, 55], 'what it carried is not forgotten');
  ledger.forget(REQID);
  roster.delete('direct', PEER.key);
  remotes.dropPeer(PEER.key, 'direct');
  roster.put(PEER);
  const anew = [
    { spi: 5, bytes: 7, addedAt: 7500 },
    { spi: 6, out: true, bytes: 3, addedAt: 7500 },
  ];
  assert.deepEqual(await scraped(7500, ...anew), [7500, 117, 58]);
});
