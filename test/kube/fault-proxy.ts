/** Stands between a store and its API server, counts what is asked, and does what networks and busy servers do. */
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpsRequest, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { ApiServer } from '../../scripts/kube/server.js';

export interface Asked {
  readonly method: string;
  readonly url: URL;
  /** Milliseconds since some point. */
  readonly at: number;
  readonly kind: 'list' | 'page' | 'watch' | 'get' | 'write';
  /** What it was answered with; 0 while it is not. */
  status: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Null: let it pass. */
export type Rule = (asked: Asked) => Answer | null;

export class FaultProxy {
  readonly asked: Asked[] = [];
  rule: Rule = () => null;
  readonly #target: ApiServer;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #upstream = new Set<IncomingMessage>();

  private constructor(target: ApiServer) {
    this.#target = target;
    const certs = join(target.folder, 'certs');
    // The API server's own certificate: whoever trusts that one trusts this one.
    const tls = {
      cert: readFileSync(join(certs, 'apiserver.crt')),
      key: readFileSync(join(certs, 'apiserver.key')),
    };
    this.#server = createServer(tls, (request, response) => this.#pass(request, response));
    this.#server.on('secureConnection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => {});
    });
  }

  static async open(target: ApiServer): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  count(kind: Asked['kind']): number {
    return this.asked.filter((each) => each.kind === kind).length;
  }

  /** Connections that stand stay open, and nothing comes by them any more; new ones are well. */
  goSilent(): void {
    for (const answer of this.#upstream) {
      answer.unpipe();
      answer.resume();
    }
  }

  /** All connections end, as when a load balancer restarts. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const asked = describe(request);
    this.asked.push(asked);
    response.on('error', () => {});
    const answer = this.rule(asked);
    if (answer !== null) {
      asked.status = answer.status;
      request.resume();
      response.writeHead(answer.status, answer.headers ?? {}).end(answer.body ?? '');
      return;
    }
    const { method, headers, url } = request;
    const onward = httpsRequest(`${this.#target.url}${url}`, { method, headers, ca: this.#target.ca });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    onward.on('response', (upstream) => {
      asked.status = upstream.statusCode ?? 0;
      this.#upstream.add(upstream);
      upstream.on('close', () => this.#upstream.delete(upstream));
      upstream.on('error', () => response.destroy());
      response.writeHead(asked.status, upstream.headers);
      response.flushHeaders();
      upstream.pipe(response);
    });
    request.pipe(onward);
  }
}

function describe({ method = '', url = '' }: IncomingMessage): Asked {
  const parsed = new URL(url, 'https://api');
  const query = parsed.searchParams;
  const read = query.has('watch') ? 'watch' : query.has('continue') ? 'page' : query.has('limit') ? 'list' : 'get';
  return { method, url: parsed, at: performance.now(), kind: method === 'GET' ? read : 'write', status: 0 };
}
