/** A few new mappings, one after the other: what a profile is told from. */
import type { HostPort, Ip } from '../model/address.js';
import type { NatReport } from '../model/nat.js';
import type { MappingSample } from '../model/nat-profile.js';
import { testRetransmission } from './behaviour.js';
import { RFC_8489, StunClient } from './client.js';
import type { OpenUdp } from './udp.js';

/** Enough to tell a sequence with three wraps, or a block of a few thousand ports, from chance. */
export const PROFILE_SAMPLES = 16;
/** On slow ways fewer samples are what there is time for. */
const ALL_MS = 4_000;
const MIN_RTO_MS = 100;

/** Whom to ask for what; from a report that names a server that sees this node from outside. */
export interface ProfileTarget {
  readonly server: HostPort;
  /** Where a socket's second mapping leads, on NATs that make one for it; null: mappings are endpoint-independent. */
  readonly second: HostPort | null;
  readonly rttMs: number | null;
}

/** Null where there is no NAT to be profiled, or nobody to ask. */
export function profileTarget({ underNat, publicAddress, mapping, servers }: NatReport): ProfileTarget | null {
  if (underNat !== true) return null;
  const answered = servers.filter(({ mapped }) => mapped !== null && mapped.ip === publicAddress?.ip);
  const best = answered.find(({ otherAddress }) => otherAddress !== null) ?? answered[0];
  if (best === undefined || best.address === null) return null;
  const { address: server, otherAddress, rttMs } = best;
  return { server, second: mapping === 'endpoint-independent' ? null : otherAddress, rttMs };
}

export interface SampleOptions {
  readonly open: OpenUdp;
  readonly bindAddress: Ip | null;
  readonly signal: AbortSignal;
  /** {@link PROFILE_SAMPLES} */
  readonly count?: number;
}

/** In the order in which they were made. Rejects with CORAX_SOCKET, or with the signal's reason. */
export async function sampleMappings(target: ProfileTarget, options: SampleOptions): Promise<MappingSample[]> {
  const { open, bindAddress, signal, count = PROFILE_SAMPLES } = options;
  const { server, second, rttMs } = target;
  const retransmission = testRetransmission(rttMs, RFC_8489.rtoMs, MIN_RTO_MS);
  const deadline = performance.now() + ALL_MS;
  // All stay open to the end: a port that is used again would find its mapping of before.
  const clients: StunClient[] = [];
  const close = () => {
    for (const client of clients) client.close();
  };
  signal.addEventListener('abort', close, { once: true });
  const samples: MappingSample[] = [];
  try {
    while (samples.length < count && performance.now() < deadline) {
      signal.throwIfAborted();
      const client = await StunClient.open(open, bindAddress);
      clients.push(client);
      for (const to of second === null ? [server] : [server, second]) {
        const localPort = client.localPort ?? 0;
        const outcome = await client.ask({ to, retransmission, deadline });
        if (outcome.kind === 'answered') samples.push({ localPort, mapped: outcome.mapped });
      }
    }
    signal.throwIfAborted();
    return samples.slice(0, count);
  } finally {
    signal.removeEventListener('abort', close);
    close();
  }
}
