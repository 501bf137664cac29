/**
 * What the metrics, health and control servers have in common: GET and HEAD only, short time-outs, small
 * headers, few connections, and an answer for whatever goes wrong.
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';
import { CoraxError, codeOf, messageOf } from '../errors.js';

export interface Reply {
  readonly status: number;
  readonly type: string;
  /** In pieces where it is large: others get their turn between them. */
  readonly body: string | readonly Buffer[];
  readonly headers?: OutgoingHttpHeaders;
  /** Compressed on the way. */
  readonly gzip?: boolean;
}

/** An answer without an end: its head goes out, then it is whose it is given to. */
export interface Stream {
  readonly type: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly take: (response: ServerResponse) => void;
}

type Answer = Reply | Stream | null;

/** Null: there is no such page. `path` is decoded, without the query. */
export type Handler = (path: string, headers: IncomingHttpHeaders) => Answer | Promise<Answer>;

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
        else void send(request, response, text(500, 'internal error, see the log'));
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
    return await send(request, response, text(405, 'only GET and HEAD'));
  }
  const path = decodePath(request.url ?? '');
  if (path === null) return await send(request, response, text(400, 'not a path'));
  const reply = (await handler(path, request.headers)) ?? text(404, 'not found');
  if ('take' in reply) begin(request, response, reply);
  else await send(request, response, reply);
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

async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  const { body, gzip = false } = reply;
  response.writeHead(reply.status, {
    'content-type': reply.type,
    // How long it is compressed is known only at its end.
    ...(gzip ? { 'content-encoding': 'gzip' } : { 'content-length': lengthOf(body) }),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...reply.headers,
  });
  if (request.method === 'HEAD') response.end();
  else if (typeof body === 'string' && !gzip) response.end(body);
  else await stream(typeof body === 'string' ? [Buffer.from(body)] : body, gzip, response);
}

function lengthOf(body: Reply['body']): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.reduce((sum, piece) => sum + piece.length, 0);
}

async function stream(pieces: readonly Buffer[], gzip: boolean, response: ServerResponse): Promise<void> {
  const source = Readable.from(pieces, { objectMode: false });
  try {
    if (gzip) await pipeline(source, createGzip({ level: constants.Z_BEST_SPEED }), response);
    else await pipeline(source, response);
  } catch (error) {
    // Whoever asked has gone.
    if (codeOf(error) !== 'ERR_STREAM_PREMATURE_CLOSE' && codeOf(error) !== 'ECONNRESET') throw error;
  }
}

function begin(request: IncomingMessage, response: ServerResponse, { type, headers, take }: Stream): void {
  response.writeHead(200, {
    'content-type': type,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  if (request.method === 'HEAD') response.end();
  else {
    response.flushHeaders();
    take(response);
  }
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
