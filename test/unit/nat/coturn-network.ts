/**
 * A node, a NAT of the kernel's nftables and coturn, each in a network namespace of its own. Needs root, iproute2,
 * nftables, conntrack and coturn.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
export const [CLIENT, NAT, SERVER] = ['client', 'nat', 'server'].map((role) => `cx-nat-${role}`) as [
  string,
  string,
  string,
];
export const [INSIDE, GATEWAY, OUTSIDE, STUN1, STUN2] = [
  '10.99.1.2',
  '10.99.1.1',
  '203.0.113.10',
  '203.0.113.1',
  '203.0.113.2',
] as const;
export const STUN = `${STUN1}:3478`;

const ip = (...args: string[]) => run('ip', args);
/** Runs a command in a namespace. */
export const inside = (namespace: string, ...args: string[]) => run('ip', ['netns', 'exec', namespace, ...args]);
/** The words that run one of this folder's programs. */
export const node = (main: string) => [
  process.execPath,
  '-C',
  'corax-source',
  '--import',
  'tsx',
  join(import.meta.dirname, main),
];

export async function buildNetwork(): Promise<void> {
  for (const namespace of [CLIENT, NAT, SERVER]) {
    await ip('netns', 'add', namespace);
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  await ip('-n', CLIENT, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'lan', 'netns', NAT);
  await ip('-n', SERVER, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'wan', 'netns', NAT);
  const addresses = [
    [CLIENT, 'eth0', INSIDE],
    [NAT, 'lan', GATEWAY],
    [NAT, 'wan', OUTSIDE],
    [SERVER, 'eth0', STUN1],
    [SERVER, 'eth0', STUN2],
  ] as const;
  for (const [namespace, device, address] of addresses) {
    await ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', device);
    await ip('-n', namespace, 'link', 'set', device, 'up');
  }
  await ip('-n', CLIENT, 'route', 'add', 'default', 'via', GATEWAY);
  // Only the case without a NAT sends from the inside address; the server must know the way back.
  await ip('-n', SERVER, 'route', 'add', '10.99.1.0/24', 'via', OUTSIDE as string);
  await inside(NAT, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
}

/** Resolves to what ends it. It is ready when it answers. */
export async function startCoturn(): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'corax-coturn-'));
  const addresses = ['-L', STUN1, '-L', STUN2, '-p', '3478', '--alt-listening-port=3479'];
  const quiet = ['--no-tls', '--no-dtls', '--no-cli', '--no-auth', '--log-file=stdout', '--simple-log'];
  const files = [`--pidfile=${join(folder, 'pid')}`, `--userdb=${join(folder, 'db')}`];
  const turn = ['ip', 'netns', 'exec', SERVER, 'turnserver', '-n', '-S', ...addresses, ...quiet, ...files];
  // It dies with this process, however that ends.
  const turnserver: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', ...turn], { stdio: 'ignore' });
  return async () => {
    if (turnserver.exitCode === null) {
      const ended = new Promise((done) => turnserver.once('exit', done));
      turnserver.kill('SIGKILL');
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
}

/** A whole ruleset in place of the one before, and nothing of what that one mapped: its ports would come again. */
export async function load(rules: string, namespace: string = NAT): Promise<void> {
  await inside(namespace, 'nft', 'flush', 'ruleset');
  await inside(namespace, 'conntrack', '--flush');
  if (rules === '') return;
  const nft = spawn('ip', ['netns', 'exec', namespace, 'nft', '-f', '-'], { stdio: ['pipe', 'inherit', 'inherit'] });
  const ended = new Promise((done) => nft.once('exit', done));
  nft.stdin.end(rules);
  assert.equal(await ended, 0, 'nft took the rules');
}

export interface Ran {
  readonly stdout: string;
  readonly code: number;
}

/** Asks coturn, from behind the NAT. */
export async function runNetcheck(...words: string[]): Promise<Ran> {
  return inside(CLIENT, ...words, '--stun', STUN).then(
    (result) => ({ ...result, code: 0 }),
    (error: Ran) => error,
  );
}

export async function netcheckReport<T>(): Promise<{ report: T; code: number }> {
  const { stdout, code } = await runNetcheck(...node('netcheck-main.ts'), '--json');
  return { report: JSON.parse(stdout) as T, code };
}

/** coturn answers; the first retransmissions wait for it. */
export async function untilAnswered(): Promise<void> {
  for (let tries = 0; tries < 20; tries += 1) {
    const result = await netcheckReport<{ publicAddress: unknown }>().catch(() => null);
    if (result?.report.publicAddress) return;
  }
  assert.fail('coturn does not answer');
}
