/**
 * Requests to the Kubernetes API. Credentials and TLS are the client library's (KubeConfig: kubeconfig files,
 * exec plugins, rotating tokens). Its requests and its Watch are not used: each makes a TLS connection of its own,
 * a refusal loses Retry-After and, for 401 and watches, the API's words, and Watch gives up after 30 s of silence
 * where bookmarks come once a minute: 10,000 quiet agents would reconnect 333 times a second.
 */
import { type Dispatcher, request } from 'undici';
import { codeOf, messageOf } from '../../errors.js';
import { printable } from '../../model/quote.js';
import type { Access } from './access.js';

/** What the API answered instead of doing it, or why it did not answer (`status` 0). */
export class ApiError extends Error {
  /** HTTP status code, or that of a watch's ERROR event; 0 where there was no answer. */
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
  }
}

export interface ApiCall {
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: unknown;
  /** Defaults to application/json. */
  readonly type?: string;
  readonly signal?: AbortSignal;
}

export interface ApiTimes {
  /** To the first byte of an answer. */
  readonly answerMs: number;
  /** Between two bytes of an answer. A watch hears at least a bookmark a minute. */
  readonly silenceMs: number;
}

export const API_TIMES: ApiTimes = { answerMs: 30_000, silenceMs: 90_000 };

const MAX_RETRY_AFTER_MS = 120_000;
const MAX_ERROR_BYTES = 64 * 1024;

export class KubeApi {
  readonly #access: Access;
  readonly #times: ApiTimes;
  readonly #agentName: string;
  /** The API asked us to wait until then: all of our requests do. */
  #notBefore = 0;
  #requests = 0;

  constructor(access: Access, agentName: string, times: Partial<ApiTimes> = {}) {
    this.#access = access;
    this.#agentName = agentName;
    this.#times = { ...API_TIMES, ...times };
  }

  /** Requests made since the start. */
  get requests(): number {
    return this.#requests;
  }

  /** @throws ApiError */
  async json(method: 'GET' | 'POST' | 'PATCH' | 'PUT', path: string, call: ApiCall = {}): Promise<unknown> {
    return JSON.parse(await this.text(method, path, call));
  }

  /** @throws ApiError */
  async text(method: 'GET' | 'POST' | 'PATCH' | 'PUT', path: string, call: ApiCall = {}): Promise<string> {
    const { body } = await this.#answered(method, path, call);
    return body.text().catch((error: unknown) => {
      throw this.#unanswered(error, call.signal);
    });
  }

  /** The answer as it comes, chunk by chunk. @throws ApiError, from the iterator too */
  async stream(path: string, call: ApiCall = {}): Promise<AsyncIterable<Buffer>> {
    const { body } = await this.#answered('GET', path, call);
    const failed = (error: unknown) => this.#unanswered(error, call.signal);
    return (async function* () {
      try {
        for await (const chunk of body) yield chunk as Buffer;
      } catch (error) {
        throw failed(error);
      }
    })();
  }

  close(): Promise<void> {
    return this.#access.close();
  }

  async #answered(method: Dispatcher.HttpMethod, path: string, call: ApiCall): Promise<Dispatcher.ResponseData> {
    let response = await this.#send(method, path, call);
    if (response.statusCode === 401) {
      // The token was renewed since it was read, or has run out: once more with what is there now.
      await response.body.dump();
      this.#access.reload();
      response = await this.#send(method, path, call);
    }
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    throw await this.#refusal(response);
  }

  async #send(method: Dispatcher.HttpMethod, path: string, call: ApiCall): Promise<Dispatcher.ResponseData> {
    await this.#turn(call.signal);
    const { server, servername, headers, dispatcher } = await this.#access.credentials();
    const url = new URL(server + path);
    for (const [key, value] of Object.entries(call.query ?? {})) url.searchParams.set(key, String(value));
    this.#requests += 1;
    try {
      return await request(url, {
        method,
        headers: {
          ...headers,
          accept: 'application/json',
          'user-agent': this.#agentName,
          ...(call.body === undefined ? {} : { 'content-type': call.type ?? 'application/json' }),
        },
        headersTimeout: this.#times.answerMs,
        bodyTimeout: this.#times.silenceMs,
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
        ...(dispatcher === undefined ? {} : { dispatcher }),
        ...(servername === undefined ? {} : { servername }),
      });
    } catch (error) {
      throw this.#unanswered(error, call.signal);
    }
  }

  /** Waits for as long as the API asked for. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    while (Date.now() < this.#notBefore) await pause(this.#notBefore - Date.now(), signal);
    signal?.throwIfAborted();
  }

  #unanswered(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted) return error;
    // Perhaps the server has another certificate now, or we are at another one's door.
    this.#access.reload();
    return new ApiError(0, wordsOf(error), { cause: error });
  }

  async #refusal({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<ApiError> {
    const asked = retryAfterMs(headers['retry-after'], Date.now());
    if ((statusCode === 429 || statusCode === 503) && asked !== null) {
      this.#notBefore = Math.max(this.#notBefore, Date.now() + Math.min(asked, MAX_RETRY_AFTER_MS));
    }
    const text = await readSome(body);
    return new ApiError(statusCode, statusWords(text) ?? `HTTP status ${statusCode}`);
  }
}

/** Delay in milliseconds; RFC 9110 10.2.3: seconds or a date. */
export function retryAfterMs(value: string | string[] | undefined, now: number): number | null {
  if (typeof value !== 'string') return null;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(0, at - now);
}

async function readSome(body: Dispatcher.ResponseData['body']): Promise<string> {
  let text = '';
  try {
    for await (const chunk of body) {
      text += (chunk as Buffer).toString('utf8');
      if (text.length > MAX_ERROR_BYTES) break;
    }
  } catch {
    // What came is all there is.
  }
  return text;
}

/** The `message` of a Kubernetes Status, or whatever stands in a proxy's answer; on one line. */
function statusWords(text: string): string | null {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  try {
    const { message } = JSON.parse(trimmed) as { message?: unknown };
    if (typeof message === 'string' && message !== '') return printable(message, 500);
  } catch {
    // No JSON: a load balancer's words.
  }
  return printable(trimmed, 200);
}

/** undici wraps: "fetch failed", an AggregateError without words for a host of several addresses. */
function wordsOf(error: unknown): string {
  const nested = error instanceof AggregateError ? error.errors[0] : undefined;
  return printable(messageOf(nested ?? error) || codeOf(error) || 'no answer', 300);
}

/** @throws the signal's reason, when it is aborted first */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}
