/** Metrics and health over TCP, for Prometheus and the kubelet. */
import type { AddressInfo } from 'node:net';
import { CoraxError, codeOf } from '../errors.js';
import { isLoopback } from '../model/address.js';
import { acceptsGzip, CONTENT_TYPES, chooseFormat, type Format } from './format.js';
import { closing, createHttpServer, type ErrorSink, type Handler, listenError, listening, text } from './http.js';
import type { StatusPage } from './page/page.js';

export interface Where {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

export interface RunningServer {
  /** Where it listens in fact. */
  readonly where: Where;
  close(): Promise<void>;
}

export interface MetricsSource {
  /** The whole exposition, in pieces. */
  render(format: Format): Promise<readonly Buffer[]>;
}

/** Each gives null where all is well, else the reason, for the kubelet's event and a person. */
export interface HealthChecks {
  /** Has the loop ticked lately? {@link Heartbeat.check} */
  live(): string | null;
  /** Is the store read and are the devices up? */
  ready(): string | null;
}

/** GET /metrics, in the form and encoding that are asked for. */
export function serveMetrics(where: Where, source: MetricsSource, onError: ErrorSink): Promise<RunningServer> {
  const handler: Handler = async (path, headers) => {
    if (path !== '/metrics') return null;
    const format = chooseFormat(headers.accept);
    const gzip = acceptsGzip(String(headers['accept-encoding'] ?? ''));
    const vary = { vary: 'accept, accept-encoding' };
    return { status: 200, type: CONTENT_TYPES[format], body: await source.render(format), headers: vary, gzip };
  };
  return serve('metrics', '--metrics-addr', where, handler, onError);
}

/**
 * GET /healthz and /readyz: 200 "ok", else 503 and the reason. At / the status page.
 *
 * @param page null: none is served
 */
export async function serveHealth(
  where: Where,
  checks: HealthChecks,
  onError: ErrorSink,
  page: StatusPage | null = null,
): Promise<RunningServer> {
  const verdict = (reason: string | null) => (reason === null ? text(200, 'ok') : text(503, reason));
  const loopback = isLoopback(where.host);
  const handler: Handler = (path, headers) => {
    if (path === '/healthz') return verdict(checks.live());
    if (path === '/readyz') return verdict(checks.ready());
    if (page !== null) return page.answer(path, headers, loopback);
    return path === '/' ? text(404, 'no status page is served here (--status-page on serves it)') : null;
  };
  const server = await serve('health', '--health-addr', where, handler, onError);
  const close = () => {
    page?.close();
    return server.close();
  };
  return { ...server, close };
}

async function serve(
  what: string,
  flag: string,
  where: Where,
  handler: Handler,
  onError: ErrorSink,
): Promise<RunningServer> {
  const server = createHttpServer(handler, onError);
  const listen = (host: string) => listening(server, () => server.listen({ host, port: where.port }));
  try {
    await listen(where.host).catch((error: unknown) => {
      // "::" takes IPv4 too, but a kernel without IPv6 does not know it
      const noIpv6 = where.host === '::' && ['EAFNOSUPPORT', 'EADDRNOTAVAIL'].includes(codeOf(error) ?? '');
      if (!noIpv6) throw error;
      return listen('0.0.0.0');
    });
  } catch (error) {
    const shown = where.host.includes(':') ? `[${where.host}]:${where.port}` : `${where.host}:${where.port}`;
    const { message } = listenError(what, shown, error);
    throw new CoraxError('CORAX_SOCKET', `${message} (${flag} chooses another address, or "off")`, { cause: error });
  }
  server.on('error', onError);
  const { address, port } = server.address() as AddressInfo;
  return { where: { host: address, port }, close: () => closing(server) };
}

/** Tells whether something that should happen again and again still does. */
export class Heartbeat {
  readonly #maxSilenceMs: number;
  readonly #now: () => number;
  #latest: number;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(maxSilenceMs: number, now: () => number = () => performance.now()) {
    this.#maxSilenceMs = maxSilenceMs;
    this.#now = now;
    this.#latest = now();
  }

  beat(): void {
    this.#latest = this.#now();
  }

  /** Null, or how long it has been silent. */
  check(): string | null {
    const silence = this.#now() - this.#latest;
    return silence <= this.#maxSilenceMs ? null : `the loop has not ticked for ${Math.round(silence / 1000)} s`;
  }
}
