/**
 * Agents with no more than their Pods have (deploy/base): root with NET_ADMIN and NET_RAW and no way to more, the
 * root file system and /proc/sys read-only, two folders to write to. The container runtime's seccomp profile and
 * its own /proc masks are not here.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { after, before, test } from 'node:test';
import { Lab } from '../lab.js';
import { inside } from '../net/apply.js';
import { type LabNode, MAIN } from '../node.js';
import { spawnBound, stopProcess } from '../process.js';
import { bothOn, LONG_MS } from './agents.js';

/** CAP_NET_ADMIN (12) and CAP_NET_RAW (13), as /proc/PID/status has them. */
const TWO_CAPABILITIES = (1n << 12n) | (1n << 13n);

// $1: the folder that may be written to; $2: corax itself; the rest is the agent's command line.
const CONTAINER = `
set -e
folder=$1 corax=$2
shift 2
mount --make-rprivate /
mount --bind / /mnt
mkdir -p "/mnt$folder" "/mnt$corax"
mount --bind "$folder" "/mnt$folder"
mount --bind "$corax" "/mnt$corax"
mount -t proc proc /mnt/proc
mount --bind /mnt/proc/sys /mnt/proc/sys
mount --rbind /dev /mnt/dev
for place in /mnt /mnt$corax /mnt/proc/sys; do mount -o remount,bind,ro "$place"; done
exec chroot /mnt setpriv --no-new-privs --inh-caps=-all --bounding-set=-all,+net_admin,+net_raw "$@"
`;
const CORAX = dirname(dirname(MAIN));

let lab: Lab;
const agents = new Map<LabNode, ChildProcess>();

async function start(node: LabNode): Promise<void> {
  const log = openSync(node.logFile, 'a');
  const container = ['unshare', '--mount', 'sh', '-c', CONTAINER, 'sh', lab.directory, CORAX];
  const agent = spawnBound([...inside(node.plan.namespace), ...container, ...node.agentCommand()], {
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  agents.set(node, agent);
  await lab.waitFor(
    async () => {
      if (agent.exitCode !== null) throw new Error(node.logTail());
      await node.status();
      return true;
    },
    { what: `${node.name}'s agent answers`, timeoutMs: LONG_MS },
  );
}

async function stop(node: LabNode): Promise<void> {
  const agent = agents.get(node);
  if (agent) await stopProcess(agent, 15_000);
  agents.delete(node);
}

before(async () => {
  lab = await Lab.create({
    sites: [
      { name: 'edge-a', nat: 'port-restricted' },
      { name: 'edge-b', nat: 'restricted-cone' },
    ],
    relays: [{ name: 'relay-1' }],
  });
});
after(async () => {
  for (const node of agents.keys()) await stop(node);
  await lab?.destroy();
});

test('relay and edges come up with two capabilities and a read-only file system, and go direct', async () => {
  for (const node of [...lab.relays, ...lab.sites]) await start(node);
  await bothOn(lab, { a: lab.site('edge-a'), b: lab.site('edge-b') }, 'direct');
  for (const node of lab.nodes) assert.deepEqual((await node.status()).errors, [], node.name);
});

test('they had nothing more', () => {
  for (const [node, agent] of agents) {
    const status = readFileSync(`/proc/${agent.pid}/status`, 'utf8');
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) {
      const mask = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1];
      assert.equal(BigInt(`0x${mask}`), TWO_CAPABILITIES, `${node.name} ${set}`);
    }
    assert.match(status, /^NoNewPrivs:\s*1$/m);
    const mounts = readFileSync(`/proc/${agent.pid}/mountinfo`, 'utf8').split('\n');
    const flags = (place: string) => mounts.findLast((line) => line.split(' ')[4] === place)?.split(' ')[5] ?? '';
    for (const place of ['/', CORAX, '/proc/sys']) assert.match(flags(place), /^ro\b/, `${node.name} ${place}`);
  }
});

test('forwarding and loose rp_filter are set all the same', async () => {
  for (const node of lab.nodes) {
    const read = async (key: string) => (await node.exec(['cat', `/proc/sys/net/ipv4/conf/${key}`])).stdout.trim();
    const devices = node.plan.role === 'edge' ? ['raven-wg0', 'raven-wg1'] : ['raven-wg0'];
    for (const device of devices) {
      assert.equal(await read(`${device}/rp_filter`), '2', `${node.name} ${device}`);
      assert.equal(await read(`${device}/forwarding`), '1', `${node.name} ${device}`);
    }
  }
});

test('an upgrade, SIGTERM and the next container, loses no packet', async (t) => {
  const pinger = await lab.pinger('edge-a', 'edge-b', { intervalMs: 20 });
  const edges = lab.sites;
  for (const node of [...edges, ...lab.relays]) {
    await stop(node);
    const { stdout } = await node.exec(['ip', '-brief', 'link', 'show', 'type', 'wireguard']);
    assert.match(stdout, /raven-wg0/, `${node.name} keeps its tunnels`);
    await start(node);
  }
  await bothOn(lab, { a: lab.site('edge-a'), b: lab.site('edge-b') }, 'direct');
  const result = await pinger.stop();
  t.diagnostic(`${result.sent} sent, ${result.lost} lost`);
  assert.equal(result.lost, 0);
});
