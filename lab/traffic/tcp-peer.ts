/**
 * One end of the lab's TCP traffic, a process of its own in a pod's namespace.
 * `server ADDRESS PORT` echoes; `client ADDRESS PORT` keeps one connection that writes every 20 ms and
 * opens a new one every 100 ms. It prints "up" once the first echo came, and a report (one line of JSON)
 * for every line that it reads.
 */
import { connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';

export const WRITE_EVERY_MS = 20;
export const CONNECT_EVERY_MS = 100;
/** A new connection that has no echo by then has failed. */
const CONNECT_TIMEOUT_MS = 10_000;
const MESSAGE_BYTES = 8;

export interface TcpReport {
  /** The connection that stays. */
  readonly alive: boolean;
  readonly error: string | null;
  readonly written: number;
  readonly echoed: number;
  /** The longest time in which an echo was due and none came. */
  readonly longestStallMs: number;
  /** When it ended (or now); Unix time in milliseconds. */
  readonly longestStallAt: number;
  /** New connections. */
  readonly opened: number;
  readonly completed: number;
  readonly failed: number;
  readonly longestConnectMs: number;
  readonly failures: readonly string[];
}

function server(address: string, port: number): void {
  const listener = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  listener.listen(port, address, 1024, () => console.log('up'));
}

function client(address: string, port: number): void {
  let alive = false;
  let error: string | null = null;
  let written = 0;
  let echoedBytes = 0;
  let progressAt = performance.now();
  let longestStallMs = 0;
  let longestStallAt = 0;
  let opened = 0;
  let completed = 0;
  let longestConnectMs = 0;
  const failures: string[] = [];

  const noteStall = (): void => {
    const stall = performance.now() - progressAt;
    if (stall > longestStallMs) {
      longestStallMs = stall;
      longestStallAt = Date.now();
    }
  };
  const message = Buffer.alloc(MESSAGE_BYTES);
  const stays = connect({ host: address, port, noDelay: true });
  stays.on('connect', () => {
    alive = true;
    progressAt = performance.now();
    setInterval(() => {
      if (!alive) return;
      // With nothing outstanding nothing is due.
      if (echoedBytes === written * MESSAGE_BYTES) progressAt = performance.now();
      else noteStall();
      message.writeUInt32BE(written);
      written += 1;
      stays.write(Buffer.from(message));
    }, WRITE_EVERY_MS);
  });
  stays.on('data', (chunk: Buffer) => {
    if (echoedBytes === 0) console.log('up');
    noteStall();
    progressAt = performance.now();
    echoedBytes += chunk.length;
  });
  stays.on('error', (cause) => {
    error = cause.message;
  });
  stays.on('close', () => {
    alive = false;
    error ??= 'closed by the other end';
  });

  setInterval(() => {
    const startedAt = performance.now();
    opened += 1;
    const socket = connect({ host: address, port });
    let done = false;
    const end = (failure: string | null): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      longestConnectMs = Math.max(longestConnectMs, performance.now() - startedAt);
      if (failure === null) completed += 1;
      else failures.push(`${new Date().toISOString()} ${failure}`);
      socket.destroy();
    };
    const timer = setTimeout(() => end(`no echo within ${CONNECT_TIMEOUT_MS} ms`), CONNECT_TIMEOUT_MS);
    socket.on('connect', () => socket.write('x'));
    socket.on('data', () => end(null));
    socket.on('error', (cause) => end(cause.message));
    socket.on('close', () => end('closed before the echo'));
  }, CONNECT_EVERY_MS);

  createInterface({ input: process.stdin }).on('line', () => {
    if (echoedBytes !== written * MESSAGE_BYTES) noteStall();
    const echoed = Math.floor(echoedBytes / MESSAGE_BYTES);
    const stays = { alive, error, written, echoed, longestStallMs, longestStallAt };
    const news = { opened, completed, failed: failures.length, longestConnectMs, failures };
    const report: TcpReport = { ...stays, ...news };
    console.log(JSON.stringify(report));
  });
}

const [role, address = '', port = ''] = process.argv.slice(2);
if (role === 'server') server(address, Number(port));
else if (role === 'client') client(address, Number(port));
