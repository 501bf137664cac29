/** IPsec as the kernel has it (NETLINK_XFRM): what src/native.ts says in columns and events. Types only. */

/**
 * The security associations (SAs) of this network namespace, in the kernel's order, one entry an SA. Which way one
 * goes is not told (before 6.10): outbound is one whose source is the node's own address. What only holds the place of an
 * SA to come (that of an acquire, or a reserved SPI) is left out. A list that changes while it is read is whole all the
 * same, but what was added meanwhile may be missing.
 */
export interface XfrmStates {
  readonly count: number;
  /** 16 bytes each: the tunnel's ends. */
  readonly sources: Uint8Array;
  readonly destinations: Uint8Array;
  readonly spis: Uint32Array;
  /** Who it belongs to: the reqid of its policies. */
  readonly reqids: Uint32Array;
  /** Of the XFRM interface that it serves; 0 = none. */
  readonly ifIds: Uint32Array;
  /** XFRMA_MARK; with mask 0 none. Part of what tells an SA, and nearly always 0. */
  readonly marks: Uint32Array;
  readonly markMasks: Uint32Array;
  /** IPPROTO_*: 50 ESP, 51 AH */
  readonly protocols: Uint8Array;
  /** XFRM_MODE_*: 0 transport, 1 tunnel */
  readonly modes: Uint8Array;
  /** Of ESP in UDP (RFC 3948), as its packets have them; both 0 = not in UDP. An inbound SA's source is the hole. */
  readonly encapSourcePorts: Uint16Array;
  readonly encapDestinationPorts: Uint16Array;
  readonly bytes: Float64Array;
  readonly packets: Float64Array;
  /** Unix time in seconds, whole; 0 = never. */
  readonly addedAt: Float64Array;
  /** Of the first packet. */
  readonly usedAt: Float64Array;
  /** Of the latest packet; 0 also where the kernel does not say (6.1 does not). */
  readonly lastUsedAt: Float64Array;
}

/**
 * What differs from the snapshot that the engine holds (which it then replaces; xfrmSnapshot() leaves it alone).
 * SAs are told by destination, SPI, protocol and mark. One that comes under the same and is another (reqid, ifId or
 * addedAt differ) is Added again.
 */
export interface XfrmDelta extends XfrmStates {
  /** Bits of ChangeFlag: Added, Removed, Endpoint (source or encapsulation), Counters. */
  readonly changes: Uint8Array;
  /** SAs in all. */
  readonly total: number;
}

/** The policies of this network namespace, without those of single sockets, one entry a policy. */
export interface XfrmPolicies {
  readonly count: number;
  /** The selector; 18 bytes each: family (4 or 6), prefix length, 16 address bytes. */
  readonly sources: Uint8Array;
  readonly destinations: Uint8Array;
  /** 0 in, 1 out, 2 forward */
  readonly directions: Uint8Array;
  /** 0 allow, 1 block */
  readonly actions: Uint8Array;
  /** The kernel's number for it; one that is replaced keeps it. */
  readonly indexes: Uint32Array;
  readonly priorities: Uint32Array;
  readonly ifIds: Uint32Array;
  /** As in {@link XfrmStates}. */
  readonly marks: Uint32Array;
  readonly markMasks: Uint32Array;
  /** Of the first template, the SA that it asks for: IPPROTO_*, 0 where it has none, as the rest is then. */
  readonly templateProtocols: Uint8Array;
  readonly templateReqids: Uint32Array;
  /** 16 bytes each. */
  readonly templateSources: Uint8Array;
  readonly templateDestinations: Uint8Array;
}

/** What tells an SA. */
export interface XfrmStateId {
  readonly destination: string;
  /** At least 1. */
  readonly spi: number;
  readonly protocol: number;
  readonly mark?: number;
  readonly markMask?: number;
}

/** What tells a policy, as {@link XfrmPolicies} has it. */
export interface XfrmPolicyId {
  readonly direction: 0 | 1 | 2;
  /** At least 1. */
  readonly index: number;
  readonly ifId: number;
  readonly mark?: number;
  readonly markMask?: number;
}

export interface XfrmDeletions {
  readonly states?: readonly XfrmStateId[];
  readonly policies?: readonly XfrmPolicyId[];
}

export type XfrmEvent =
  /**
   * A genuine packet of an inbound SA came from elsewhere than its source: the peer's hole is at `address` and `port`
   * now. The SA still has the old one until it is updated, and so does the outbound one.
   */
  | {
      readonly type: 'xfrm';
      readonly event: 'mapping';
      readonly reqid: number;
      readonly spi: number;
      readonly destination: string;
      readonly address: string;
      readonly port: number;
    }
  /** An SA reached a limit: a soft one, or a hard one and it is gone. spi 0: an acquire that nobody answered. */
  | {
      readonly type: 'xfrm';
      readonly event: 'expire';
      readonly reqid: number;
      readonly ifId: number;
      readonly spi: number;
      readonly source: string;
      readonly destination: string;
      readonly hard: boolean;
    }
  /** Something is to be sent for which there is a policy and no SA. */
  | {
      readonly type: 'xfrm';
      readonly event: 'acquire';
      readonly reqid: number;
      readonly ifId: number;
      readonly source: string;
      readonly destination: string;
    };
