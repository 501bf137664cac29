/** Child processes: run to the end, or start and follow. No shell in between. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { CoraxError } from '#src/errors.js';

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly timeoutMs?: number;
  /** Resolve on a non-zero exit code too. */
  readonly allowFailure?: boolean;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; throws CORAX_LAB with its own words when it fails. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file = '', ...args] = command;
  const fail = (why: string, stderr = ''): CoraxError =>
    new CoraxError(
      'CORAX_LAB',
      `${command.slice(0, 12).join(' ')}: ${why}${stderr === '' ? '' : `\n${stderr.trim()}`}`,
    );
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.env ? { env: options.env } : {}),
      ...(options.cwd ? { cwd: options.cwd } : {}),
      ...(options.timeoutMs ? { timeout: options.timeoutMs, killSignal: 'SIGKILL' as const } : {}),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(fail(error.code === 'ENOENT' ? `${file} is not installed; run "npm run setup"` : error.message)),
    );
    // A program may exit before it has read its input; its exit code says what matters.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('close', (code, signal) => {
      const stdout = Buffer.concat(out).toString('utf8');
      const stderr = Buffer.concat(err).toString('utf8');
      if (code === 0 || (options.allowFailure && code !== null)) resolve({ code, stdout, stderr });
      else reject(fail(code === null ? `killed by ${signal}` : `exit code ${code}`, stderr || stdout));
    });
  });
}

/** Starts a program that dies with this process, however this one ends (PR_SET_PDEATHSIG). */
export function spawnBound(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], options);
}

/** Is there a process of this number, anybody's? */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Resolves when the process has exited; at once if it already has. */
export function exited(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

/** SIGTERM, and SIGKILL when that was not enough. */
export async function stopProcess(child: ChildProcess, graceMs = 5_000): Promise<void> {
  if (child.pid === undefined) return;
  const done = exited(child);
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await done;
  clearTimeout(timer);
}

/** Splits a byte stream into lines; call the result with null at the end of the stream. */
export function lineSplitter(onLine: (line: string) => void): (chunk: Buffer | null) => void {
  const decoder = new TextDecoder();
  let rest = '';
  return (chunk) => {
    const parts = (rest + (chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode())).split('\n');
    rest = parts.pop() ?? '';
    for (const line of parts) onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    if (chunk === null && rest !== '') {
      onLine(rest);
      rest = '';
    }
  };
}

/** Quotes a word for a POSIX shell. */
export function shellQuote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
