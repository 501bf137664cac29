/** What an agent with Libreswan tells Prometheus, held to its status and to the kernel's SAs. */
import assert from 'node:assert/strict';
import type { LabNode } from '../node.js';
import type { Pair } from '../test/agents.js';
import { addedAt } from './sas.js';

const FETCH = 'fetch(process.argv[1]).then(async (page) => console.log(await page.text()))';

/** Every sample of the node's exposition by its name and labels. */
export async function seriesOf(node: LabNode): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await node.exec([process.execPath, '-e', FETCH, 'http://127.0.0.1:10265/metrics']);
  const lines = stdout.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

/** Of a pair that is direct, with both planes alive. A handshake is when the newest SA came up. */
export async function checkMetrics({ a, b }: Pair): Promise<void> {
  const { gateway } = b.plan;
  const series = await seriesOf(a);
  const of = (name: string, labels = '') =>
    series.get(`corax_peer_${name}{peer="${gateway}"${labels}}`) ?? assert.fail(`no ${name} with ${labels}`);
  const infos = [...series.keys()].filter((name) => name.startsWith(`corax_peer_info{peer="${gateway}",`));
  assert.match(infos.join(), /,driver="libreswan",/);
  assert.deepEqual([of('path', ',path="direct"'), of('path', ',path="relay"')], [1, 0]);
  for (const plane of ['relay', 'direct'] as const) {
    assert.ok(of('rtt_seconds', `,plane="${plane}"`) > 0);
    assert.ok(of('probes_sent_total', `,plane="${plane}"`) > of('probes_lost_total', `,plane="${plane}"`));
  }
  assert.ok(of('receive_bytes_total') > 0 && of('transmit_bytes_total') > 0);
  const handshake = of('last_handshake_timestamp_seconds');
  const newest = Math.max(...(await addedAt(a, 'direct')));
  assert.ok(handshake >= newest && handshake <= newest + 1, `${handshake}, and the kernel says ${newest}`);
  assert.ok((series.get('corax_time_to_direct_seconds_count{attempt="first",driver="libreswan"}') ?? 0) >= 1);
}
