/** The behaviour tests of RFC 5780 against one server that has a second address. */
import { type HostPort, type Ip, sameHostPort } from '../model/address.js';
import type { Filtering, Mapping } from '../model/nat.js';
import { type ChangeResult, filteringFromTests, mappingFromTests } from './classify.js';
import { type BindingOutcome, type Retransmission, StunClient } from './client.js';
import type { ChangeRequest } from './codec.js';
import type { OpenUdp } from './udp.js';

/** A server that answered test I. */
export interface Candidate {
  readonly server: HostPort;
  readonly other: HostPort;
  /** Where the server saw the socket of the mapping tests. */
  readonly mapped: HostPort;
}

/** Four requests and as long again: the silence that proves filtering. */
export function testRetransmission(rttMs: number | null, rtoMs: number, minRtoMs: number): Retransmission {
  // RFC 6298 2.2: the first RTO is RTT + 4 × RTT / 2, here not rounded up to a second (RFC 8489 6.2.1).
  const estimate = rttMs === null ? rtoMs : Math.min(rtoMs, 3 * rttMs);
  return { rtoMs: Math.max(minRtoMs, estimate), requests: 4, lastWait: 8 };
}

export interface MappingResult {
  readonly mapping: Mapping | null;
  /** Not endpoint-independent, though test III may have stayed open. */
  readonly varies: boolean;
}

/**
 * RFC 5780 4.3, tests II and III; test I was the first Binding on the same socket. Null where the alternate
 * address does not answer: then silence in the filtering tests would mean nothing either.
 */
export async function testMapping(
  client: StunClient,
  { server, other, mapped }: Candidate,
  retransmission: Retransmission,
  deadline: number,
): Promise<MappingResult | null> {
  const ask = async (to: HostPort) => mappedOf(await client.ask({ to, retransmission, deadline }));
  const ii = await ask({ ip: other.ip, port: server.port });
  if (ii === null) return null;
  const varies = !sameHostPort(ii, mapped);
  const iii = varies ? await ask(other) : null;
  return { mapping: mappingFromTests(mapped, ii, iii), varies };
}

export interface FilteringOptions {
  readonly open: OpenUdp;
  readonly bindAddress: Ip | null;
  readonly retransmission: Retransmission;
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/**
 * RFC 5780 4.4, tests II and III side by side, each on a socket of its own: a socket that has spoken with
 * the alternate address would let its answers in, and a test on the mapping tests' socket would make a
 * plain Linux NAT look symmetric.
 */
export async function testFiltering(
  { server, other }: Candidate,
  options: FilteringOptions,
): Promise<Filtering | null> {
  const done = new AbortController();
  const signal = AbortSignal.any([options.signal, done.signal]);
  const both = { ip: true, port: true };
  const portOnly = { ip: false, port: true };
  const tests = [
    testChange(server, other, both, { ...options, signal }).then((result) => {
      // Nothing that the other test could say would matter now.
      if (result === 'answered') done.abort();
      return result;
    }),
    testChange(server, { ip: server.ip, port: other.port }, portOnly, { ...options, signal }),
  ] as const;
  const [addressAndPort, port] = await Promise.all(tests);
  return filteringFromTests(addressAndPort, port);
}

async function testChange(
  server: HostPort,
  from: HostPort,
  change: ChangeRequest,
  { open, bindAddress, retransmission, deadline, signal }: FilteringOptions,
): Promise<ChangeResult> {
  const client = await StunClient.open(open, bindAddress);
  const close = () => client.close();
  signal.addEventListener('abort', close, { once: true });
  if (signal.aborted) close();
  try {
    const opening = await client.ask({ to: server, retransmission, deadline });
    if (opening.kind !== 'answered') return 'unclear';
    const outcome = await client.ask({ to: server, change, from, retransmission, deadline });
    if (outcome.kind === 'answered') return 'answered';
    // An answer from a wrong place was no silence either.
    return outcome.kind === 'no-answer' && outcome.sent > 0 && outcome.problem === null ? 'silent' : 'unclear';
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}

function mappedOf(outcome: BindingOutcome): HostPort | null {
  return outcome.kind === 'answered' ? outcome.mapped : null;
}
