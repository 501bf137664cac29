/** WireGuard devices: peers to program, what the kernel has, and what changed since. */

/**
 * Peers to program, one entry a peer, as columns. The flags say which of the other columns count.
 * `allowedIps` holds 18 bytes each: family (4 or 6), prefix length, 16 address bytes; those of peer i are
 * entries allowedIpOffsets[i] up to allowedIpOffsets[i + 1].
 */
export interface PeerColumns {
  readonly count: number;
  /** 32 bytes a peer. */
  readonly publicKeys: Uint8Array;
  /** Bits of {@link PeerFlag}. */
  readonly flags: Uint8Array;
  /** 32 bytes a peer; read where PresharedKey is set. */
  readonly presharedKeys: Uint8Array;
  /** 16 bytes a peer; read where Endpoint is set. */
  readonly endpointAddresses: Uint8Array;
  readonly endpointPorts: Uint16Array;
  /** Seconds; read where Keepalive is set. */
  readonly keepalives: Uint16Array;
  /** count + 1 entries. */
  readonly allowedIpOffsets: Uint32Array;
  readonly allowedIps: Uint8Array;
}

export const PeerFlag = {
  Remove: 1,
  ReplaceAllowedIps: 2,
  UpdateOnly: 4,
  Endpoint: 8,
  PresharedKey: 16,
  Keepalive: 32,
} as const;

/** What the kernel says of a WireGuard device (WG_CMD_GET_DEVICE). The private key never leaves native code. */
export interface WgDevice {
  readonly ifindex: number;
  /** 32 bytes, or null while the device has no private key. */
  readonly publicKey: Uint8Array | null;
  readonly listenPort: number;
  readonly fwmark: number;
}

/** Peers as the kernel has them, in dump order. */
export interface WgSnapshot extends WgDevice {
  readonly count: number;
  readonly publicKeys: Uint8Array;
  /** 16 bytes a peer; all zero, and port 0, where the kernel knows no endpoint. */
  readonly endpointAddresses: Uint8Array;
  readonly endpointPorts: Uint16Array;
  readonly keepalives: Uint16Array;
  /** Unix time in seconds with fraction; 0 = never. */
  readonly lastHandshakes: Float64Array;
  readonly rxBytes: Float64Array;
  readonly txBytes: Float64Array;
  readonly allowedIpOffsets: Uint32Array;
  /** As in {@link PeerColumns}. */
  readonly allowedIps: Uint8Array;
}

export const ChangeFlag = {
  Added: 1,
  Removed: 2,
  Endpoint: 4,
  Handshake: 8,
  /** rx or tx bytes. Alone: nothing else changed. */
  Counters: 16,
  AllowedIps: 32,
} as const;

/**
 * What differs from the snapshot that the engine holds for this device (which it then replaces; wgSnapshot()
 * leaves it alone): the peers that changed, as a snapshot's columns, and how. Without an earlier snapshot
 * everything is Added.
 */
export interface WgDelta extends WgSnapshot {
  /** Bits of {@link ChangeFlag}, one entry a peer. */
  readonly changes: Uint8Array;
  /** Peers on the device in all. */
  readonly total: number;
}
