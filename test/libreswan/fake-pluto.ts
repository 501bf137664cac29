/** A control socket that takes one message a connection, keeps it, and answers with a word. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

export class FakePluto {
  readonly messages: Buffer[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(path: string): Promise<FakePluto> {
    const server = createServer((socket) => {
      // Sent in one write, it comes in one piece.
      socket.once('data', (message) => {
        fake.messages.push(message);
        socket.end('000 noted\n');
      });
      socket.on('error', () => {});
    });
    const fake = new FakePluto(server);
    server.listen(path);
    await once(server, 'listening');
    return fake;
  }

  async close(): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}
