/** coturn as a STUN server with two addresses and two ports, for RFC 5780 behaviour tests. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { CoraxError } from '#src/errors.js';
import { inside } from './net/apply.js';
import { spawnBound, stopProcess } from './process.js';

const PORT = 3478;

export class StunServer {
  readonly #namespace: string;
  readonly addresses: readonly [string, string];
  #process: ChildProcess | null = null;

  constructor(namespace: string, addresses: readonly [string, string]) {
    this.#namespace = namespace;
    this.addresses = addresses;
  }

  /** Resolves when both addresses listen. */
  async start(): Promise<void> {
    const [first, second] = this.addresses;
    const flags = ['-n', '-S', '-L', first, '-L', second, '-p', String(PORT), `--alt-listening-port=${PORT + 1}`];
    const quiet = [
      '--no-tls',
      '--no-dtls',
      '--no-cli',
      '--no-auth',
      '--log-file=stdout',
      '--pidfile=/dev/null',
      '-m',
      '1',
    ];
    const child = spawnBound([...inside(this.#namespace), 'turnserver', ...flags, ...quiet], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    let said = '';
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString('utf8')).slice(-4000);
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    let failed = false;
    child.once('error', () => {
      failed = true;
    });
    const deadline = performance.now() + 120_000;
    while (listeningPorts(child.pid) < 4) {
      if (failed || child.exitCode !== null || performance.now() > deadline) {
        throw new CoraxError('CORAX_LAB', `The STUN server (coturn's turnserver) did not start: ${said.trim()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    if (this.#process) await stopProcess(this.#process, 500);
    this.#process = null;
  }
}

/** UDP sockets on the two ports that the process's namespace has; each address has one a port. */
function listeningPorts(pid: number | undefined): number {
  try {
    const table = readFileSync(`/proc/${pid}/net/udp`, 'utf8');
    const ports = [PORT, PORT + 1].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
    const local = table.split('\n').map((line) => /^\s*\d+: ([0-9A-F]{8}):([0-9A-F]{4})/.exec(line));
    return new Set(
      local
        .filter((match) => match && ports.includes(match[2] ?? ''))
        .map((match) => match?.[0].replace(/^\s*\d+: /, '')),
    ).size;
  } catch {
    return 0;
  }
}
