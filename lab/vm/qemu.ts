/** One QEMU process: software emulation, the host's root over 9p, three virtio ports to talk over. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoraxError } from '#src/errors.js';
import { exited, isAlive, lineSplitter, spawnBound } from '../process.js';
import { GUEST_OWN, PORTS } from './guest-init.js';
import type { Kernel } from './kernel.js';

export interface MachineOptions {
  readonly kernel: Kernel;
  readonly initramfs: string;
  /** Shell script that the guest runs, at a host's path. */
  readonly job: string;
  /** Writable folder, at the same path in the guest. */
  readonly shared?: string;
  /** Folders that the job reads, wherever they are. */
  readonly needs: readonly string[];
  readonly memoryMb: number;
  /** Time in the guest counts instructions, 2 ns each, on one processor: the same work takes the same time. */
  readonly countInstructions: boolean;
  /** A user-mode network card: the host's loopback is 10.0.2.2 in the guest (facts/lanes.md). */
  readonly network?: { readonly forwards?: readonly string[] };
  readonly onLine: (line: string, stream: 'stdout' | 'stderr') => void;
}

const DIRECTORY_PREFIX = 'corax-vm-';

/** A private folder for sockets and the job; those of dead owners are removed on the way. */
export function machineDirectory(): string {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${DIRECTORY_PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  return mkdtempSync(join(tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`));
}

/** QEMU's and the kernel's command lines know no quoting that both understand. */
function plainPath(path: string): string {
  if (/^[\w./@+~-]+$/.test(path)) return path;
  throw new CoraxError('CORAX_LAB', `The micro-VM cannot use the path "${path}": letters, digits and ./@+~_- only`);
}

/** Below a file system that the guest has of its own. */
function isHidden(path: string): boolean {
  return GUEST_OWN.some((own) => path.startsWith(`${own}/`));
}

export class Machine {
  readonly #options: MachineOptions;
  readonly #directory: string;
  readonly #servers: Server[] = [];
  readonly #sockets = new Map<string, Socket>();
  #console: string[] = [];
  #process: ChildProcess | null = null;
  #greet: () => void = () => {};
  /** Exit code that the guest reported. */
  #code: number | null = null;
  #streams: Promise<void>[] = [];

  constructor(directory: string, options: MachineOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  /** The last lines of the serial console. */
  get consoleTail(): string {
    const panic = this.#console.findIndex((line) => line.includes('Kernel panic'));
    return this.#console
      .slice(Math.max(0, panic - 15), panic === -1 ? undefined : panic + 1)
      .slice(-25)
      .join('\n');
  }

  /** Resolves when the guest says hello; false when QEMU ended or took too long. */
  async boot(timeoutMs: number): Promise<boolean> {
    const greeted = new Promise<boolean>((resolve) => {
      this.#greet = () => resolve(true);
    });
    const { onLine } = this.#options;
    await this.#listen('out', (line) => onLine(line, 'stdout'));
    await this.#listen('err', (line) => onLine(line, 'stderr'));
    await this.#listen('control', (line) => this.#control(line));
    await this.#listen('tty', null);
    const child = spawnBound(this.#command(), { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    const keep = lineSplitter((line) => {
      this.#console = [...this.#console.slice(-200), line];
    });
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => {
        this.#console.push(`no sign of life from the guest within ${timeoutMs / 1000} s`);
        resolve(false);
      }, timeoutMs);
    });
    const ended = new Promise<boolean>((resolve) => {
      child.once('error', (error) => {
        this.#console.push(String(error));
        resolve(false);
      });
      child.once('exit', () => resolve(false));
    });
    const booted = await Promise.race([greeted, late, ended]);
    clearTimeout(timer);
    return booted;
  }

  /** Waits for the power to go off; null when the guest ended without an exit code. */
  async ended(): Promise<number | null> {
    if (this.#process) await exited(this.#process);
    await Promise.all(this.#streams);
    return this.#code;
  }

  /** The guest's /dev/hvc0. */
  get terminal(): Socket | null {
    return this.#sockets.get('tty') ?? null;
  }

  /** Switches the machine off, at once. Safe in signal handlers. */
  kill(): void {
    this.#process?.kill('SIGKILL');
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets.values()) socket.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #control(line: string): void {
    if (line === 'hello') this.#greet();
    const code = /^exit (\d+)$/.exec(line)?.[1];
    if (code !== undefined) this.#code = Number(code);
  }

  #listen(name: string, onLine: ((line: string) => void) | null): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.set(name, socket);
      socket.on('error', () => {});
      if (onLine === null) return;
      const split = lineSplitter(onLine);
      socket.on('data', split);
      this.#streams.push(
        new Promise((resolve) => {
          socket.once('close', () => {
            split(null);
            resolve();
          });
        }),
      );
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(join(this.#directory, name), () => resolve());
    });
  }

  #command(): string[] {
    const { kernel, initramfs, job, shared, needs, memoryMb, countInstructions, network } = this.#options;
    const chardev = (name: string): string[] => ['-chardev', `socket,id=${name},path=${join(this.#directory, name)}`];
    const port = (name: keyof typeof PORTS, id: string): string[] => [
      ...chardev(id),
      '-device',
      `virtserialport,chardev=${id},name=${PORTS[name]}`,
    ];
    const virtfs = (path: string, tag: string, how: string): string[] => [
      '-virtfs',
      `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${how}`,
    ];
    const words = [
      'console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0 no_timer_check',
      `corax.job=${plainPath(job)} corax.modules=${plainPath(kernel.modules)}`,
      ...(shared ? [`corax.shared=${plainPath(shared)}`] : []),
      ...needs.filter(isHidden).map((path) => `corax.see=${plainPath(path)}`),
      ...(network ? ['corax.net=1'] : []),
      ...(countInstructions ? ['tsc=reliable'] : []),
    ];
    // While the guest has nothing to do its time leaps to the next timer, so that waiting costs nothing either.
    const clock = countInstructions
      ? ['-accel', 'tcg,thread=single', '-icount', 'shift=1,sleep=off', '-smp', '1']
      : ['-accel', 'tcg,thread=multi', '-smp', '2'];
    const forwards = (network?.forwards ?? []).map((forward) => `,hostfwd=${forward}`).join('');
    return [
      ...['qemu-system-x86_64', ...clock, '-cpu', 'max', '-m', String(memoryMb)],
      ...['-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio', '-monitor', 'none'],
      ...['-kernel', kernel.image, '-initrd', initramfs, '-append', words.join(' ')],
      ...virtfs('/', 'host0', ',readonly=on'),
      ...(shared ? virtfs(shared, 'shared', '') : []),
      ...['-device', 'virtio-serial-pci'],
      ...port('out', 'out'),
      ...port('err', 'err'),
      ...port('control', 'control'),
      ...chardev('tty'),
      ...['-device', 'virtconsole,chardev=tty'],
      ...['-device', 'virtio-rng-pci'],
      ...(network ? ['-netdev', `user,id=n0${forwards}`, '-device', 'virtio-net-pci,netdev=n0'] : []),
    ];
  }
}

/** Whether QEMU is there at all. */
export function haveQemu(): boolean {
  try {
    execFileSync('qemu-system-x86_64', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
