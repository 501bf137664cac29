/** What corax adds to a packet. */
import type { Case } from '../model.js';

const WHAT = 'TCP through a tunnel';

export const throughputCase: Case = {
  name: 'throughput',
  title: 'Traffic on both planes',
  method:
    'A TCP stream of 4 MiB between two network namespaces with a WireGuard device each: milliseconds a MiB, sending, ' +
    'encrypting, receiving and all else on one processor. *Bare*: the device alone. *Relay plane*, *direct plane*: with ' +
    'corax’s mark and its whole firewall at both ends (identity NAT, hence conntrack; on the direct plane both ports are ' +
    'rewritten, statelessly). *On demand*: the direct plane, and each packet leaves behind whom it went to or came from.',
  tasks: (quick) =>
    quick
      ? []
      : [
          {
            ...{ case: 'throughput', what: WHAT, scale: 1, rounds: 2, times: 3 },
            who: ['bare WireGuard', 'corax, relay plane', 'corax, direct plane', 'corax, on demand'],
          },
        ],
  bars: [],
};
