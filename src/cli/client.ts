/** Asks the agent on its unix socket. */
import { request } from 'node:http';
import type * as z from 'zod';
import { DEFAULT_SOCKET } from '../config.js';
import { CoraxError, codeOf, messageOf } from '../errors.js';
import { nearest, printable } from './output.js';

const TIMEOUT_MS = 10_000;
/** 10,000 peers are about 10 MB. */
const ANSWER_LIMIT = 64 << 20;

export interface SocketOption {
  readonly socket?: string;
}

export const SOCKET_FLAG = '--socket <path>';
export const SOCKET_HELP = `control socket of the agent (default: CORAX_SOCKET, else ${DEFAULT_SOCKET})`;

export function socketPath(options: SocketOption): string {
  return options.socket ?? (process.env.CORAX_SOCKET || DEFAULT_SOCKET);
}

export interface Answer<T> {
  /** What the schema knows of it. */
  readonly value: T;
  /** As the agent gave it, for --json: a newer agent may say more than this command knows. */
  readonly raw: unknown;
}

/** Throws CORAX_SOCKET where nobody, or something else, answers, CORAX_GATEWAY for an unknown gateway. */
export async function ask<T>(socket: string, path: string, schema: z.ZodType<T>): Promise<Answer<T>> {
  const { status, body } = await get(socket, path).catch((error: unknown) => {
    throw explainFailure(socket, error);
  });
  let raw: unknown;
  try {
    raw = JSON.parse(body);
  } catch {
    raw = undefined;
  }
  if (status === 404 && isUnknownGateway(raw)) {
    throw unknownGateway(raw.message, decodeURIComponent(path.slice(path.lastIndexOf('/') + 1)), raw.known);
  }
  const parsed = schema.safeParse(raw);
  if (status !== 200 || !parsed.success) {
    const answer = status === 200 ? 'in words that this version does not know' : `with HTTP ${status}`;
    throw new CoraxError(
      'CORAX_SOCKET',
      `what listens on ${socket} answers ${answer}: is it corax, and the same version?`,
    );
  }
  return { value: parsed.data, raw };
}

/** "no peer is called …", with the names that may have been meant. */
export function unknownGateway(message: string, name: string, known: readonly string[]): CoraxError {
  const names = nearest(name, known).map(printable);
  const more = known.length > names.length ? `, and ${known.length - names.length} more: corax peers` : '';
  const hint = names.length === 0 ? 'the agent knows no peers yet' : `known: ${names.join(', ')}${more}`;
  return new CoraxError('CORAX_GATEWAY', `${printable(message)} (${hint})`);
}

function isUnknownGateway(raw: unknown): raw is { message: string; known: string[] } {
  if (typeof raw !== 'object' || raw === null) return false;
  const { message, known } = raw as { message?: unknown; known?: unknown };
  return typeof message === 'string' && Array.isArray(known) && known.every((name) => typeof name === 'string');
}

function get(socket: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: socket, path, timeout: TIMEOUT_MS, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length > ANSWER_LIMIT) response.destroy(new Error(`the answer is larger than ${ANSWER_LIMIT} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

function explainFailure(socket: string, error: unknown): CoraxError {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK') {
    return new CoraxError('CORAX_SOCKET', `no agent answers on ${socket}; is it running? (corax agent --help)`);
  }
  if (code === 'EACCES') {
    return new CoraxError('CORAX_SOCKET', `this user may not ask the agent on ${socket}; try as root`);
  }
  return new CoraxError('CORAX_SOCKET', `the agent on ${socket} does not answer: ${messageOf(error)}`, {
    cause: error,
  });
}
