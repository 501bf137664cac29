import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createStory } from '#src/agent/story.js';
import type { PublishDeed } from '#src/model/step.js';
import type { Logger } from '#src/telemetry/log.js';
import { createMetrics } from '#src/telemetry/metrics.js';
import { Heartbeat } from '#src/telemetry/server.js';

function rig() {
  const lines: string[] = [];
  const logger = {
    info: (...args: unknown[]) => lines.push(`info ${args.at(-1)}`),
    warn: (...args: unknown[]) => lines.push(`warn ${args.at(-1)}`),
    child: () => logger,
  };
  const metrics = createMetrics({ version: '9', collect: () => [] });
  return { lines, metrics, story: createStory(logger as unknown as Logger, metrics, new Heartbeat(1000)) };
}

describe('the story', () => {
  it('tells a trouble once for as long as it lasts, and again when it comes back', (t) => {
    const { lines, metrics, story } = rig();
    t.after(() => metrics.clear());
    story.overcome('audit');
    for (let times = 0; times < 3; times++) story.trouble('audit', new Error('no'));
    story.trouble('audit', new Error('another'));
    story.overcome('audit');
    story.overcome('audit');
    story.trouble('audit', new Error('another'));
    assert.deepEqual(lines, ['warn audit', 'warn audit', 'info audit: works again', 'warn audit']);
  });

  it('counts each write that failed, and tells it ever more seldom', async (t) => {
    const { lines, metrics, story } = rig();
    t.after(() => metrics.clear());
    const deed: PublishDeed = { op: 'publish', gateway: 'gw-2', nodeName: 'node-2', fields: {} };
    for (let times = 1; times <= 9; times++) story.unpublished(deed, new Error('read-only'), times);
    assert.equal(lines.length, 4, '1, 2, 4, 8');
    assert.match(await metrics.registry.metrics(), /corax_reconcile_errors_total\{stage="publish"\} 9/);
  });
});
