/** How long a mapping that nobody uses lives (RFC 4787 4.3; REQ-5 asks for two minutes or more). */
import { setTimeout as sleepMs } from 'node:timers/promises';
import { type HostPort, type Ip, sameHostPort } from '../model/address.js';
import type { MappingLifetime, NatProfile } from '../model/nat-profile.js';
import { testRetransmission } from './behaviour.js';
import { type BindingOutcome, RFC_8489, StunClient } from './client.js';
import type { RawLink } from './hole.js';
import { hearRaw } from './tap.js';
import type { OnDatagram, OpenUdp, UdpPort } from './udp.js';

/** What is worth telling apart: keepalives go every 5 s, and beyond ten minutes nothing hangs on it. */
export const IDLE_TIMES_S: readonly number[] = [20, 30, 45, 60, 90, 120, 180, 300, 600];

/** The next idle time to try, by bisection as in RFC 5780 4.6; null when there is nothing left between the bounds. */
export function nextIdleTime({ livedS, goneS }: MappingLifetime, times = IDLE_TIMES_S): number | null {
  const open = times.filter((time) => time > (livedS ?? 0) && time < (goneS ?? Number.POSITIVE_INFINITY));
  return open[Math.floor(open.length / 2)] ?? null;
}

/** 'unclear': the server cannot be asked that way, or was out of reach. */
export type IdleOutcome = 'lived' | 'gone' | 'unclear';

export function narrowed(lifetime: MappingLifetime, idleS: number, outcome: IdleOutcome): MappingLifetime {
  if (outcome === 'lived') return { ...lifetime, livedS: idleS };
  return outcome === 'gone' ? { ...lifetime, goneS: idleS } : lifetime;
}

/** Hears what this node's own firewall would drop by then, while `run` runs; null where that cannot be had. */
export type PastFirewall = <T>(run: (onRaw: RawLink['onRaw'] | null) => Promise<T>) => Promise<T>;

export interface IdleTestOptions {
  readonly open: OpenUdp;
  readonly bindAddress: Ip | null;
  readonly signal: AbortSignal;
  readonly rttMs: number | null;
  readonly pastFirewall?: PastFirewall;
  /** In place of the clock, for tests. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Long enough for a NAT to take a mapping for one in use: Linux' conntrack keeps what went both ways for two seconds
 * four times as long as one question and answer, and it is the tunnel's mapping that counts.
 */
const IN_USE_MS = 3_000;
const ASK_MS = 3_000;
const MIN_RTO_MS = 100;

/**
 * One mapping, in use, then idle so long: is it still there? By RFC 5780 4.6 another socket asks the server to answer to
 * the mapping's port. Where the server does not do so, or that socket might have another public address, the mapping's
 * own socket asks again: a mapping that is gone comes back with another port, unless the NAT keeps ports.
 * About six packets. Rejects with the signal's reason, or CORAX_SOCKET.
 */
export async function testIdle(
  server: HostPort,
  idleMs: number,
  profile: Pick<NatProfile, 'assignment' | 'pooling'>,
  options: IdleTestOptions,
): Promise<IdleOutcome> {
  const sockets = new Sockets(server, options);
  const { signal, sleep = pause, pastFirewall = withoutTap } = options;
  const close = () => sockets.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    signal.throwIfAborted();
    await sockets.open();
    const before = mappedOf(await sockets.ask());
    await sleep(IN_USE_MS, signal);
    if (before === null || !sameHostPort(mappedOf(await sockets.ask()), before)) return 'unclear';
    // Not silent because of the idle time, if it is heard without.
    const heard = profile.pooling === 'paired' && (await sockets.askAnswerTo(before.port, null));
    const tells = profile.assignment === 'sequential' || profile.assignment === 'random';
    if (!heard && !tells) return 'unclear';
    await sleep(idleMs, signal);
    if (heard && (await pastFirewall((onRaw) => sockets.askAnswerTo(before.port, onRaw)))) return 'lived';
    const after = mappedOf(await sockets.ask());
    signal.throwIfAborted();
    // Silence means something only while the server answers.
    if (after === null) return 'unclear';
    return heard || !sameHostPort(after, before) ? 'gone' : 'lived';
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

/** The socket whose mapping is tested, and the one that asks for answers to it. */
class Sockets {
  readonly #server: HostPort;
  readonly #options: IdleTestOptions;
  readonly #listeners = new Set<OnDatagram>();
  #tested: UdpPort | null = null;
  #asking: UdpPort | null = null;
  #closed = false;

  constructor(server: HostPort, options: IdleTestOptions) {
    this.#server = server;
    this.#options = options;
  }

  async open(): Promise<void> {
    const { open, bindAddress } = this.#options;
    this.#tested = await open(bindAddress, (bytes, from) => {
      for (const listener of this.#listeners) listener(bytes, from);
    });
    // An answer that comes here is one of a server that knows no RESPONSE-PORT.
    this.#asking = await open(bindAddress, () => {});
    if (this.#closed) this.close();
  }

  close(): void {
    this.#closed = true;
    this.#tested?.close();
    this.#asking?.close();
  }

  /** From the tested socket itself. */
  ask(): Promise<BindingOutcome> {
    return this.#transact(this.#tested as UdpPort, null, {});
  }

  /** Does the tested socket, or the tap, hear the answer to the other's question? */
  async askAnswerTo(responsePort: number, onRaw: RawLink['onRaw'] | null): Promise<boolean> {
    return (await this.#transact(this.#asking as UdpPort, onRaw, { responsePort })).kind === 'answered';
  }

  /** What `from` sends and the tested socket hears. */
  async #transact(
    from: UdpPort,
    onRaw: RawLink['onRaw'] | null,
    extras: { readonly responsePort?: number },
  ): Promise<BindingOutcome> {
    const client = await StunClient.open(async (_, onDatagram) => {
      this.#listeners.add(onDatagram);
      const stop = onRaw === null ? () => {} : hearRaw(onRaw, onDatagram);
      const close = () => {
        this.#listeners.delete(onDatagram);
        stop();
      };
      return { localPort: from.localPort, send: from.send, close };
    }, null);
    const close = () => client.close();
    const { signal, rttMs } = this.#options;
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    try {
      const retransmission = testRetransmission(rttMs, RFC_8489.rtoMs, MIN_RTO_MS);
      return await client.ask({ to: this.#server, retransmission, deadline: performance.now() + ASK_MS, ...extras });
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }
}

function mappedOf(outcome: BindingOutcome): HostPort | null {
  return outcome.kind === 'answered' ? outcome.mapped : null;
}

const pause = (ms: number, signal: AbortSignal) => sleepMs(ms, undefined, { signal, ref: false });

const withoutTap: PastFirewall = (run) => run(null);
