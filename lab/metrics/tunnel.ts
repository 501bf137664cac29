/**
 * Brings an agent's metrics out of a lab to a Prometheus on the host, byte for byte: connections are made from inside,
 * where the host's ports are reached, and lie idle until somebody on the host wants one.
 *
 * As a program (inside, in a node's namespace): HOST PORT NAME keeps some lying there, each for one visitor to the
 * agent's own port.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

/** Of them one is in use while Prometheus keeps its connection. */
const IDLE = 3;
const AGENT_PORT = 10265;
const RETRY_MS = 500;

function splice(one: Socket, other: Socket): void {
  one.pipe(other).pipe(one);
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.on('error', () => to.destroy());
    from.on('close', () => to.destroy());
  }
}

function keepOne(host: string, port: number, name: string): void {
  const line = connect(port, host, () => line.write(`${name}\n`));
  const again = () => setTimeout(() => keepOne(host, port, name), RETRY_MS);
  const early = () => again();
  line.on('error', () => undefined).once('close', early);
  // The visitor speaks first.
  line.once('readable', () => {
    line.off('close', early);
    keepOne(host, port, name);
    splice(line, connect(AGENT_PORT, '127.0.0.1'));
  });
}

export interface Exit {
  /** Where those inside connect to. */
  readonly port: number;
  /** Where a visitor of that node's agent connects to. */
  readonly visit: Readonly<Record<string, number>>;
  close(): void;
}

/** On the host. A visitor to whom nobody inside lends a connection is sent away: the target is down. */
export async function openExit(names: readonly string[]): Promise<Exit> {
  const idle = new Map<string, Socket[]>(names.map((name) => [name, []]));
  const inside = createServer((line) => {
    line.on('error', () => undefined);
    line.once('data', (first) => {
      const waiting = idle.get(first.toString('utf8').trim());
      if (waiting === undefined) return line.destroy();
      line.pause();
      waiting.push(line);
      line.once('close', () => waiting.includes(line) && waiting.splice(waiting.indexOf(line), 1));
    });
  });
  const servers: Server[] = [inside];
  const visit: Record<string, number> = {};
  for (const name of names) {
    const server = createServer((visitor) => {
      const line = idle.get(name)?.shift();
      if (line === undefined) visitor.destroy();
      else splice(visitor, line);
    });
    servers.push(server);
    visit[name] = await listening(server);
  }
  const port = await listening(inside);
  const close = () => {
    for (const server of servers) server.close();
    for (const lines of idle.values()) for (const line of lines) line.destroy();
  };
  return { port, visit, close };
}

function listening(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [host = '', port = '', name = ''] = process.argv.slice(2);
  for (let lines = 0; lines < IDLE; lines++) keepOne(host, Number(port), name);
}
