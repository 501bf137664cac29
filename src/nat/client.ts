/** Binding transactions on one UDP port: retransmission, deadline, and who may answer (RFC 8489 6.2.1, 6.3.1). */
import { codeOf, messageOf } from '../errors.js';
import { formatHostPort, type HostPort, type Ip, sameHostPort } from '../model/address.js';
import { bindingRequest, isPlausibleMapping, newTransactionId, parseBindingResponse } from './binding.js';
import { type ChangeRequest, transactionKey } from './codec.js';
import type { OpenUdp, UdpPort } from './udp.js';

/** Sends after 0, 1, 3, 7, … RTOs, `requests` times, and then waits `lastWait` RTOs more. */
export interface Retransmission {
  /** Milliseconds to the first retransmission. */
  readonly rtoMs: number;
  readonly requests: number;
  readonly lastWait: number;
}

/** RFC 8489 6.2.1: RTO 500 ms, Rc = 7, Rm = 16. */
export const RFC_8489: Retransmission = { rtoMs: 500, requests: 7, lastWait: 16 };

export interface BindingQuery {
  readonly to: HostPort;
  readonly change?: ChangeRequest;
  /** The answer is to go there, so another port must hear it (RFC 5780 4.6). */
  readonly responsePort?: number;
  /** Who must answer; `to` itself unless a change was asked for. */
  readonly from?: HostPort;
  readonly retransmission: Retransmission;
  /** On the clock of performance.now(), in milliseconds. */
  readonly deadline: number;
}

export type BindingOutcome =
  | {
      readonly kind: 'answered';
      readonly mapped: HostPort;
      readonly other: HostPort | null;
      /** Null after a retransmission: which request it answers is unknown (RFC 6298 3). */
      readonly rttMs: number | null;
    }
  /** A success response from the asked address, although another was asked for: the server knows no CHANGE-REQUEST. */
  | { readonly kind: 'change-ignored' }
  | { readonly kind: 'refused'; readonly code: number; readonly reason: string }
  | {
      readonly kind: 'no-answer';
      /** Requests that the kernel took. */
      readonly sent: number;
      /** Why answers were discarded or requests not sent; null when there was just silence. */
      readonly problem: string | null;
      /** errno name of the latest failed send, if all failed. */
      readonly sendError: string | null;
    };

interface Pending {
  readonly query: BindingQuery;
  readonly transactionId: Uint8Array;
  readonly bytes: Uint8Array;
  readonly finish: (outcome: BindingOutcome) => void;
  requests: number;
  sent: number;
  waitMs: number;
  firstSentAt: number;
  problem: string | null;
  sendError: string | null;
  timer: NodeJS.Timeout | undefined;
}

export class StunClient {
  readonly #pending = new Map<string, Pending>();
  #port: UdpPort | null = null;

  private constructor() {}

  /** A client on a fresh port. Throws CORAX_SOCKET. */
  static async open(open: OpenUdp, bindAddress: Ip | null): Promise<StunClient> {
    const client = new StunClient();
    client.#port = await open(bindAddress, (bytes, from) => client.#receive(bytes, from));
    return client;
  }

  /** Null once closed. */
  get localPort(): number | null {
    return this.#port?.localPort ?? null;
  }

  /** Asks until an answer, the last retransmission or the deadline. Never rejects. */
  ask(query: BindingQuery): Promise<BindingOutcome> {
    const transactionId = newTransactionId();
    const bytes = bindingRequest(transactionId, { changeRequest: query.change, responsePort: query.responsePort });
    const key = transactionKey(bytes) as string;
    return new Promise((resolve) => {
      const pending: Pending = {
        query,
        transactionId,
        bytes,
        requests: 0,
        sent: 0,
        waitMs: query.retransmission.rtoMs,
        firstSentAt: performance.now(),
        problem: null,
        sendError: null,
        timer: undefined,
        finish: (outcome) => {
          clearTimeout(pending.timer);
          this.#pending.delete(key);
          resolve(outcome);
        },
      };
      this.#pending.set(key, pending);
      this.#transmit(pending);
    });
  }

  /** Ends every transaction as unanswered and frees the port. Idempotent. */
  close(): void {
    for (const pending of this.#pending.values()) pending.finish(silence(pending));
    this.#port?.close();
    this.#port = null;
  }

  #transmit(pending: Pending): void {
    const { to, retransmission, deadline } = pending.query;
    if (this.#port === null) {
      pending.finish(silence(pending));
      return;
    }
    pending.requests += 1;
    this.#port.send(pending.bytes, to).then(
      () => {
        pending.sent += 1;
      },
      (error: unknown) => {
        // Not final: a route may come back before the next retransmission.
        pending.sendError = codeOf(error);
        pending.problem = `cannot send to ${formatHostPort(to)}: ${messageOf(error)}`;
      },
    );
    const isLast = pending.requests >= retransmission.requests;
    const wait = isLast ? retransmission.lastWait * retransmission.rtoMs : pending.waitMs;
    pending.waitMs *= 2;
    const left = deadline - performance.now();
    const next = isLast || wait >= left ? () => pending.finish(silence(pending)) : () => this.#transmit(pending);
    pending.timer = setTimeout(next, Math.max(0, Math.min(wait, left)));
  }

  #receive(bytes: Uint8Array, from: HostPort): void {
    const key = transactionKey(bytes);
    const pending = key === null ? undefined : this.#pending.get(key);
    if (pending === undefined) return;
    const { to, from: expected = to } = pending.query;
    const fromAsked = sameHostPort(from, to);
    if (!fromAsked && !sameHostPort(from, expected)) {
      pending.problem = `an answer came from ${formatHostPort(from)} instead`;
      return;
    }
    const answer = parseBindingResponse(bytes, pending.transactionId);
    if (answer.kind === 'error') {
      pending.finish({ kind: 'refused', code: answer.code, reason: answer.reason });
    } else if (answer.kind === 'invalid') {
      pending.problem = answer.problem;
    } else if (!isPlausibleMapping(answer.mapped, to)) {
      pending.problem = `it gave an impossible address, ${answer.mapped.ip}`;
    } else if (!sameHostPort(from, expected)) {
      pending.finish({ kind: 'change-ignored' });
    } else {
      const rttMs = pending.requests === 1 ? performance.now() - pending.firstSentAt : null;
      pending.finish({ kind: 'answered', mapped: answer.mapped, other: answer.other, rttMs });
    }
  }
}

function silence({ sent, problem, sendError }: Pending): BindingOutcome {
  return { kind: 'no-answer', sent, problem, sendError: sent === 0 ? sendError : null };
}
