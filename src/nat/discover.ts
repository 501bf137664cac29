/** NAT discovery: which NAT, if any, stands between this node and the STUN servers (RFC 5780 4). */
import type { NetworkInterfaceInfo } from 'node:os';
import { CoraxError } from '../errors.js';
import { type HostPort, type Ip, parseIp } from '../model/address.js';
import {
  type Filtering,
  type Mapping,
  type NatReport,
  type NatType,
  natTypeOf,
  type StunServerOutcome,
} from '../model/nat.js';
import { type Candidate, testFiltering, testMapping, testRetransmission } from './behaviour.js';
import { usableOther } from './binding.js';
import { mappingFromViews, outsideViews } from './classify.js';
import { type BindingOutcome, RFC_8489, StunClient } from './client.js';
import { parseStunServer, type ResolveServer, resolveServer, type StunServer } from './servers.js';
import { type OpenUdp, openUdp } from './udp.js';

/** Milliseconds. */
export interface Deadlines {
  /** For a name to become an address. */
  readonly dnsMs: number;
  /** From the start to the first answer; without one, UDP is blocked. */
  readonly firstMs: number;
  /** From the first answer to the end of all tests. */
  readonly allMs: number;
  /** From the first answer: how long a server with a second address is waited for. */
  readonly graceMs: number;
  /** First retransmission before and after the round trip is known. */
  readonly rtoMs: number;
  readonly minRtoMs: number;
}

export const DEADLINES: Deadlines = {
  dnsMs: 2500,
  firstMs: 5000,
  allMs: 3000,
  graceMs: 1000,
  rtoMs: RFC_8489.rtoMs,
  minRtoMs: 100,
};

export interface DiscoverOptions {
  /** HOST or HOST:PORT, at least one. */
  readonly servers: readonly string[];
  /** This node's own addresses, see {@link localAddressesOf}; without them underNat stays null. */
  readonly localAddresses?: readonly Ip[];
  /** A local IPv4 address to probe from; the route decides without it. */
  readonly bindAddress?: Ip;
  readonly signal?: AbortSignal;
  readonly deadlines?: Partial<Deadlines>;
  /** In place of the network, for tests. */
  readonly open?: OpenUdp;
  readonly resolve?: ResolveServer;
}

/** The addresses in what os.networkInterfaces() gives, loopback included: a server may run on this node. */
export function localAddressesOf(interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>): Ip[] {
  const addresses = Object.values(interfaces).flatMap((list) => list ?? []);
  return addresses.map(({ address }) => parseIp(address)).filter((ip) => ip !== null);
}

/**
 * One discovery, on fresh sockets, within firstMs + allMs. Rejects with the signal's reason on abort, with
 * CORAX_CONFIG for a malformed server and CORAX_SOCKET where no socket can be opened; whatever the
 * network does ends up in the report.
 */
export async function discover(options: DiscoverOptions): Promise<NatReport> {
  const servers = options.servers.map(parseStunServer);
  if (servers.length === 0) throw new CoraxError('CORAX_CONFIG', 'No STUN server is given: use --stun HOST:PORT.');
  options.signal?.throwIfAborted();
  const ended = new AbortController();
  const signal = AbortSignal.any([ended.signal, ...(options.signal ? [options.signal] : [])]);
  const client = await StunClient.open(options.open ?? openUdp, options.bindAddress ?? null);
  const close = () => client.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    const report = await new Discovery(servers, options, client, signal).run();
    options.signal?.throwIfAborted();
    return report;
  } finally {
    ended.abort();
    close();
  }
}

interface Answer {
  readonly server: HostPort;
  readonly mapped: HostPort;
  readonly other: HostPort | null;
  readonly rttMs: number | null;
}

interface Finding {
  readonly mapping: Mapping | null;
  readonly filtering: Filtering | null;
  readonly varies: boolean;
  readonly method: NatReport['method'];
  /** The view that the report's public address comes from. */
  readonly view: Answer;
}

class Discovery {
  readonly #servers: readonly StunServer[];
  readonly #options: DiscoverOptions;
  readonly #deadlines: Deadlines;
  readonly #client: StunClient;
  readonly #signal: AbortSignal;
  readonly #local: ReadonlySet<Ip> | null;
  readonly #outcomes: StunServerOutcome[];
  /** In order of arrival. */
  readonly #answers: Answer[] = [];
  #unsettled: number;
  /** A request left this node, or a local firewall stopped it. */
  #asked = false;
  #wake: () => void = () => {};

  constructor(servers: readonly StunServer[], options: DiscoverOptions, client: StunClient, signal: AbortSignal) {
    this.#servers = servers;
    this.#options = options;
    this.#deadlines = { ...DEADLINES, ...options.deadlines };
    this.#client = client;
    this.#signal = signal;
    this.#local = options.localAddresses ? new Set(options.localAddresses) : null;
    this.#unsettled = servers.length;
    this.#outcomes = servers.map(({ text }) => unanswered(text, null, 'no-answer', 'others had answered before'));
    signal.addEventListener('abort', () => this.#wake(), { once: true });
  }

  async run(): Promise<NatReport> {
    const firstBy = performance.now() + this.#deadlines.firstMs;
    // All from one socket: their views can be compared, and the mapping tests go on from there.
    const asking = Array.from(this.#servers.keys(), (index) => this.#ask(index, firstBy));
    await this.#until(firstBy, () => this.#answers.length > 0);
    if (this.#answers.length === 0) {
      this.#client.close();
      await Promise.all(asking);
      return this.#report(null);
    }
    const first = performance.now();
    await this.#until(first + this.#deadlines.graceMs, () => this.#outside().some(hasOther));
    return this.#report(await this.#test(first + this.#deadlines.allMs));
  }

  /** Waits until the condition holds, nobody is left to answer, the time has come or the signal fires. */
  async #until(deadline: number, condition: () => boolean): Promise<void> {
    while (!condition() && this.#unsettled > 0 && !this.#signal.aborted && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.max(1, deadline - performance.now()));
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async #ask(index: number, deadline: number): Promise<void> {
    const server = this.#servers[index] as StunServer;
    const { dnsMs, firstMs, rtoMs } = this.#deadlines;
    const resolve = this.#options.resolve ?? resolveServer;
    const address = await resolve(server, Math.min(dnsMs, firstMs), this.#signal).catch(() => null);
    if (address === null) {
      this.#outcomes[index] = unanswered(
        server.text,
        null,
        'unresolved',
        'the name has no IPv4 address, or DNS is out',
      );
    } else {
      this.#outcomes[index] = unanswered(server.text, address, 'no-answer', 'others had answered before');
      const outcome = await this.#client.ask({ to: address, retransmission: { ...RFC_8489, rtoMs }, deadline });
      this.#outcomes[index] = this.#record(server.text, address, outcome);
    }
    this.#unsettled -= 1;
    this.#wake();
  }

  #record(text: string, address: HostPort, outcome: BindingOutcome): StunServerOutcome {
    if (outcome.kind === 'answered') {
      const { mapped, rttMs } = outcome;
      const other = usableOther(outcome.other, address);
      this.#answers.push({ server: address, mapped, other, rttMs });
      const detail = other === null && outcome.other !== null ? 'its OTHER-ADDRESS cannot be used' : null;
      return { server: text, address, status: 'answered', mapped, otherAddress: other, rttMs, detail };
    }
    if (outcome.kind === 'no-answer') {
      // A local firewall that refuses the packet (EPERM, EACCES) blocks UDP; without a route nothing was tried.
      this.#asked ||= outcome.sent > 0 || ['EPERM', 'EACCES'].includes(outcome.sendError ?? '');
      const detail = outcome.problem ?? `asked ${outcome.sent} times`;
      return unanswered(text, address, 'no-answer', detail);
    }
    const detail = outcome.kind === 'refused' ? `error ${outcome.code} ${outcome.reason}`.trim() : 'a stray answer';
    return unanswered(text, address, 'refused', detail);
  }

  /** Answers of servers that see an address which is not this node's. */
  #outside(): readonly Answer[] {
    return this.#answers.filter(({ mapped }) => !this.#local?.has(mapped.ip));
  }

  async #test(deadline: number): Promise<Finding> {
    const mappingBy = deadline - this.#deadlines.allMs / 2;
    const tried = new Set<Answer>();
    // A server whose second address is silent is no use: on to the next one, which may have answered meanwhile.
    for (;;) {
      const now = performance.now();
      const candidate = outsideViews(this.#answers, this.#local)
        .filter(hasOther)
        .find((each) => !tried.has(each));
      if (candidate === undefined || this.#signal.aborted || now >= mappingBy) break;
      tried.add(candidate);
      const share = now + (mappingBy - now) / (tried.size < this.#servers.length ? 2 : 1);
      const finding = await this.#testWith(candidate, share, deadline);
      if (finding !== null) return finding;
    }
    const views = outsideViews(this.#answers, this.#local);
    const { mapping, varies } = mappingFromViews(views);
    const method = mapping !== null || varies ? 'two-servers' : null;
    return { mapping, varies, filtering: null, method, view: views[0] as Answer };
  }

  /** Null where the server's second address is silent. */
  async #testWith(candidate: Candidate & Answer, mappingBy: number, deadline: number): Promise<Finding | null> {
    const { open = openUdp, bindAddress = null } = this.#options;
    const { rtoMs, minRtoMs } = this.#deadlines;
    const retransmission = testRetransmission(candidate.rttMs, rtoMs, minRtoMs);
    const result = await testMapping(this.#client, candidate, retransmission, mappingBy);
    if (result === null) return null;
    const options = { open, bindAddress, retransmission, deadline, signal: this.#signal };
    const filtering = await testFiltering(candidate, options);
    return { ...result, filtering, method: 'behaviour-tests', view: candidate };
  }

  #report(finding: Finding | null): NatReport {
    const servers = [...this.#outcomes];
    const measuredAtMs = Date.now();
    if (finding === null) {
      const udpBlocked = this.#asked && servers.every(({ status }) => status !== 'refused');
      return { ...UNKNOWN, udpBlocked, servers, measuredAtMs };
    }
    const { mapping, filtering, method, view } = finding;
    const underNat = this.#local === null ? null : this.#outside().length > 0;
    const publicAddress = view.mapped;
    const type = typeOf(finding, underNat);
    return { type, mapping, filtering, underNat, publicAddress, udpBlocked: false, method, servers, measuredAtMs };
  }
}

/** Can the behaviour tests start from this answer? */
function hasOther(answer: Answer): answer is Answer & Candidate {
  return answer.other !== null;
}

const UNKNOWN = {
  type: null,
  mapping: null,
  filtering: null,
  underNat: null,
  publicAddress: null,
  method: null,
} as const;

function typeOf({ mapping, filtering, varies }: Finding, underNat: boolean | null): NatType {
  if (underNat === false) return 'Undefined';
  return varies ? 'Symmetric NAT' : natTypeOf(mapping, filtering);
}

function unanswered(
  server: string,
  address: HostPort | null,
  status: StunServerOutcome['status'],
  detail: string,
): StunServerOutcome {
  return { server, address, status, mapped: null, otherAddress: null, rttMs: null, detail };
}
