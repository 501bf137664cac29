/** What the engine tells unasked, and how its calls fail. Types only. */
import type { XfrmEvent } from './xfrm.js';

/** An error of the kernel's, in its own words. */
export interface NativeError extends Error {
  readonly code: 'CORAX_NETLINK' | 'CORAX_NFT' | 'CORAX_SOCKET' | 'CORAX_PLUTO' | 'CORAX_CLOSED' | 'CORAX_QUEUE_FULL';
  /** Positive errno, 0 where there is none. */
  readonly errno: number;
  /** "EEXIST" */
  readonly errnoName: string;
  /** Extended ACK text (NLMSGERR_ATTR_MSG), or null. */
  readonly extAck: string | null;
}

export type NativeEvent =
  /** Links or addresses changed, or routes, rules or an overlay's entries by somebody else than this engine (coalesced over 50 ms). */
  | { readonly type: 'network' }
  /**
   * A STUN Binding response that came to the raw socket or the STUN tap. Of a flood some 100 are told at a time, the
   * rest is dropped without an overrun: whoever asked asks again.
   */
  | { readonly type: 'raw'; readonly address: string; readonly port: number; readonly payload: Uint8Array }
  /** lostInRow reached 1 or 3, or the first answer came (ever, or after a loss). */
  | {
      readonly type: 'probe';
      readonly id: number;
      readonly lostInRow: number;
      readonly answeredInRow: number;
      readonly rttMs: number | null;
    }
  /**
   * An echo request with our payload came in that has a target's addresses (the other way round) and TOS, by the device
   * by which that target's answers come in, and what it said differs from the last, or is the first since the target
   * was set.
   */
  | { readonly type: 'remote-state'; readonly address: string; readonly tos: number; readonly state: number }
  | XfrmEvent
  /**
   * A handshake that this node began was answered from there; milliseconds between the two packets on the device, by the
   * kernel's stamps. At most 500 a second are told.
   */
  | { readonly type: 'handshake'; readonly address: string; readonly port: number; readonly rttMs: number }
  /** This node answered handshakes of others: told at most ten times a second, however many there were. */
  | { readonly type: 'answered' }
  /** A message of another agent's came in by the tunnel. Of a flood some are dropped, as of 'raw'. */
  | { readonly type: 'rendezvous'; readonly address: string; readonly payload: Uint8Array }
  /** A fan ended: the first right probe came to its socket on localPort, sent to outsidePort; or none did, both are 0. */
  | { readonly type: 'fan'; readonly id: number; readonly localPort: number; readonly outsidePort: number }
  /** A spray ended: of all its probes so many were sent, and so many could not be. */
  | { readonly type: 'spray'; readonly id: number; readonly sent: number; readonly failed: number }
  /**
   * The kernel dropped netlink events (ENOBUFS), the queue to JavaScript was full, or a socket failed: look at
   * everything again. What failed is gone: watchNetwork(), watchXfrm(), rawOpen(), stunTap(), rendezvousOpen() and
   * probeSet() open it anew, the last without the targets of before, which probeSnapshot() then does not list.
   */
  | { readonly type: 'overrun' };
