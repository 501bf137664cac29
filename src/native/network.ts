/** Links, addresses, routes, rules and an overlay's entries (NETLINK_ROUTE): what is read, and what is to be done. */

/** Of a VXLAN device (RFC 7348). */
export interface Vxlan {
  readonly vni: number;
  readonly port: number;
  /** It learns from what comes in which MAC is behind which host. */
  readonly learning: boolean;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND, for example "wireguard", "bridge", "veth"; null for a physical device. */
  readonly kind: string | null;
  /** IFLA_XFRM_IF_ID of an "xfrm" device: whose policies and SAs are its own; else null. */
  readonly ifId: number | null;
  /** Of a "vxlan" device; else null. */
  readonly vxlan: Vxlan | null;
  /** "aa:0f:f0:00:00:02"; null where it has none of six bytes. */
  readonly mac: string | null;
  readonly mtu: number;
  /** IFF_UP */
  readonly up: boolean;
  /** IFF_LOWER_UP: has a carrier */
  readonly running: boolean;
}

export interface Address {
  readonly ifindex: number;
  readonly address: string;
  readonly prefixLength: number;
  /** RT_SCOPE_*: 0 global, 253 link, 254 host */
  readonly scope: number;
}

/** Of a device: behind which host a MAC is ("fdb", of a VXLAN device), or who has an address ("arp"). */
export interface Neighbour {
  readonly kind: 'fdb' | 'arp';
  readonly mac: string;
  /** IPv4 or, of an FDB, IPv6. */
  readonly address: string;
  /** NUD_PERMANENT: set by somebody, and not found out. */
  readonly permanent: boolean;
}

export interface Route {
  readonly table: number;
  /** Destination as a CIDR; "0.0.0.0/0" and "::/0" are the default routes. */
  readonly destination: string;
  /** RTN_*: 1 unicast, 2 local, 7 unreachable */
  readonly type: number;
  readonly metric: number;
  readonly oif: number | null;
  readonly gateway: string | null;
  readonly source: string | null;
  /** RTPROT_*; ours are {@link ROUTE_PROTOCOL}. */
  readonly protocol: number;
}

/** Routes of one table, IPv4's first, one entry a route, as columns: there may be tens of thousands. */
export interface RouteColumns {
  readonly table: number;
  readonly count: number;
  /** 18 bytes each: family (4 or 6), prefix length, 16 address bytes. */
  readonly destinations: Uint8Array;
  /** As in {@link Route}, and so on. */
  readonly types: Uint8Array;
  readonly protocols: Uint8Array;
  readonly metrics: Uint32Array;
  /** 0 = none. */
  readonly oifs: Uint32Array;
  /** 16 bytes each; all zero = none. */
  readonly gateways: Uint8Array;
  /** 16 bytes each; all zero = none. */
  readonly sources: Uint8Array;
}

export interface Rule {
  readonly priority: number;
  readonly family: 4 | 6;
  readonly table: number;
  /** As a CIDR. */
  readonly source: string | null;
  readonly tos: number;
  readonly fwmark: number;
  readonly fwmask: number;
  /** FRA_PROTOCOL: who made the rule. */
  readonly protocol: number;
  /** FRA_IP_PROTO: the transport that the rule is for; 0 = any. */
  readonly ipProtocol: number;
  /** It has more selectors than these (destination, device, port, "not" …), or does not look up a table. */
  readonly other: boolean;
}

/**
 * RTPROT of every route and rule of ours: free in linux/rtnetlink.h and /etc/iproute2/rt_protos, and none of
 * those that FRR takes for its own and clears away (191–198), so that ours are known as ours.
 */
export const ROUTE_PROTOCOL = 0xcc;

export type NetworkOp =
  | { readonly op: 'link-create'; readonly name: string; readonly kind: 'wireguard' }
  | {
      readonly op: 'link-create';
      readonly name: string;
      readonly kind: 'xfrm';
      /** At least 1. One that is there already with this kind and another ifId is EEXIST. */
      readonly ifId: number;
      /** IFLA_XFRM_LINK, the device below; absent = none. */
      readonly link?: string;
    }
  | {
      readonly op: 'link-create';
      readonly name: string;
      readonly kind: 'vxlan';
      /** 24 bits. One that is there already with this kind and other settings or another MAC is EEXIST. */
      readonly vni: number;
      readonly port: number;
      /** The device's own. It does not learn others'. */
      readonly mac: string;
    }
  | {
      /** `mac` is behind the host `address` (IPv4). One entry a MAC. */
      readonly op: 'fdb-replace' | 'fdb-delete';
      readonly device: string;
      readonly mac: string;
      readonly address: string;
    }
  | {
      /** `mac` has the address (IPv4), and is not to be asked for. */
      readonly op: 'neighbour-replace' | 'neighbour-delete';
      readonly device: string;
      readonly mac: string;
      readonly address: string;
    }
  | { readonly op: 'link-delete'; readonly name: string }
  | {
      readonly op: 'link-set';
      readonly name: string;
      readonly mtu?: number;
      readonly up?: boolean;
      /** net.ipv4.conf.NAME.rp_filter, over netlink (IFLA_INET_CONF), because /proc/sys may be read-only. */
      readonly rpFilter?: 0 | 1 | 2;
      /** net.ipv4.conf.NAME.forwarding, likewise. */
      readonly forwarding?: boolean;
    }
  | {
      readonly op: 'address-add' | 'address-delete';
      readonly device: string;
      readonly address: string;
      readonly prefixLength: number;
      /** Never taken as the source of what leaves by another device. Absent: global. */
      readonly scope?: 'link';
    }
  | {
      /** NLM_F_REPLACE | NLM_F_CREATE: one atomic change. */
      readonly op: 'route-replace' | 'route-delete';
      readonly table: number;
      readonly destination: string;
      readonly metric?: number;
      /** Absent with type unreachable. */
      readonly device?: string;
      /** On the device's link, whatever addresses the device has (onlink). */
      readonly gateway?: string;
      readonly source?: string;
      readonly type?: 'unicast' | 'unreachable';
    }
  | {
      readonly op: 'rule-add' | 'rule-delete';
      readonly family: 4 | 6;
      readonly priority: number;
      readonly table: number;
      /** A CIDR, or an address: the prefix that holds it alone. */
      readonly source?: string;
      readonly tos?: number;
      readonly fwmark?: number;
      /** FRA_IP_PROTO, 1–255 */
      readonly ipProtocol?: number;
    };
