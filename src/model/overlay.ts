/** Numbers of raven's overlay inside a gateway: a VXLAN (RFC 7348) between its nodes. A half-upgraded site agrees on them. */
import { type Ip, ipFromBytes, ipToBytes } from './address.js';

export const OVERLAY = {
  device: 'raven0',
  vni: 200,
  port: 4472,
  /** Its address is in class E, which nobody else uses: 240.0.0.0/8. */
  prefixLength: 8,
  /** Bytes that VXLAN over IPv4 takes of the underlay's MTU. */
  overhead: 50,
  /** On the gateway node: marks what came out of a tunnel. */
  mark: 0x40,
  /** On the node that was it until a moment ago: marks what the gateway's nodes send on by its tunnels. */
  onwardMark: 0x41,
} as const;

const NET = 240;
const MAC_PREFIX = [0xaa, 0x0f];

/** An Ethernet address, "aa:0f:f0:00:00:02". */
export type Mac = string;

/** The node's address on the overlay, from its private IPv4 address: 192.168.1.2 → 240.168.1.2. */
export function overlayAddress(privateIp: Ip): Ip {
  return ipFromBytes(Uint8Array.of(NET, ...ipToBytes(privateIp).subarray(1)));
}

/** The node's MAC on the overlay: nobody has to be asked for it. */
export function overlayMac(privateIp: Ip): Mac {
  const bytes = [...MAC_PREFIX, ...ipToBytes(overlayAddress(privateIp))];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function isOverlayAddress(ip: Ip): boolean {
  return ip.startsWith(`${NET}.`);
}
