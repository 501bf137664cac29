/**
 * Ports of the host's loopback for a setting that is a network namespace of its own: connections cross by unix
 * sockets, for which namespaces are no border. In the micro-VM QEMU's user network does it.
 *
 * As a program (inside): FOLDER PORT…; it ends with its parent's setting.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOST_ADDRESS } from './net/host-access.js';

const socketOf = (folder: string, port: number): string => join(folder, `port-${port}.sock`);

/** Passes on what comes; either end's end is the other's. */
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

/** On the host: serves each port of the loopback on a unix socket in the folder. */
export async function offerPorts(folder: string, ports: readonly number[]): Promise<Server[]> {
  const servers = ports.map((port) => {
    const server = createServer((socket) => splice(socket, connect(port, '127.0.0.1')));
    return new Promise<Server>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socketOf(folder, port), () => resolve(server));
    });
  });
  return Promise.all(servers);
}

function takePorts(folder: string, ports: readonly number[]): void {
  for (const port of ports) {
    createServer((socket) => splice(socket, connect(socketOf(folder, port)))).listen(port, HOST_ADDRESS);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = '', ...ports] = process.argv.slice(2);
  takePorts(folder, ports.map(Number));
}
