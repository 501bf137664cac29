/** One request to the router and its whole answer: bounded, timed, and never led elsewhere. */
import { request } from 'node:http';

const TIMEOUT_MS = 5000;
const MAX_BYTES = 100_000;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface HttpRequest {
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** With a body it is a POST. */
  readonly body?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Resolves to null where there was no whole answer. Never rejects. */
export type Fetch = (asked: HttpRequest) => Promise<HttpAnswer | null>;

export const fetchFromRouter: Fetch = ({ url, headers = {}, body, signal }) =>
  new Promise((resolve) => {
    const method = body === undefined ? 'GET' : 'POST';
    const ended = AbortSignal.timeout(TIMEOUT_MS);
    const stop = signal === undefined ? ended : AbortSignal.any([signal, ended]);
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const asked = request(url, { method, headers: { ...headers, ...length }, agent: false, signal: stop }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_BYTES) asked.destroy(new Error('too long'));
        else chunks.push(chunk);
      });
      answer.on('error', () => resolve(null));
      answer.on('end', () => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') });
      });
    });
    asked.on('error', () => resolve(null));
    asked.end(body);
  });
