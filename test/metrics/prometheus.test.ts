/**
 * A real Prometheus scrapes agents in a lab (lab/metrics, in the micro-VM where need be) through relay → direct → cut →
 * relay, and a relay that is lost: what the panels' queries, the recording rules and the alerts make of it. Beside it
 * one agent's status page is open in Chromium all the time.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AGENT_PORTS, type Exit, openExit, wayTo } from '../../lab/metrics/tunnel.js';
import { HOST_ADDRESS } from '../../lab/net/host-access.js';
import { ROOT, runFiles } from '../lab/run-files.js';
import { LivePage } from './live-page.js';
import { Prometheus } from './prometheus.js';
import { EVERY_S, NODES, Watcher } from './watcher.js';

const FILES = ['scraped', 'handshake'].map((name) => ({
  source: `lab/metrics/${name}.test.ts`,
  built: `dist/lab/metrics/${name}.test.js`,
}));

let exit: Exit | undefined;
let prometheus: Prometheus | undefined;
let page: LivePage | undefined;
let control: Server | undefined;

after(async () => {
  control?.close();
  await page?.close();
  await prometheus?.stop();
  exit?.close();
});

/** The committed rules with shorter waits: what they compare stays as it is. */
function hurried(): string {
  const text = readFileSync(join(ROOT, 'deploy/prometheus/rules.yaml'), 'utf8');
  return text.replaceAll(/^( +for:) \S+$/gm, `$1 ${2 * EVERY_S}s`).replaceAll('[2m]', `[${5 * EVERY_S}s]`);
}

/** Answers the lab once both have seen what happened there. */
async function serve(watcher: Watcher, page: LivePage): Promise<number> {
  control = createServer(async (request, response) => {
    const what = request.url?.slice(1) ?? '';
    try {
      const told = await watcher.see(what);
      await page.see(what);
      response.end(told);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  }).listen(0, '127.0.0.1');
  await once(control, 'listening');
  return (control.address() as AddressInfo).port;
}

test('in the lab: agents, scraped by Prometheus and watched on the status page; handshakes and pings', async (t) => {
  exit = await openExit(NODES.flatMap((node) => Object.values(AGENT_PORTS).map((port) => wayTo(node, port))));
  const { visit, port: exitPort } = exit;
  const portOf = (node: string, port: number) => visit[wayTo(node, port)] ?? assert.fail(node);
  const targets = NODES.map((instance) => ({ instance, port: portOf(instance, AGENT_PORTS.metrics) }));
  prometheus = new Prometheus({ targets, rules: hurried(), everyS: EVERY_S });
  await prometheus.start();
  page = new LivePage(`http://127.0.0.1:${portOf('edge-a', AGENT_PORTS.health)}/`, 'gw-b');
  const port = await serve(new Watcher(prometheus), page);
  await runFiles(t, FILES, {
    env: { CORAX_METRICS_CONTROL: `http://${HOST_ADDRESS}:${port}`, CORAX_METRICS_EXIT: String(exitPort) },
    hostPorts: [port, exitPort],
  });
});
