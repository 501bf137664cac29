/**
 * Brings agents' metrics and status pages out of a lab to a Prometheus and a browser on the host, byte for byte:
 * connections are made from inside, where the host's ports are reached, and lie idle until somebody on the host wants
 * one.
 *
 * As a program (inside, in a node's namespace): HOST PORT NODE keeps some lying there for each of the agent's ports.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

/** Of a way; one is in use while Prometheus keeps its connection, and a browser opens some in advance. */
const IDLE = 3;
export const AGENT_PORTS = { metrics: 10265, health: 10275 };
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

/** What a line says that it leads to. */
export const wayTo = (node: string, agentPort: number): string => `${node}:${agentPort}`;

function keepOne(host: string, port: number, node: string, agentPort: number): void {
  const line = connect(port, host, () => line.write(`${wayTo(node, agentPort)}\n`));
  const again = () => setTimeout(() => keepOne(host, port, node, agentPort), RETRY_MS);
  const early = () => again();
  line.on('error', () => undefined).once('close', early);
  // The visitor speaks first.
  line.once('readable', () => {
    line.off('close', early);
    keepOne(host, port, node, agentPort);
    splice(line, connect(agentPort, '127.0.0.1'));
  });
}

export interface Exit {
  /** Where those inside connect to. */
  readonly port: number;
  /** Where a visitor connects to, by way. */
  readonly visit: Readonly<Record<string, number>>;
  close(): void;
}

/** On the host. A visitor to whom nobody inside lends a connection is sent away: the target is down. */
export async function openExit(ways: readonly string[]): Promise<Exit> {
  const idle = new Map<string, Socket[]>(ways.map((way) => [way, []]));
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
  for (const way of ways) {
    const server = createServer((visitor) => {
      const line = idle.get(way)?.shift();
      if (line === undefined) visitor.destroy();
      else splice(visitor, line);
    });
    servers.push(server);
    visit[way] = await listening(server);
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
  const [host = '', port = '', node = ''] = process.argv.slice(2);
  for (const agentPort of Object.values(AGENT_PORTS))
    for (let lines = 0; lines < IDLE; lines++) keepOne(host, Number(port), node, agentPort);
}
