/** What a Prometheus that scrapes agents in the lab makes of what happens there: values, panels, rules, alerts. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '../lab/run-files.js';
import { type Prometheus, panelQueries, type Sample } from './prometheus.js';
import { promtool } from './promtool.js';

export const NODES = ['edge-a', 'edge-b', 'relay-1'];
const EDGES = NODES.slice(0, 2);
/** An agent in emulation takes its time to answer. */
export const EVERY_S = 3;
const SEEN_MS = 200_000;
/** Panels that have something to show only when something is wrong, or was; each is looked at then. */
const QUIET = /^(?:Alerts|Store) /;

type Board = 'fleet' | 'gateway';

export class Watcher {
  readonly #prometheus: Prometheus;
  readonly #told: string[] = [];
  /** Unix seconds at which the lab was last sent on. */
  #sentOn = Date.now() / 1000;
  #gateways: Readonly<Record<string, string>> = {};

  constructor(prometheus: Prometheus) {
    this.#prometheus = prometheus;
  }

  /** What the lab asks for; resolves to what is worth telling. */
  async see(what: string): Promise<string> {
    const sights: Readonly<Record<string, () => Promise<void>>> = {
      relayed: () => this.#relayed(),
      direct: () => this.#direct(),
      cut: () => this.#cut(),
      lost: () => this.#lost(),
      back: () => this.#quiet(),
      'agent-gone': () => this.#gone(),
      'agent-back': () => this.#quiet(),
    };
    this.#told.length = 0;
    await (sights[what] ?? assert.fail(what))();
    this.#sentOn = Date.now() / 1000;
    return this.#told.join('\n');
  }

  async #relayed(): Promise<void> {
    await this.#until('every agent is scraped', async () => {
      assert.equal((await this.#prometheus.query('up == 1')).length, NODES.length);
      const info = await this.#prometheus.query('corax_node_info{gateway!=""}');
      assert.equal(info.length, NODES.length);
      this.#gateways = Object.fromEntries(info.map(({ labels }) => [labels.instance ?? '', labels.gateway ?? '']));
    });
    await this.#until('both edges are on the relay', () => this.#onPath('relay'));
    // What rises before it was first scraped is no increase to Prometheus.
    await this.#until('tries by the NATs that there are have been scraped', async () => {
      const known = 'result="direct",local_nat!="unknown",remote_nat!="unknown"';
      const tries = await this.#prometheus.query(`corax_hole_punch_attempts_total{${known}}`);
      assert.deepEqual(new Set(tries.map(({ labels }) => labels.instance)), new Set(EDGES));
    });
    await this.#quiet();
  }

  async #direct(): Promise<void> {
    const asked = Date.now() / 1000;
    await this.#until('both edges are direct', () => this.#onPath('direct'));
    for (const edge of EDGES) {
      const since = await this.#since(edge, 'direct');
      assert.ok(since > this.#sentOn - EVERY_S && since < asked + 5 * EVERY_S, `direct since ${since}, asked ${asked}`);
    }
    await this.#until('what went with it', async () => {
      for (const edge of EDGES) {
        const [relay, direct] = [await this.#rtt(edge, 'relay'), await this.#rtt(edge, 'direct')];
        assert.ok(direct < relay, `${direct} < ${relay}`);
        assert.ok((await this.#one(`sum(corax_path_transitions_total{instance="${edge}",to="direct"})`)) >= 1);
        assert.ok((await this.#one(`sum(corax_time_to_direct_seconds_count{instance="${edge}"})`)) >= 1);
        const opened = `sum(corax_hole_punch_attempts_total{instance="${edge}",result="direct"})`;
        assert.ok((await this.#one(opened)) >= 1);
        assert.equal(await this.#one(`corax:peers_direct:ratio{instance="${edge}"}`), 1 / 2, 'the relay is no edge');
      }
      assert.ok((await this.#one('corax_harvest_changes_total{instance="relay-1"}')) >= 3, 'two came, one moved');
    });
    await this.#until('a handshake was seen on the wire', async () => {
      const shakes = await this.#prometheus.query('corax_peer_handshake_rtt_seconds');
      assert.ok(shakes.length > 0);
      for (const { labels, value } of shakes) this.#tell(`handshake of ${labels.instance} with ${labels.peer}`, value);
      assert.ok((await this.#one('sum(corax_handshake_rtt_seconds_count)')) >= shakes.length);
    });
    for (const plane of ['relay', 'direct']) this.#tell(`round trip, ${plane}`, await this.#rtt('edge-a', plane));
    await this.#until('what is recorded of the node', async () => {
      const ranks = EDGES.map((edge) => this.#one(`corax:nat_type:rank{instance="${edge}"}`));
      assert.deepEqual(await Promise.all(ranks), [3, 2], "port-restricted and restricted, as the lab's NATs are");
      assert.ok((await this.#one('corax:time_to_direct_seconds:p95_1d{driver="wireguard"}')) > 0);
      // Of the two ends one begins.
      const shakes = await this.#prometheus.query('corax:handshake_rtt_seconds:p95_1h');
      assert.ok(shakes.some(({ value }) => value > 0));
    });
    for (const text of await this.#prometheus.expositions()) assert.equal(promtool(['check', 'metrics'], text), '');
    await this.#panels();
    await this.#quiet();
  }

  async #cut(): Promise<void> {
    const asked = Date.now() / 1000;
    await this.#until('both edges are on the relay again', () => this.#onPath('relay'));
    for (const edge of EDGES) {
      const since = await this.#since(edge, 'relay');
      assert.ok(
        since > this.#sentOn - EVERY_S && since < asked + 5 * EVERY_S,
        `relayed since ${since}, asked ${asked}`,
      );
      const left = await this.#one(`sum(corax_path_transitions_total{instance="${edge}",from="direct"})`);
      assert.ok(left >= 1);
      const path = `corax_peer_path{instance="${edge}",peer="${this.#other(edge)}",path="direct"}`;
      // There and back, as often as the agent says: more than once where the machine starved a probe or two meanwhile.
      const changes = await this.#one(`changes(${path}[10m])`);
      assert.ok(changes >= 2 && changes % 2 === 0 && changes <= 2 * left, `${changes} changes, left ${left} times`);
      await this.#until('it is recorded', async () => {
        const recorded = path.replace('corax_peer_path', 'corax:peer_path:changes15m');
        assert.equal(await this.#one(recorded), changes);
      });
    }
    await this.#until('the direct plane loses all', async () => {
      for (const { value } of await this.#prometheus.query('corax:peer_probe_loss:ratio_rate2m{plane="direct"}')) {
        assert.ok(value > 0.95, `${value}`);
      }
    });
  }

  async #lost(): Promise<void> {
    const alerts = ['CoraxGatewayRefused', 'CoraxPeerUnreachable', 'CoraxRelayDown', 'CoraxRelayUnreachable'];
    await this.#firing(alerts);
    const shown = await this.#prometheus.query(this.#panel('fleet', 'Alerts A'));
    for (const alert of alerts)
      assert.ok(
        shown.some(({ labels }) => labels.alertname === alert),
        alert,
      );
    assert.equal(await this.#one(this.#panel('fleet', 'Relays lost A')), EDGES.length);
  }

  async #gone(): Promise<void> {
    await this.#firing(['CoraxAgentDown', 'CoraxStoreStale']);
    const blind = await this.#prometheus.query(this.#panel('fleet', 'Store A'));
    assert.deepEqual(blind.map(({ labels }) => labels.instance).sort(), ['edge-b', 'relay-1']);
    assert.equal(await this.#one(this.#panel('fleet', 'Agents A')), NODES.length - 1);
  }

  /** Every query of every panel is answered; those that show what is well have something to show. */
  async #panels(): Promise<void> {
    for (const board of ['fleet', 'gateway'] as const) {
      const queries = this.#queries(board);
      for (const [panel, expr] of queries) {
        if (QUIET.test(panel)) await this.#prometheus.query(expr);
        else
          await this.#until(`${board}: ${panel}`, async () => assert.ok((await this.#recently(expr)).length > 0, expr));
      }
      this.#told.push(`${board}: ${queries.length} queries`);
    }
    const shown = (await this.#recently(this.#panel('gateway', 'Paths A'))).filter(
      ({ labels }) => labels.peer === this.#gateways['edge-b'],
    );
    assert.deepEqual([shown[0]?.value, shown.at(-1)?.value], [0, 1], 'the time line shows relay, then direct');
    const moved = await this.#recently(this.#panel('fleet', 'Holes that moved A'));
    assert.deepEqual(new Set(moved.map(({ labels }) => labels.instance)), new Set(['relay-1']));
    assert.equal(await this.#one(this.#panel('fleet', 'Direct A')), 1);
    assert.equal(await this.#one(this.#panel('fleet', 'Agents A')), NODES.length);
    const arrows = await this.#prometheus.query(this.#panel('fleet', 'Gateways edges'));
    const direct = arrows.filter(({ labels }) => labels.path === 'direct');
    const [a = '', b = ''] = EDGES.map((edge) => this.#gateways[edge]);
    assert.deepEqual(direct.map(({ labels }) => `${labels.source} ${labels.target}`).sort(), [
      `${a} ${b}`,
      `${b} ${a}`,
    ]);
  }

  /** As Grafana would fill in its variables for edge-a's gateway. */
  #queries(board: Board): Array<[string, string]> {
    const variables = { job: 'corax', gateway: this.#gateways['edge-a'] ?? '', peer: '.+', datasource: '' };
    const spans = { __range: '10m', __rate_interval: `${5 * EVERY_S}s` };
    return panelQueries(join(ROOT, `deploy/grafana/${board}.json`), { ...variables, ...spans });
  }

  #panel(board: Board, title: string): string {
    return (this.#queries(board).find(([panel]) => panel === title) ?? assert.fail(title))[1];
  }

  #recently(expr: string): Promise<Sample[]> {
    return this.#prometheus.range(expr, Date.now() / 1000 - 600);
  }

  async #firing(alerts: readonly string[]): Promise<void> {
    await this.#until(`${alerts.join(', ')} fire`, async () => {
      const firing = await this.#alerts();
      for (const alert of alerts) assert.ok(firing.includes(alert), `${firing}`);
    });
    this.#told.push(`fire: ${(await this.#alerts()).join(', ')}`);
  }

  /** No alert fires, and every rule can be evaluated. */
  async #quiet(): Promise<void> {
    await this.#until('no alert fires', async () => assert.deepEqual(await this.#alerts(), []));
    assert.deepEqual(await this.#prometheus.brokenRules(), []);
  }

  async #alerts(): Promise<string[]> {
    const firing = await this.#prometheus.query('ALERTS{alertstate="firing"}');
    return [...new Set(firing.map(({ labels }) => labels.alertname ?? ''))].sort();
  }

  async #onPath(path: string): Promise<void> {
    for (const edge of EDGES) {
      assert.equal(await this.#one(this.#path(edge, path)), 1, `${edge} ${path}`);
      // What was scraped before the lab was sent on is not what is asked for.
      assert.ok((await this.#one(`timestamp(${this.#path(edge, path)})`)) > this.#sentOn);
    }
  }

  #path(edge: string, path: string): string {
    return `corax_peer_path{instance="${edge}",peer="${this.#other(edge)}",path="${path}"}`;
  }

  /** Unix seconds of the first sample of the latest time on the path. */
  async #since(edge: string, path: string): Promise<number> {
    const samples = await this.#recently(this.#path(edge, path));
    const off = samples.findLastIndex(({ value }) => value === 0);
    return samples[off + 1]?.at ?? assert.fail(`${edge} is not on ${path}`);
  }

  #rtt(edge: string, plane: string): Promise<number> {
    return this.#one(`corax_peer_rtt_seconds{instance="${edge}",peer="${this.#other(edge)}",plane="${plane}"}`);
  }

  /** The other edge's gateway. */
  #other(edge: string): string {
    return this.#gateways[EDGES.find((name) => name !== edge) ?? ''] ?? '';
  }

  async #one(expr: string): Promise<number> {
    const samples: Sample[] = await this.#prometheus.query(expr);
    assert.equal(samples.length, 1, `${expr} has ${samples.length} values`);
    return samples[0]?.value ?? Number.NaN;
  }

  #tell(what: string, seconds: number): void {
    this.#told.push(`${what}: ${(seconds * 1000).toFixed(1)} ms`);
  }

  async #until(what: string, holds: () => Promise<void>): Promise<void> {
    const end = Date.now() + SEEN_MS;
    for (;;) {
      try {
        return await holds();
      } catch (error) {
        if (Date.now() > end) throw new Error(`not within ${SEEN_MS / 1000} s: ${what}: ${error}`);
      }
      await pause(500);
    }
  }
}
