/** A question to one router and its answer, over a connected UDP socket: the kernel hears nobody else on it. */
import { createSocket } from 'node:dgram';
import { codeOf } from '../../errors.js';
import { type Ip, parseIp } from '../../model/address.js';

export interface Question<T> {
  readonly router: Ip;
  readonly port: number;
  /** Made when the own address toward the router is known. */
  readonly request: (own: Ip) => Uint8Array;
  /** Null: no answer to this question, wait on. */
  readonly parse: (bytes: Uint8Array) => T | null;
  /** Milliseconds to wait after each transmission. */
  readonly waitsMs: readonly number[];
  readonly signal?: AbortSignal | undefined;
}

export type Answer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  /** ICMP says that nobody listens there. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'silent' };

export type Ask = <T>(question: Question<T>) => Promise<Answer<T>>;

/** Each wait is twice the one before, the first is `firstMs` ± a tenth. */
export function doubling(firstMs: number, times: number, random: () => number = Math.random): number[] {
  const first = firstMs * (0.9 + 0.2 * random());
  return Array.from({ length: times }, (_, index) => first * 2 ** index);
}

/** Never rejects. */
export const ask: Ask = <T>(question: Question<T>) => {
  const { router, port, request, parse, waitsMs, signal } = question;
  return new Promise<Answer<T>>((resolve) => {
    const socket = createSocket('udp4');
    let timer: NodeJS.Timeout | undefined;
    let done = false;
    const finish = (answer: Answer<T>) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.close();
      resolve(answer);
    };
    const onAbort = () => finish({ kind: 'silent' });
    if (signal?.aborted) return finish({ kind: 'silent' });
    signal?.addEventListener('abort', onAbort, { once: true });
    // No route to it is as good as silence; a closed port is told by ICMP.
    socket.on('error', (error) => finish(codeOf(error) === 'ECONNREFUSED' ? { kind: 'closed' } : { kind: 'silent' }));
    socket.on('message', (bytes) => {
      const value = parse(bytes);
      if (value !== null) finish({ kind: 'answered', value });
    });
    const transmit = (index: number, bytes: Uint8Array) => {
      const wait = waitsMs[index];
      if (wait === undefined) return finish({ kind: 'silent' });
      // What cannot be sent now may be sent the next time.
      socket.send(bytes, () => undefined);
      timer = setTimeout(() => transmit(index + 1, bytes), wait);
    };
    socket.connect(port, router, () => {
      if (done) return;
      const own = parseIp(socket.address().address);
      if (own === null) finish({ kind: 'silent' });
      else transmit(0, request(own));
    });
  });
};

/** The address that this node has toward the router; null without a way there. Nothing is sent. */
export function ownAddressToward(router: Ip): Promise<Ip | null> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.on('error', () => resolve(null));
    socket.connect(1, router, () => {
      resolve(parseIp(socket.address().address));
      socket.close();
    });
  });
}
