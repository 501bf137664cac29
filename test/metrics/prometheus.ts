/** Debian's Prometheus for one test: its own folder, a free port, what it is to scrape, and its query API. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  /** Unix seconds. */
  readonly at: number;
  readonly value: number;
}

export interface Target {
  readonly instance: string;
  readonly port: number;
}

export interface Settings {
  readonly targets: readonly Target[];
  /** The text of a rules file. */
  readonly rules: string;
  readonly everyS: number;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export class Prometheus {
  readonly #folder = mkdtempSync(join(tmpdir(), 'corax-prometheus-'));
  readonly #settings: Settings;
  #process: ChildProcess | null = null;
  #url = '';

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  async start(): Promise<void> {
    const { targets, rules, everyS } = this.#settings;
    writeFileSync(join(this.#folder, 'rules.yaml'), rules);
    const every = `${everyS}s`;
    const config = {
      global: { scrape_interval: every, scrape_timeout: every, evaluation_interval: every },
      rule_files: ['rules.yaml'],
      scrape_configs: [
        {
          job_name: 'corax',
          static_configs: targets.map(({ instance, port }) => ({
            targets: [`127.0.0.1:${port}`],
            labels: { instance },
          })),
        },
      ],
    };
    const file = join(this.#folder, 'prometheus.yml');
    writeFileSync(file, stringify(config));
    const port = await freePort();
    this.#url = `http://127.0.0.1:${port}`;
    const flags = [`--config.file=${file}`, `--storage.tsdb.path=${join(this.#folder, 'data')}`];
    flags.push(`--web.listen-address=127.0.0.1:${port}`, '--log.level=warn');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'prometheus', ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    for (;;) {
      assert.equal(child.exitCode, null, `prometheus ended:\n${said}`);
      const ready = await fetch(`${this.#url}/-/ready`).catch(() => null);
      if (ready?.ok) return;
      await pause(100);
    }
  }

  async stop(): Promise<void> {
    const child = this.#process;
    if (child !== null && child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** One value a series, now or at that time. */
  async query(expr: string, at?: number): Promise<Sample[]> {
    const time = at === undefined ? '' : `&time=${at}`;
    const { result } = await this.#get<{ result: Vector[] }>(`query?query=${encodeURIComponent(expr)}${time}`);
    return result.map(({ metric, value: [when, value] }) => ({ labels: metric, at: when, value: Number(value) }));
  }

  /** Every value of every series since that time. */
  async range(expr: string, from: number): Promise<Sample[]> {
    const asked = `query_range?query=${encodeURIComponent(expr)}&start=${from}&end=${Date.now() / 1000}&step=${this.#settings.everyS}`;
    const { result } = await this.#get<{ result: Matrix[] }>(asked);
    return result.flatMap(({ metric, values }) =>
      values.map(([when, value]) => ({ labels: metric, at: when, value: Number(value) })),
    );
  }

  /** What each target says to who asks for no form. */
  async expositions(): Promise<string[]> {
    const ask = async ({ port }: Target) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Promise.all(this.#settings.targets.map(ask));
  }

  /** Rules that could not be evaluated, and why. */
  async brokenRules(): Promise<string[]> {
    const { groups } = await this.#get<{ groups: Array<{ rules: EvaluatedRule[] }> }>('rules');
    const rules = groups.flatMap((group) => group.rules);
    assert.ok(rules.length > 0);
    return rules.flatMap(({ name, health, lastError }) =>
      health === 'ok' ? [] : `${name}: ${health} ${lastError ?? ''}`,
    );
  }

  async #get<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}`);
    const body = (await response.json()) as { status: string; error?: string; data: T };
    assert.equal(body.status, 'success', `${decodeURIComponent(path)}: ${body.error}`);
    return body.data;
  }
}

interface Vector {
  readonly metric: Record<string, string>;
  readonly value: [number, string];
}

interface EvaluatedRule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

interface Matrix {
  readonly metric: Record<string, string>;
  readonly values: [number, string][];
}

/** The expressions of every panel of a committed dashboard, with its variables filled in. */
export function panelQueries(file: string, variables: Readonly<Record<string, string>>): Array<[string, string]> {
  const board = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: Array<{ title: string; targets?: Array<{ refId: string; expr: string }> }>;
  };
  return board.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ refId, expr }): [string, string] => [
      `${title} ${refId}`,
      expr.replaceAll(
        /\$([a-z_]+)/g,
        (_, name: string) => variables[name] ?? assert.fail(`no variable ${name} in ${title}`),
      ),
    ]),
  );
}
