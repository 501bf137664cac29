/** Names and numbers that a half-upgraded cluster has to agree on with raven-agent, and those beside them. */

export type Plane = 'relay' | 'direct';
export const PLANES = ['relay', 'direct'] as const satisfies readonly Plane[];

/** The one port that leaves the node: the hole belongs to it (raven's `--vpn-bind-port`). */
export const TUNNEL_PORT = 4500;
/** Where the direct plane's device listens; two stateless rules make it look like {@link TUNNEL_PORT}. */
export const DIRECT_PORT = 4501;

/** Where agents talk to each other inside the tunnel, by the relay plane, from and to this port. */
export const RENDEZVOUS_PORT = 4502;

export function isPort(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65_535;
}

export type DriverName = 'wireguard' | 'libreswan';
export type Devices = Readonly<Record<Plane, string>>;
/** WireGuard's; the first is raven's. */
export const DEVICES: Devices = { relay: 'raven-wg0', direct: 'raven-wg1' };
/**
 * XFRM interfaces' if_ids. pluto calls the interface of number N ipsecN and marks packets with N: clear of the marks
 * that {@link TUNNEL_FWMARK} keeps clear of.
 */
export const IF_IDS: Readonly<Record<Plane, number>> = { relay: 4500, direct: 4501 };
export const DRIVER_DEVICES: Readonly<Record<DriverName, Devices>> = {
  wireguard: DEVICES,
  libreswan: { relay: `ipsec${IF_IDS.relay}`, direct: `ipsec${IF_IDS.direct}` },
};

/** The plane that the device is for, whatever the driver; null where it is none of ours. */
export function planeOfDevice(device: string): Plane | null {
  const all = Object.values(DRIVER_DEVICES);
  return PLANES.find((plane) => all.some((devices) => devices[plane] === device)) ?? null;
}

/** Seconds; raven's. NATs keep a UDP mapping for 30 s at the least that is seen in the field (RFC 4787 4.3 asks for 2 min). */
export const KEEPALIVE_S = 5;
/** What WireGuard, UDP and IPv6 take of the underlay's MTU; raven subtracts the same. */
export const MTU_OVERHEAD = 80;

/**
 * Routing tables: `path` is raven's and carries traffic, `direct` and `relay` carry the probes of one plane each, `overlay`
 * is raven's for the nodes of one gateway among themselves, `former` is the tunnels of a node that gave its part away.
 */
export const TABLES = { overlay: 9027, path: 9028, direct: 9029, relay: 9030, former: 9031 } as const;

/**
 * Rule priorities. The tunnel's own packets leave by the main table before anything of ours can catch
 * them; 100 is raven's for {@link TABLES}.overlay, beside which `former` has its own mark; 101 is raven's for {@link TABLES}.path.
 */
export const RULE_PRIORITY = { underlay: 97, direct: 98, relay: 99, overlay: 100, former: 100, path: 101 } as const;

/** Marks the tunnel's own packets. Clear of kube-proxy's bits 0x4000 and 0x8000 and of raven's 0x40. */
export const TUNNEL_FWMARK = 0x1194;

/**
 * The IP TOS byte of a probe names its plane. The kernel copies it into the echo reply (RFC 1122 3.2.2.6),
 * so the reply is routed by the same rule at the other end. Only bits 0x1c take part in a rule's match.
 */
export const PROBE_TOS: Readonly<Record<Plane, number>> = { direct: 0x10, relay: 0x08 };

/** A route of this metric, unreachable, lies below every tunnel route: pod packets never leave in the clear. */
export const UNREACHABLE_METRIC = 9000;

/** Up to so many remote edges get a direct plane each without being asked for. */
export const DIRECT_ALL_LIMIT = 100;
