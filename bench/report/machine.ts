/** On what it was measured. */
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { run } from '../../lab/process.js';
import { ROOT } from '../root.js';

export interface Machine {
  readonly commit: string;
  readonly processor: string;
  readonly memoryGiB: number;
  readonly kernel: string;
  /** The micro-VM's. */
  readonly guestKernel: string;
  readonly distribution: string;
  readonly node: string;
  readonly qemu: string;
  readonly versions: Readonly<Record<string, string>>;
}

export async function describeMachine(
  guestKernel: string,
  versions: Readonly<Record<string, string>>,
): Promise<Machine> {
  const first = async (command: string[], pattern: RegExp): Promise<string> => {
    const { stdout } = await run(command, { cwd: ROOT, allowFailure: true }).catch(() => ({ stdout: '' }));
    return pattern.exec(stdout)?.[1] ?? 'unknown';
  };
  const commit = await first(['git', 'rev-parse', '--short=12', 'HEAD'], /(\w+)/);
  const dirty = await first(['git', 'status', '--porcelain', '--', 'src', 'native', 'bench/peers'], /(\S)/);
  const list = cpus();
  return {
    commit: dirty === 'unknown' ? commit : `${commit} and uncommitted changes`,
    processor: `${list.length} × ${list[0]?.model.trim() ?? 'unknown'}`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    guestKernel,
    distribution: /^PRETTY_NAME="(.*)"/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.version,
    qemu: await first(['qemu-system-x86_64', '--version'], /version (\S+)/),
    versions,
  };
}
