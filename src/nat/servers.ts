/** STUN servers as people write them, and their addresses. */
import { lookup, Resolver } from 'node:dns/promises';
import { CoraxError } from '../errors.js';
import { type HostPort, isIpv4, isPort, parseIp } from '../model/address.js';

/** RFC 8489 8.2 */
const DEFAULT_PORT = 3478;

export interface StunServer {
  /** As the user wrote it. */
  readonly text: string;
  /** A name or an IPv4 address. */
  readonly host: string;
  readonly port: number;
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i;

/** RFC 1035 2.3.4 lengths; the underscore, because people's own names have it. A dot at the end is fine. */
function isName(host: string): boolean {
  return (
    host.length <= 253 &&
    host
      .replace(/\.$/, '')
      .split('.')
      .every((label) => LABEL.test(label))
  );
}

/** "stun.example.com", "192.0.2.1:3479". Throws CORAX_CONFIG. */
export function parseStunServer(text: string): StunServer {
  const [host = '', portText, ...rest] = text.startsWith('[') ? [text] : text.split(':');
  const port = portText === undefined ? DEFAULT_PORT : /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  if (rest.length > 0 || host.startsWith('[')) {
    throw wrong(text, 'discovery works over IPv4: give a name or an IPv4 address, HOST:PORT');
  }
  if (!isPort(port)) throw wrong(text, 'the port must be a number from 1 to 65535');
  // What looks like an address must be one: "300.1.1.1" is no name to look up.
  const valid = /^[\d.]+$/.test(host) ? parseIp(host) !== null : isName(host);
  if (!valid) throw wrong(text, 'give a name or an IPv4 address, HOST:PORT');
  return { text, host, port };
}

function wrong(text: string, advice: string): CoraxError {
  return new CoraxError('CORAX_CONFIG', `"${text.slice(0, 100)}" is no STUN server: ${advice}.`);
}

/** Resolves to the server's first IPv4 address; null when there is none within the time, or on abort. */
export type ResolveServer = (server: StunServer, timeoutMs: number, signal: AbortSignal) => Promise<HostPort | null>;

/**
 * By DNS first, which can be cancelled and keeps off the thread pool; then as every other program of the
 * node would resolve it (hosts file, search domains).
 */
export const resolveServer: ResolveServer = async ({ host, port }, timeoutMs, signal) => {
  const literal = parseIp(host);
  if (literal !== null) return isIpv4(literal) ? { ip: literal, port } : null;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const address = (await queryDns(host, timeoutMs / 2, limit)) ?? (await untilAborted(lookUpInTurn(host), limit));
  const ip = address === null ? null : parseIp(address);
  return ip !== null && isIpv4(ip) ? { ip, port } : null;
};

async function queryDns(host: string, timeoutMs: number, signal: AbortSignal): Promise<string | null> {
  if (signal.aborted) return null;
  const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / 2), tries: 1 });
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel);
  try {
    // The resolver's own time-out counts per name server; this one counts for all of them.
    const all = resolver.resolve4(host).catch(() => []);
    return (await untilAborted(all, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])))?.[0] ?? null;
  } finally {
    signal.removeEventListener('abort', cancel);
    resolver.cancel();
  }
}

let turn: Promise<unknown> = Promise.resolve();

/** getaddrinfo blocks a thread of the pool that file reads need too, for many seconds: one at a time. */
function lookUpInTurn(host: string): Promise<string | null> {
  const result = turn
    .then(() => lookup(host, { family: 4 }))
    .then(
      ({ address }) => address,
      () => null,
    );
  turn = result;
  return result;
}

/** The promise, or null once the signal fires. */
function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return resolve(null);
    const stop = () => resolve(null);
    signal.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
