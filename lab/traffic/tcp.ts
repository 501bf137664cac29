/** TCP from pod to pod: one connection that lives through everything, and a new one every 100 ms. */
import type { ChildProcess } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoraxError } from '#src/errors.js';
import { inside } from '../net/apply.js';
import { exited, lineSplitter, spawnBound } from '../process.js';
import type { TcpReport } from './tcp-peer.js';

export type { TcpReport };

const PORT = 7;
const PEER = join(dirname(fileURLToPath(import.meta.url)), 'tcp-peer.js');

export class TcpTraffic {
  readonly #from: string;
  readonly #to: string;
  readonly #address: string;
  #server: ChildProcess | null = null;
  #client: ChildProcess | null = null;
  #waiting: Array<(line: string) => void> = [];

  constructor(from: string, to: string, address: string) {
    this.#from = from;
    this.#to = to;
    this.#address = address;
  }

  /** Resolves when the connection that stays has echoed. */
  async start(): Promise<void> {
    this.#server = this.#spawn(this.#to, 'server');
    await this.#up(this.#server, 'the echo server');
    this.#client = this.#spawn(this.#from, 'client');
    const client = this.#client;
    await this.#up(client, `a connection to ${this.#address}`);
    client.stdout?.on(
      'data',
      lineSplitter((line) => this.#waiting.shift()?.(line)),
    );
  }

  /** How it went so far. */
  async report(): Promise<TcpReport> {
    const client = this.#client;
    if (!client || client.exitCode !== null) throw new CoraxError('CORAX_LAB', 'The TCP client does not run');
    const line = await new Promise<string>((resolve, reject) => {
      client.once('exit', () => reject(new CoraxError('CORAX_LAB', 'The TCP client ended')));
      this.#waiting.push(resolve);
      client.stdin?.write('report\n');
    });
    return JSON.parse(line) as TcpReport;
  }

  async stop(): Promise<TcpReport> {
    const report = await this.report();
    this.kill();
    await Promise.all([this.#server, this.#client].map((child) => child && exited(child)));
    return report;
  }

  kill(): void {
    this.#server?.kill('SIGKILL');
    this.#client?.kill('SIGKILL');
  }

  #spawn(namespace: string, role: 'server' | 'client'): ChildProcess {
    const command = [...inside(namespace), process.execPath, PEER, role, this.#address, String(PORT)];
    return spawnBound(command, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  #up(child: ChildProcess, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new CoraxError('CORAX_LAB', `No ${what} within 60 s`)), 60_000);
      child.once('error', reject);
      child.once('exit', (code) => reject(new CoraxError('CORAX_LAB', `No ${what}: exit code ${code}`)));
      child.stdout?.once('data', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
