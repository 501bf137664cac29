/** The other end of the page's stream: reads server-sent events as they come. */
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Where } from '#src/telemetry/server.js';

export interface Event {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: what the page is told, looked at by the tests
  readonly data: any;
}

export class Events {
  readonly response: IncomingMessage;
  #rest = '';
  readonly #queue: Event[] = [];

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('error', () => undefined);
    response.on('data', (chunk: string) => {
      const blocks = (this.#rest + chunk).split('\n\n');
      this.#rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, event = '', data = 'null'] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
        this.#queue.push({ event, data: JSON.parse(data) });
      }
    });
  }

  async next(): Promise<Event> {
    while (this.#queue.length === 0) await once(this.response, 'data');
    return this.#queue.shift() as Event;
  }

  /** Skips what comes before. */
  async until(fits: (event: Event) => boolean): Promise<Event> {
    for (;;) {
      const event = await this.next();
      if (fits(event)) return event;
    }
  }
}

export interface Asked {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly response: IncomingMessage;
}

export function ask(where: Where, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...where, path, method, headers, agent: false }, (response) =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, response }),
    );
    outgoing.on('error', reject).end();
  });
}

export async function open(where: Where): Promise<Events> {
  const { status, response } = await ask(where, '/events');
  if (status !== 200) throw new Error(`HTTP ${status}`);
  return new Events(response);
}

export async function bodyOf(response: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of response.setEncoding('utf8')) body += chunk;
  return body;
}
