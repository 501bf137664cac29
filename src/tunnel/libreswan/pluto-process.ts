/** pluto as a process: started in a session of its own, so that it outlives the agent; found again by the next one. */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { CoraxError, messageOf } from '../../errors.js';
import { KEEPALIVE_S } from '../../model/names.js';
import type { PlutoFiles } from './pluto-files.js';

const START_MS = 30_000;
const STOP_MS = 5_000;
const LOOK_MS = 20;
/** Characters of the log's end that say why pluto did not start. */
const LAST_WORDS = 600;

/** One process among all that were and will be. */
export type PlutoIdentity = string;

export class PlutoProcess {
  readonly #files: PlutoFiles;
  readonly #program: string;
  readonly #onExit: () => void;
  #pid: number | null = null;

  /** `onExit`: a pluto that this agent started has ended. */
  constructor(files: PlutoFiles, program: string, onExit: () => void) {
    this.#files = files;
    this.#program = program;
    this.#onExit = onExit;
  }

  /** The one that runs in our folder, an earlier agent's or this one's; null where none does. */
  running(): PlutoIdentity | null {
    const pid = this.#pid ?? this.#recordedPid();
    if (pid === null) return null;
    const started = startTime(pid, this.#files.run);
    if (started === null) {
      this.#pid = null;
      return null;
    }
    this.#pid = pid;
    return `${bootId()} ${pid} ${started}`;
  }

  /**
   * Starts pluto and waits until `answers` resolves.
   *
   * @throws CORAX_PLUTO with pluto's last words
   */
  async start(answers: () => Promise<unknown>): Promise<PlutoIdentity> {
    const { socket, pid: pidFile } = this.#files;
    // It takes a file that is there for another pluto.
    await Promise.all([rm(socket, { force: true }), rm(pidFile, { force: true })]);
    let ended: string | null = null;
    const child = spawn(this.#program, plutoFlags(this.#files), { detached: true, stdio: 'ignore' });
    child.once('error', (error) => {
      ended = messageOf(error);
    });
    child.once('exit', (code, signal) => {
      ended = signal ?? `exit code ${code}`;
      if (this.#pid === child.pid) this.#pid = null;
      this.#onExit();
    });
    child.unref();
    const deadline = performance.now() + START_MS;
    for (;;) {
      const answered = await answers().then(
        () => true,
        () => false,
      );
      if (answered && child.pid !== undefined && ended === null) break;
      if (ended !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        const why = ended ?? `no answer within ${START_MS / 1000} s`;
        throw new CoraxError('CORAX_PLUTO', `pluto did not start: ${why}${await this.#lastWords()}`);
      }
      await delay(LOOK_MS);
    }
    this.#pid = child.pid ?? null;
    const identity = this.running();
    if (identity === null) throw new CoraxError('CORAX_PLUTO', 'pluto ended as soon as it had started');
    return identity;
  }

  /** `ask` tells it to shut down; SIGKILL follows where that does not help. */
  async stop(ask: () => Promise<unknown>): Promise<void> {
    if (this.running() === null) return;
    await ask().catch(() => undefined);
    const deadline = performance.now() + STOP_MS;
    while (this.running() !== null && performance.now() < deadline) await delay(LOOK_MS);
    if (this.running() !== null && this.#pid !== null) process.kill(this.#pid, 'SIGKILL');
  }

  #recordedPid(): number | null {
    try {
      const pid = Number(readFileSync(this.#files.pid, 'utf8').trim());
      return Number.isInteger(pid) && pid > 1 ? pid : null;
    } catch {
      return null;
    }
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.#files.log, 'utf8').catch(() => '');
    const words = text.slice(-LAST_WORDS).trim().split('\n').slice(-3).join(' | ');
    return words === '' ? '' : `; its log ends with: ${words}`;
  }
}

function plutoFlags(files: PlutoFiles): string[] {
  return [
    '--nofork',
    ...['--rundir', files.run],
    ...['--dumpdir', files.run],
    ...['--nssdir', files.nss],
    ...['--secretsfile', files.secrets],
    ...['--ipsecdir', files.ipsecDir],
    ...['--logfile', files.log],
    '--no-dnssec',
    ...['--keep-alive', String(KEEPALIVE_S)],
    // An end that begins anew from elsewhere takes the place of what there was.
    '--uniqueids',
  ];
}

/** Clock ticks since boot (proc(5), field 22); null unless it is a pluto in that folder, and alive. */
function startTime(pid: number, run: string): string | null {
  try {
    const stat = readProc(`/proc/${pid}/stat`);
    // The name may hold anything, parentheses too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const isDead = fields[0] === 'Z' || fields[0] === 'X';
    const isOurs = readProc(`/proc/${pid}/cmdline`).split('\0').includes(run);
    return isDead || !isOurs ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function bootId(): string {
  return readProc('/proc/sys/kernel/random/boot_id').trim();
}

function readProc(path: string): string {
  const fd = openSync(path, 'r');
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}
