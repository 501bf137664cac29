/**
 * Where a lab may be built: in the micro-VM, or on the host's kernel in namespaces (mount, network, process)
 * of its own. Both end with their last process, whatever kills it, so nothing can be left behind.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoraxError } from '#src/errors.js';
import type { DriverName } from '#src/model/names.js';
import { offerPorts } from './host-ports.js';
import { HOST_ADDRESS } from './net/host-access.js';
import { compileNetsetup } from './net/netsetup.js';
import { exited, lineSplitter, run, shellQuote, spawnBound } from './process.js';
import { runInVm } from './vm/run.js';

export type Lane = 'host' | 'vm';

/** Beside this file once built. */
const PORTS_PROGRAM = join(dirname(fileURLToPath(import.meta.url)), 'host-ports.js');

/** Set in the environment of what runs inside; its value is the lane. */
export const INSIDE = 'CORAX_LAB_INSIDE';

/** Labs' working folders; a tmpfs of the setting's own. */
export const LAB_DIRECTORY = '/run/corax-lab';

/** What a lab asks of a kernel, tried in network namespaces of their own; exit code 0 = all there. */
const TRIAL = `
modprobe -q -a wireguard sch_netem nf_conntrack_netlink 2>/dev/null || :
ip link add wg0 type wireguard && ip link add a0 type veth peer name b0 &&
tc qdisc add dev a0 root netem delay 1ms &&
echo 'table ip t { chain c { type nat hook postrouting priority 100; masquerade; }; }' | nft -f -
`;

/** And what Libreswan takes beside. */
const IPSEC_TRIAL = `
modprobe -q -a esp4 xfrm_interface gcm 2>/dev/null || :
ip link add x0 type xfrm if_id 1 &&
ip xfrm state add src 127.0.0.1 dst 127.0.0.1 proto esp spi 1 mode tunnel aead 'rfc4106(gcm(aes))' 0x${'00'.repeat(20)} 128
`;

/** CORAX_LAB=vm|host decides; else the host where its kernel has all that it takes. */
export async function chooseLane(driver: DriverName = 'wireguard'): Promise<Lane> {
  const wish = process.env.CORAX_LAB ?? '';
  if (wish === 'vm' || wish === 'host') return wish;
  if (wish !== '') throw new CoraxError('CORAX_LAB', `CORAX_LAB is "${wish}"; it may be vm or host`);
  if (process.getuid?.() !== 0) return 'vm';
  const script = driver === 'libreswan' ? `(${TRIAL}) && (${IPSEC_TRIAL})` : TRIAL;
  const trial = await run(['unshare', '--net', 'sh', '-c', script], { allowFailure: true });
  return trial.code === 0 ? 'host' : 'vm';
}

export interface InsideOptions {
  readonly lane: Lane;
  readonly env?: Readonly<Record<string, string>>;
  /** Writable, at the same path inside. */
  readonly shared?: string;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void;
  readonly progress?: (line: string) => void;
  /** TCP ports of the host's loopback that are reached inside, at HOST_ADDRESS. */
  readonly hostPorts?: readonly number[];
  /** The command reads this process's standard input (in the micro-VM only through openShell). */
  readonly terminal?: boolean;
}

/** Runs a command where a lab may be built; resolves to its exit code. */
export async function runInside(command: readonly string[], options: InsideOptions): Promise<number> {
  const env = { ...options.env, [INSIDE]: options.lane };
  await compileNetsetup(options.progress ?? (() => {}));
  if (options.lane === 'vm')
    return runInVm(command, { ...options, env, ...(options.hostPorts ? { network: {} } : {}) });
  return runOnHost(command, options, env);
}

async function runOnHost(
  command: readonly string[],
  options: InsideOptions,
  env: Readonly<Record<string, string>>,
): Promise<number> {
  if (process.getuid?.() !== 0) {
    throw new CoraxError('CORAX_LAB', 'The lab makes network namespaces and has to be run as root (or CORAX_LAB=vm)');
  }
  // sh is the first process of the new process namespace; when it ends the kernel ends all others.
  // A shell gives what it runs in the background no input, hence the detour over 3.
  const mounts = ['/run/netns', LAB_DIRECTORY].map((path) => `mkdir -p ${path} && mount -t tmpfs tmpfs ${path} && `);
  const ports = await bridgePorts(options.hostPorts ?? []);
  const script = `${mounts.join('')}ip link set lo up || exit 125; ${ports.script}exec 3<&0; "$@" <&3 3<&- & wait $!`;
  const unshare = ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation'];
  const child = spawnBound([...unshare, 'private', 'sh', '-c', script, 'sh', ...command], {
    // Else a test runner inside takes itself for a part of the one outside.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
    ...(options.cwd ? { cwd: options.cwd } : {}),
    stdio: [options.terminal ? 'inherit' : 'ignore', 'pipe', 'pipe'],
  });
  const out = lineSplitter((line) => options.onLine(line, 'stdout'));
  const err = lineSplitter((line) => options.onLine(line, 'stderr'));
  child.stdout?.on('data', out).on('end', () => out(null));
  child.stderr?.on('data', err).on('end', () => err(null));
  let late = false;
  const timer = options.timeoutMs
    ? setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
      }, options.timeoutMs)
    : undefined;
  const handlers = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((signal) => {
    const handler = (): void => {
      child.kill('SIGKILL');
      ports.close();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    };
    process.once(signal, handler);
    return () => process.removeListener(signal, handler);
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const code = await exited(child);
  await closed;
  clearTimeout(timer);
  ports.close();
  for (const remove of handlers) remove();
  if (late) throw new CoraxError('CORAX_LAB', `The command was not done after ${(options.timeoutMs ?? 0) / 1000} s`);
  return code ?? 1;
}

/** Shell words that bring the host's ports inside, and the end of it. */
async function bridgePorts(ports: readonly number[]): Promise<{ readonly script: string; close(): void }> {
  if (ports.length === 0) return { script: '', close: () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'corax-ports-'));
  const servers = await offerPorts(folder, ports);
  const program = [process.execPath, PORTS_PROGRAM, folder, ...ports.map(String)].map(shellQuote).join(' ');
  const close = (): void => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { script: `ip address add ${HOST_ADDRESS}/32 dev lo; ${program} & `, close };
}

/** Throws unless this process runs where a lab may be built: it removes every network namespace that it finds. */
export function requireInside(): Lane {
  const lane = process.env[INSIDE];
  if (lane === 'host' || lane === 'vm') return lane;
  throw new CoraxError(
    'CORAX_LAB',
    'Labs are built in a setting of their own; start this through "corax lab" or "npm test"',
  );
}

/** A shell for a person, on the terminal (host) or the guest's console (vm); without one it reads standard input. */
export async function openShell(lane: Lane): Promise<void> {
  if (lane === 'vm') {
    const script = 'exec setsid --ctty --wait bash -i </dev/hvc0 >/dev/hvc0 2>&1';
    await exited(spawn('sh', ['-c', script], { stdio: 'ignore' }));
    return;
  }
  if (!process.stdin.isTTY) {
    await exited(spawn('bash', [], { stdio: 'inherit' }));
    return;
  }
  const terminal = openSync('/dev/tty', 'r+');
  await exited(spawn('bash', ['-i'], { stdio: [terminal, terminal, terminal] }));
  closeSync(terminal);
}
