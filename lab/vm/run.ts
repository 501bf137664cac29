/** Runs one command inside the micro-VM, over the machine's own root file system. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CoraxError } from '#src/errors.js';
import { shellQuote } from '../process.js';
import { findInitramfs } from './initramfs.js';
import { findKernel } from './kernel.js';
import { haveQemu, Machine, machineDirectory } from './qemu.js';
import { bridgeTerminal, CONSOLE_CLOSED, CONSOLE_OPEN } from './terminal.js';

export interface VmOptions {
  /** Added to PATH, HOME, LANG, TERM and every CORAX_* variable of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** A folder that the guest may write to, at the same path; everything else that it writes is lost. */
  readonly shared?: string;
  /** Defaults to this process's. */
  readonly cwd?: string;
  readonly onLine?: (line: string, stream: 'stdout' | 'stderr') => void;
  /** What goes on before the command runs: downloads, booting. */
  readonly progress?: (line: string) => void;
  /** For the command, counted from the end of booting. */
  readonly timeoutMs?: number;
  readonly memoryMb?: number;
  /** Time in the guest counts instructions: what is measured does not depend on how busy the host is. */
  readonly countInstructions?: boolean;
  /** User-mode network; forwards as QEMU writes them: "tcp:127.0.0.1:8080-:80". */
  readonly network?: { readonly forwards?: readonly string[] };
}

const BOOT_TIMEOUT_MS = 240_000;
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Lets `command` name an absolute program or one in PATH. Resolves to its exit code. */
export async function runInVm(command: readonly string[], options: VmOptions = {}): Promise<number> {
  const progress = options.progress ?? (() => {});
  if (!haveQemu()) throw new CoraxError('CORAX_LAB', 'qemu-system-x86 is not installed; run "npm run setup"');
  const kernel = await findKernel(progress);
  const initramfs = await findInitramfs(kernel);

  for (let attempt = 1; ; attempt += 1) {
    const directory = machineDirectory();
    const job = join(directory, 'job');
    writeFileSync(job, jobScript(command, options));
    let machine: Machine | null = null;
    let detach: (() => void) | null = null;
    const onLine = (line: string, stream: 'stdout' | 'stderr'): void => {
      if (line === CONSOLE_OPEN) detach = bridgeTerminal(machine?.terminal ?? null);
      else if (line === CONSOLE_CLOSED) detach?.();
      else options.onLine?.(line, stream);
    };
    machine = new Machine(directory, {
      kernel,
      initramfs,
      job,
      needs: [resolve(options.cwd ?? process.cwd()), kernel.modules],
      memoryMb: options.memoryMb ?? 3072,
      countInstructions: options.countInstructions ?? false,
      onLine,
      ...(options.shared ? { shared: resolve(options.shared) } : {}),
      ...(options.network ? { network: options.network } : {}),
    });
    const running = machine;
    const handlers = Object.entries(SIGNALS).map(([signal, code]) => {
      const handler = (): void => {
        detach?.();
        running.kill();
        process.exit(code);
      };
      process.once(signal, handler);
      return () => process.removeListener(signal, handler);
    });
    try {
      progress(`booting Linux ${kernel.version} in the micro-VM`);
      if (await machine.boot(BOOT_TIMEOUT_MS)) return await finish(machine, options.timeoutMs);
      const tail = machine.consoleTail;
      if (attempt === 2) {
        throw new CoraxError('CORAX_LAB', `The micro-VM did not boot in two tries. The end of its console:\n${tail}`);
      }
      progress(`the micro-VM did not boot, once more (${tail.split('\n').at(-1)})`);
    } finally {
      (detach as (() => void) | null)?.();
      machine.kill();
      for (const remove of handlers) remove();
    }
  }
}

async function finish(machine: Machine, timeoutMs: number | undefined): Promise<number> {
  let timer: NodeJS.Timeout | undefined;
  let late = false;
  if (timeoutMs !== undefined) {
    timer = setTimeout(() => {
      late = true;
      machine.kill();
    }, timeoutMs);
  }
  const code = await machine.ended();
  clearTimeout(timer);
  if (late)
    throw new CoraxError('CORAX_LAB', `The command in the micro-VM was not done after ${(timeoutMs ?? 0) / 1000} s`);
  if (code === null) {
    throw new CoraxError('CORAX_LAB', `The micro-VM died. The end of its console:\n${machine.consoleTail}`);
  }
  return code;
}

/** The guest inherits nothing: directory, environment and command are spelled out. */
function jobScript(command: readonly string[], options: VmOptions): string {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) {
    const passed = ['PATH', 'HOME', 'LANG', 'TERM'].includes(name) || name.startsWith('CORAX_');
    if (passed && value !== undefined) env[name] = value;
  }
  Object.assign(env, { XDG_CACHE_HOME: process.env.XDG_CACHE_HOME ?? '' }, options.env);
  const lines = Object.entries(env)
    .filter(([name]) => /^\w+$/.test(name))
    .map(([name, value]) => `export ${name}=${shellQuote(value)}`);
  lines.push(`cd ${shellQuote(options.cwd ?? process.cwd())} || exit 125`, `exec ${command.map(shellQuote).join(' ')}`);
  return `${lines.join('\n')}\n`;
}
