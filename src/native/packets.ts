/** What is sent and heard beside netlink: raw packets, fans and sprays, probes. Types only. */

/** A packet to send from a raw IPPROTO_UDP socket; it shares the tunnel port's NAT mapping. */
export interface RawPacket {
  readonly sourcePort: number;
  readonly address: string;
  readonly port: number;
  /** IP TTL, 1–255. */
  readonly ttl: number;
  /** At most 1,472 bytes. */
  readonly payload: Uint8Array;
}

export interface FanOptions {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly sockets: number;
  /** 1–255 */
  readonly ttl: number;
  readonly fwmark: number;
  readonly token: Uint8Array;
  /** Up to 60,000. */
  readonly lifeMs: number;
}

export interface SprayOptions {
  readonly id: number;
  readonly sourcePort: number;
  readonly address: string;
  /** Both included. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly token: Uint8Array;
}

export interface ProbeTarget {
  /** Chosen by the caller, unique, 0–2^32−1; names the target in every answer. */
  readonly id: number;
  /** IPv4 probe addresses. */
  readonly source: string;
  readonly destination: string;
  /** IP TOS byte: picks the plane by rule. */
  readonly tos: number;
  /** Between probes while all is well. After a lost one the next follow every fastIntervalMs. */
  readonly intervalMs: number;
  readonly fastIntervalMs: number;
  /** Bytes of the whole IP packet, 64 up; sent with DF. */
  readonly size: number;
  /** Carried in the payload, 0–255: the path that this node is on. The other end reads it as remoteState. */
  readonly state: number;
}

/** Results, one entry a target, as columns; counters run from the target's (re-)creation. */
export interface ProbeSnapshot {
  readonly count: number;
  readonly ids: Uint32Array;
  readonly sent: Float64Array;
  readonly received: Float64Array;
  readonly lost: Float64Array;
  /** Answers that came after their probe was counted as lost; they stay lost. */
  readonly late: Float64Array;
  /** Milliseconds: the latest, smoothed (RFC 6298 2) and its mean deviation; NaN before the first answer. */
  readonly lastRttMs: Float64Array;
  readonly smoothedRttMs: Float64Array;
  readonly jitterMs: Float64Array;
  /** Unix time in seconds of the latest answer; 0 = none. */
  readonly lastReply: Float64Array;
  readonly lostInRow: Uint32Array;
  readonly answeredInRow: Uint32Array;
  /** Size of the largest probe answered since the target's size was last set. */
  readonly answeredSize: Uint32Array;
  /** Fraction of the latest up to 32 probes that were lost. */
  readonly loss: Float64Array;
}
