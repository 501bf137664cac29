import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Remotes } from '#src/agent/remotes.js';
import { createStory } from '#src/agent/story.js';
import { newPath, type PathMemory } from '#src/decide/path.js';
import type { NatReport } from '#src/model/nat.js';
import type { PublishDeed } from '#src/model/step.js';
import { profileOf } from '#src/nat/profile.js';
import type { Logger } from '#src/telemetry/log.js';
import { createMetrics } from '#src/telemetry/metrics.js';
import { Heartbeat } from '#src/telemetry/server.js';
import { gateway } from '../decide/fixtures.js';
import { metricsOptions } from '../telemetry/fixtures.js';

const NO_NAT: NatReport = {
  type: null,
  mapping: null,
  filtering: null,
  underNat: null,
  publicAddress: null,
  udpBlocked: false,
  method: null,
  servers: [],
  measuredAtMs: 0,
};

function rig() {
  const lines: string[] = [];
  const logger = {
    info: (...args: unknown[]) => lines.push(`info ${args.at(-1)}`),
    warn: (...args: unknown[]) => lines.push(`warn ${args.at(-1)}`),
    child: () => logger,
  };
  const metrics = createMetrics(metricsOptions());
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

  it("tells a NAT's profile with its metrics, and takes both back with the NAT", async (t) => {
    const { lines, metrics, story } = rig();
    t.after(() => metrics.clear());
    const known = async () => (await metrics.registry.metrics()).includes('\ncorax_nat_profile_info{');
    story.natProfile(profileOf([]));
    assert.equal(await known(), true);
    story.natProfile(null);
    assert.equal(await known(), false);
    assert.deepEqual(lines, ['info NAT profile']);
  });

  it('counts tries to open a direct plane by how they end, and the time of those that open it', async (t) => {
    const { metrics, story } = rig();
    t.after(() => metrics.clear());
    const remotes = new Remotes();
    const remote = remotes.put(gateway(2, { natType: 'Symmetric NAT' }));
    const state = (more: Partial<PathMemory>): PathMemory => ({ ...newPath(0), ...more });
    const run = (...states: PathMemory[]) =>
      states.reduce((from, to) => {
        story.transition(remote, from, to);
        return to;
      });
    const punching = state({ state: 'punching', startedAt: 1000 });
    story.nat({ ...NO_NAT, type: 'Full cone NAT' });
    run(state({}), punching, state({ state: 'direct', since: 1500 }), punching, state({ failures: 1 }));
    run(state({ failures: 1 }), state({ ...punching, failures: 1 }), state({ state: 'direct', since: 1250 }));
    run(punching, state({ reason: 'waiting for the own hole' }));
    const text = await metrics.registry.metrics();
    for (const [result, count] of [
      ['direct', 2],
      ['failed', 1],
      ['given-up', 1],
    ]) {
      const labels = `local_nat="Full cone NAT",remote_nat="Symmetric NAT",result="${result}"`;
      assert.ok(text.includes(`corax_hole_punch_attempts_total{${labels}} ${count}\n`), `${result} ${count}\n${text}`);
    }
    assert.ok(text.includes('corax_time_to_direct_seconds_sum{attempt="first",driver="wireguard"} 0.5\n'));
    assert.ok(text.includes('corax_time_to_direct_seconds_sum{attempt="retry",driver="wireguard"} 0.25\n'));
  });

  it('tells when a relay last looked at its edges, and nothing once it is no relay', async (t) => {
    const { metrics, story } = rig();
    t.after(() => metrics.clear());
    const last = async () =>
      /^corax_harvest_last_timestamp_seconds (\S+)$/m.exec(await metrics.registry.metrics())?.[1];
    story.looked('direct', true);
    assert.equal(await last(), '0');
    story.looked('relay', true);
    assert.ok(Math.abs(Number(await last()) - Date.now() / 1000) < 60);
    story.looked('relay', false);
    assert.equal(await last(), '0');
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
