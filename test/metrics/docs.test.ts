/** docs/metrics.md lists what there is, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createControllerMetrics } from '#src/controller/metrics.js';
import { createMetrics } from '#src/telemetry/metrics.js';
import { fullPeer, metricsOptions } from '../unit/telemetry/fixtures.js';

test('docs/metrics.md names every metric and label of ours, and no other', async (t) => {
  const peer = { ...fullPeer('gw-b', 1), relayUp: true };
  const metrics = createMetrics(metricsOptions({ peers: () => ({ count: 1, each: [peer] }) }));
  t.after(() => metrics.clear());
  const state = { leads: true, idle: false, gateways: 1, nodes: 1, refused: 0, waiting: 0 };
  const controller = createControllerMetrics('9', () => state);
  t.after(() => controller.clear());
  controller.writes.inc({ result: 'written' });
  const pieces = [...(await metrics.render('text')), ...(await controller.render('text'))];
  const text = Buffer.concat(pieces).toString('utf8');
  const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const families = [...text.matchAll(/^# TYPE (corax_\w+) /gm)].map(([, name]) => name ?? '');
  const listed = [...page.matchAll(/^\| `(corax_\w+)` +\|/gm)].map(([, name]) => name ?? '');
  assert.deepEqual(listed.sort(), [...new Set(families)].sort());
  for (const [, name, labels] of text.matchAll(/^(corax_\w+?)(?:_bucket|_sum|_count)?\{(.*)\} /gm)) {
    const line = page.split('\n').find((row) => row.startsWith(`| \`${name}\``)) ?? assert.fail(name);
    for (const [, label] of (labels ?? '').matchAll(/(?:^|,)(\w+)="/g)) {
      if (label !== 'peer' && label !== 'le') assert.ok(line.includes(`\`${label}\``), `${name} ${label}`);
    }
  }
});
