/**
 * pluto's control socket, as native/binding/pluto_object.cc serves it: a thread of its own, one connection a command,
 * one command at a time. src/native.ts opens it.
 */

/** One end of a connection. */
export interface PlutoEnd {
  /** As ipsec.conf has it: "@…" for a name that is never looked up. 1–512 printable bytes without spaces and quotes. */
  readonly id: string;
  /** An address; null = whoever comes (%any), on one end at most. */
  readonly host: string | null;
  /** UDP port that this end is spoken to on from the first packet on; null = 500, then 4500 as IKE finds out (RFC 7296 2.23). */
  readonly ikePort: number | null;
  /** The one subnet behind it, a CIDR without host bits. */
  readonly client: string;
}

/**
 * IKEv2, tunnel mode, PSK, UDP encapsulation forced, no updown script, and restarted by DPD: pluto aborts where a
 * request stays unanswered and dpd_action says nothing. Who begins says INITIAL_CONTACT (RFC 7296, section 2.4): what the
 * other end still has of a connection that was lost goes, or its SAs would stay until they are old. What is not here is as
 * whack would have it.
 */
export interface PlutoConnection {
  readonly local: PlutoEnd;
  readonly remote: PlutoEnd;
  /** Seconds of silence before the remote is asked whether it lives, 1–3600. */
  readonly dpdDelayS: number;
  /** Once the remote is taken to be dead: begin anew, or wait until it does. */
  readonly dpdAction: 'clear' | 'restart';
  /** Seconds until an unanswered request, DPD's too, is given up, 1–3600. */
  readonly retransmitTimeoutS: number;
  /** Milliseconds to the first retransmission; each one after waits twice as long. 1–60,000. */
  readonly retransmitIntervalMs: number;
  /** XFRM interface ID, 1–2^31−1, which pluto makes as "ipsec<N>" if need be; null = none. */
  readonly ifId: number | null;
  /** By which SAs and policies of the kernel's are known as this connection's, 1–16383. */
  readonly reqid: number;
  /** Proposals; null = pluto's own. */
  readonly ike: string | null;
  readonly esp: string | null;
}

export type PlutoCommand =
  | { readonly op: 'listen' | 'rereadsecrets' | 'status' | 'showstates' | 'trafficstatus' | 'shutdown' }
  /**
   * What is said to one connection, in the order in which pluto does it: delete, add, route or unroute, initiate or
   * terminate. At least one of them. All is asynchronous: pluto answers before any packet is.
   */
  | {
      readonly op: 'connection';
      /** 1–512 printable bytes without spaces and quotes. */
      readonly name: string;
      readonly delete?: boolean;
      readonly add?: PlutoConnection;
      readonly route?: boolean;
      readonly unroute?: boolean;
      readonly initiate?: boolean;
      readonly terminate?: boolean;
    };

export interface PlutoLine {
  /** RC_*: 0 comment, 2 log, 3 serious log, 20–99 a refusal, 100 and up a state or notification of IKE's. */
  readonly code: number;
  /** Printable ASCII; what is not stands as "?". */
  readonly text: string;
}

export interface PlutoReply {
  readonly lines: readonly PlutoLine[];
}

export interface Pluto {
  /** Asks by basic status, which every version understands. Costs what status costs: ask before connections are loaded. */
  version(): Promise<{ readonly version: string; readonly vendor: string }>;
  /**
   * Sends one command in the layout of that version of pluto (one of plutoLayouts(), else a TypeError). A reply that
   * says no resolves, like any other. Rejects with CORAX_PLUTO where there was no reply that is one: no socket, time-out,
   * cut off, too long, something else than pluto.
   */
  send(layout: string, command: PlutoCommand): Promise<PlutoReply>;
  /** Ends the thread, in mid-read too; what is pending is rejected with CORAX_CLOSED. Idempotent. */
  close(): void;
}

export interface PlutoOptions {
  /** For one command, from its connect() to the end of the reply, 1–600,000. Default 15,000. */
  readonly timeoutMs?: number;
}
