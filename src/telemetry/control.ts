/**
 * The unix socket on which the agent answers `corax status`, `peers` and `explain`: HTTP and JSON, so that
 * curl --unix-socket reads it too. For its own user only (0600).
 */
import { chmodSync, lstatSync, mkdirSync, statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import * as path from 'node:path';
import { CoraxError, codeOf, messageOf } from '../errors.js';
import type { Explanation, Status } from '../model/status.js';
import { closing, createHttpServer, type ErrorSink, type Handler, json, listenError, listening } from './http.js';

export interface ControlHandlers {
  status(): Status;
  /** Null: there is no such peer. */
  explain(gateway: string): Explanation | null;
}

export interface ControlServer {
  readonly socket: string;
  /** Stops answering and removes the socket. */
  close(): Promise<void>;
}

/** Throws CORAX_LOCKED where another agent answers on the socket, CORAX_SOCKET where it cannot be had. */
export async function serveControl(
  socket: string,
  handlers: ControlHandlers,
  onError: ErrorSink,
): Promise<ControlServer> {
  prepareFolder(path.dirname(socket));
  await removeStale(socket);
  const server = createHttpServer(routes(handlers), onError);
  // The socket is bound inside listen(), so it never exists with wider permissions than these
  const mask = process.umask(0o177);
  try {
    await listening(server, () => {
      try {
        server.listen({ path: socket });
      } finally {
        process.umask(mask);
      }
    });
  } catch (error) {
    throw listenError('status', socket, error);
  }
  chmodSync(socket, 0o600);
  server.on('error', onError);
  // libuv unlinks the socket when the server closes
  return { socket, close: () => closing(server) };
}

function routes(handlers: ControlHandlers): Handler {
  return (requested) => {
    if (requested === '/status') return json(200, handlers.status());
    if (requested === '/peers') return json(200, { peers: handlers.status().peers });
    if (requested.startsWith('/explain/')) {
      const gateway = requested.slice('/explain/'.length);
      const explanation = handlers.explain(gateway);
      if (explanation !== null) return json(200, explanation);
      const known = handlers.status().peers.map((peer) => peer.gateway);
      return json(404, { code: 'CORAX_GATEWAY', message: `no peer is called ${JSON.stringify(gateway)}`, known });
    }
    return null;
  };
}

function prepareFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { mode } = statSync(folder);
    // Where others may replace files (no sticky bit), they could put a socket of theirs in its place
    if ((mode & 0o002) !== 0 && (mode & 0o1000) === 0) {
      throw new Error(`everybody may write to ${folder}; chmod 0700 it, or name another place with --socket`);
    }
  } catch (error) {
    throw new CoraxError('CORAX_SOCKET', `the folder of the control socket cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Removes the socket that a killed agent left behind, and nothing else. */
async function removeStale(socket: string): Promise<void> {
  const stat = lstatSync(socket, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new CoraxError('CORAX_SOCKET', `${socket} is there and is no socket: remove it, or use --socket`);
  }
  if (await answers(socket)) {
    throw new CoraxError('CORAX_LOCKED', `another agent answers on ${socket}: stop it first, or use --socket`);
  }
  try {
    unlinkSync(socket);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw listenError('status', socket, error);
  }
}

/** Does anybody accept connections there? */
export function answers(socket: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const connection = connect({ path: socket });
    connection.once('connect', () => {
      connection.destroy();
      resolve(true);
    });
    connection.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      // A full backlog belongs to somebody who is alive
      else if (code === 'EAGAIN') resolve(true);
      else reject(listenError('status', socket, error));
    });
  });
}
