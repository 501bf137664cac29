/** `corax controller` as a process, against an API server of the tests. */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exited, lineSplitter, spawnBound } from '../../lab/process.js';
import type { ApiServer } from './api-server.js';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export const CORAX_CONTROLLER = ['-C', 'corax-source', '--import', 'tsx', main, 'controller'];

export class ControllerProcess {
  readonly name: string;
  /** What it logged, parsed. */
  readonly log: Record<string, unknown>[] = [];
  readonly #child: ChildProcess;
  #told = false;

  /** @param command from the sources, or as it is built */
  constructor(
    api: ApiServer,
    name: string,
    token: string,
    flags: readonly string[] = [],
    command: readonly string[] = CORAX_CONTROLLER,
  ) {
    this.name = name;
    const kubeconfig = join(api.folder, `${name}.kubeconfig`);
    writeFileSync(kubeconfig, api.kubeconfig(token), { mode: 0o600 });
    const words = ['--kubeconfig', kubeconfig, '--identity', name, '--metrics-addr', 'off', '--health-addr', 'off'];
    this.#child = spawnBound([process.execPath, ...command, ...words, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const take = lineSplitter((line) => void this.log.push(JSON.parse(line)));
    this.#child.stdout?.on('data', take);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  said(pattern: RegExp): boolean {
    return this.log.some(({ msg }) => pattern.test(String(msg)));
  }

  /** Throws where it ended by itself. */
  check(): void {
    if (!this.running && !this.#told) throw new Error(`the controller ${this.name} ended by itself`);
  }

  /** As kill -9 does. */
  async kill(): Promise<void> {
    this.#told = true;
    this.#child.kill('SIGKILL');
    await exited(this.#child);
  }

  /** @returns the exit code */
  async stop(): Promise<number | null> {
    this.#told = true;
    this.#child.kill('SIGTERM');
    return exited(this.#child);
  }
}
