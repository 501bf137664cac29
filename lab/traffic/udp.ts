/** Hand-made UDP packets from inside a namespace. */
import type { ChildProcess } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoraxError } from '#src/errors.js';
import { inside } from '../net/apply.js';
import { lineSplitter, spawnBound } from '../process.js';
import type { UdpCommand, UdpEvent } from './udp-peer.js';

const PEER = join(dirname(fileURLToPath(import.meta.url)), 'udp-peer.js');

export interface Packet {
  readonly socket: string;
  readonly address: string;
  readonly port: number;
  readonly text: string;
}

export class UdpPeer {
  readonly #process: ChildProcess;
  readonly #packets: Packet[] = [];
  #wake: Array<() => void> = [];
  #bound = 0;

  constructor(namespace: string) {
    this.#process = spawnBound([...inside(namespace), process.execPath, PEER], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process.stdout?.on(
      'data',
      lineSplitter((line) => this.#hear(JSON.parse(line) as UdpEvent)),
    );
  }

  /** Opens a socket, to be called by its name. */
  async bind(socket: string, address: string, port: number): Promise<void> {
    const before = this.#bound;
    this.#tell({ do: 'bind', socket, address, port });
    await this.#until(() => this.#bound > before, 60_000);
    if (this.#bound === before) throw new CoraxError('CORAX_LAB', `Could not bind ${address}:${port}`);
  }

  send(socket: string, address: string, port: number, text: string): void {
    this.#tell({ do: 'send', socket, address, port, text });
  }

  /** The packet that carries this text, or null when none came in time. */
  async receive(text: string, timeoutMs: number): Promise<Packet | null> {
    const find = (): Packet | undefined => this.#packets.find((packet) => packet.text === text);
    await this.#until(() => find() !== undefined, timeoutMs);
    return find() ?? null;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  #tell(command: UdpCommand): void {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  #hear(event: UdpEvent): void {
    if (event.type === 'bound') this.#bound += 1;
    if (event.type === 'received') this.#packets.push(event);
    const wake = this.#wake;
    this.#wake = [];
    for (const call of wake) call();
  }

  async #until(condition: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - performance.now();
      if (left <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}
