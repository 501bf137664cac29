/** Port mappings that a router grants: who asks how, and what came of it. */
import type { HostPort, Ip } from './address.js';

/** In the order in which they are tried. */
export const MAPPING_PROTOCOLS = ['pcp', 'nat-pmp', 'upnp'] as const;
export type MappingProtocol = (typeof MAPPING_PROTOCOLS)[number];

/** What a person calls them. */
export const MAPPING_TITLES: Readonly<Record<MappingProtocol, string>> = {
  pcp: 'PCP',
  'nat-pmp': 'NAT-PMP',
  upnp: 'UPnP',
};

/** What `--port-mapping` may say; `auto` tries all with WireGuard, and nothing with libreswan. */
export type MappingPolicy = 'auto' | 'on' | 'off' | MappingProtocol;

export interface PortMapping {
  readonly protocol: MappingProtocol;
  /** Who granted it. */
  readonly router: Ip;
  /** Whoever sends to it reaches the tunnel's port on this node. */
  readonly external: HostPort;
  /** Unix milliseconds; it is renewed long before. */
  readonly expiresAt: number;
}

/** How the asking stands. */
export interface MappingState {
  /** The router was asked, and answered or did not. */
  readonly asked: boolean;
  readonly mapping: PortMapping | null;
  /** One sentence: why there is none, or what stands. */
  readonly reason: string;
}
