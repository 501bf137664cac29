/** A whole agent, started on a node where nothing stands: how long until all of its tunnels and routes are in force. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { DEVICES, TABLES } from '#src/model/names.js';
import type { Engine } from '#src/native.js';
import { run, spawnBound, stopProcess } from '../../lab/process.js';
import { edgeName, edgeObject, RELAY, relayObject } from '../agent/gateways.js';
import { millisecondsSince } from './contender.js';

const UNDERLAY = 'bench-u';
const PATIENCE_MS = 15 * 60 * 1000;
/** How much of the processor, which there is one of, looking may take. */
const LOOKING = 1 / 20;

export async function agentStart(engine: Engine, edges: number, times: number): Promise<number[]> {
  const folder = mkdtempSync(join(tmpdir(), 'corax-bench-start-'));
  await run(['ip', 'link', 'add', UNDERLAY, 'type', 'dummy']);
  try {
    await run(['ip', 'address', 'add', `${RELAY.address}/24`, 'dev', UNDERLAY]);
    await run(['ip', 'link', 'set', UNDERLAY, 'up']);
    await run(['ip', 'route', 'add', 'default', 'via', '203.0.113.254', 'dev', UNDERLAY, 'metric', '1']);
    const taken: number[] = [];
    for (let time = 0; time < times; time++) taken.push(await startOnce(engine, edges, join(folder, String(time))));
    return taken;
  } finally {
    await run(['ip', 'link', 'delete', UNDERLAY]);
    rmSync(folder, { recursive: true });
  }
}

async function startOnce(engine: Engine, edges: number, folder: string): Promise<number> {
  const gateways = join(folder, 'gateways');
  mkdirSync(gateways, { recursive: true });
  writeFileSync(join(folder, 'psk'), 'corax bench', { mode: 0o600 });
  writeFileSync(join(gateways, 'relay.yaml'), stringify(relayObject(null)));
  for (let index = 0; index < edges; index++) {
    writeFileSync(join(gateways, `${edgeName(index)}.yaml`), stringify(edgeObject(index)));
  }
  await engine.wgDestroy(DEVICES.relay);
  const command = [process.execPath, 'dist/main.js', 'agent', '--node', RELAY.node, '--gateways', gateways];
  command.push('--state-dir', folder, '--socket', join(folder, 'socket'), '--psk-file', join(folder, 'psk'));
  command.push('--metrics-addr', 'off', '--health-addr', 'off');
  await delay(1_000);
  const start = process.hrtime.bigint();
  const agent = spawnBound(command, { stdio: ['ignore', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  agent.stderr?.on('data', (data: Buffer) => errors.push(data));
  try {
    for (;;) {
      const asked = process.hrtime.bigint();
      if (await stands(engine, edges)) return millisecondsSince(start);
      if (agent.exitCode !== null || millisecondsSince(start) > PATIENCE_MS) {
        throw new Error(`the agent did not get there: ${Buffer.concat(errors).toString('utf8').slice(-500)}`);
      }
      await delay(Math.max(20, millisecondsSince(asked) / LOOKING));
    }
  } finally {
    await stopProcess(agent, 60_000);
    await run([...command, '--cleanup'], { allowFailure: true });
  }
}

async function stands(engine: Engine, edges: number): Promise<boolean> {
  const links = readFileSync('/proc/net/dev', 'utf8');
  if (!links.includes(`${DEVICES.relay}:`)) return false;
  if ((await engine.wgSnapshot(DEVICES.relay)).count < edges) return false;
  return (await engine.routes(TABLES.path)).count >= edges;
}
