/** Ranges of UDP ports. */

/** Both ends included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** What a NAT may give out: not the well-known ports (RFC 4787 4.2.1, REQ-3). */
export const ALL_PORTS: PortRange = { first: 1_024, last: 65_535 };

export function sizeOf({ first, last }: PortRange): number {
  return last - first + 1;
}
