/**
 * What the metrics, health and control servers have in common: GET and HEAD only, short time-outs, small
 * headers, few connections, and an answer for whatever goes wrong.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CoraxError, codeOf, messageOf } from '../errors.js';

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Null: there is no such page. `path` is decoded, without the query. */
export type Handler = (path: string) => Reply | null | Promise<Reply | null>;

export type ErrorSink = (error: unknown) => void;

export function text(status: number, body: string): Reply {
  return { status, type: 'text/plain; charset=utf-8', body: `${body}\n` };
}

export function json(status: number, value: unknown): Reply {
  return { status, type: 'application/json', body: `${JSON.stringify(value)}\n` };
}

export function createHttpServer(handler: Handler, onError: ErrorSink): Server {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 2000,
    },
    (request, response) => {
      answer(request, response, handler).catch((error: unknown) => {
        onError(error);
        if (response.headersSent) response.destroy();
        else send(request, response, text(500, 'internal error, see the log'));
      });
    },
  );
  server.maxConnections = 64;
  server.maxRequestsPerSocket = 1000;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    else socket.destroy();
  });
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, handler: Handler): Promise<void> {
  // No handler reads a body: whoever sends one is cut off rather than listened to
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) {
    response.shouldKeepAlive = false;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return send(request, response, text(405, 'only GET and HEAD'));
  }
  const path = decodePath(request.url ?? '');
  if (path === null) return send(request, response, text(400, 'not a path'));
  send(request, response, (await handler(path)) ?? text(404, 'not found'));
}

function decodePath(url: string): string | null {
  const path = url.split('?', 1)[0] ?? '';
  if (!path.startsWith('/')) return null;
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, {
    'content-type': reply.type,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}

/** Resolves when the server listens; rejects with the system's error. */
export function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) => reject(error);
    server.once('error', failed);
    server.once('listening', () => {
      server.off('error', failed);
      resolve();
    });
    listen();
  });
}

/** Answers what is under way, for at most a second; then every connection is closed. */
export function closing(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => server.closeAllConnections(), 1000);
    server.close(() => {
      clearTimeout(late);
      resolve();
    });
    server.closeIdleConnections();
  });
}

const LISTEN_ERRORS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else listens there already',
  EADDRNOTAVAIL: 'this machine does not have that address',
  EACCES: 'this user may not listen there',
};

export function listenError(what: string, where: string, error: unknown): CoraxError {
  const why = LISTEN_ERRORS[codeOf(error) ?? ''] ?? messageOf(error);
  return new CoraxError('CORAX_SOCKET', `cannot serve ${what} on ${where}: ${why}`, { cause: error });
}
