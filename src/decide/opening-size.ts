/** How much an opening takes. */
import type { PortRange } from '../model/opening.js';

/** Sockets of the hard end, each a mapping at its NAT; probes of the easy end, each an entry in its NAT's table. */
export const FAN_SOCKETS = 256;
export const SPRAY_PROBES = 1_024;
/** Of this end's NAT where its next port is asked for: a socket's mapping towards the one server, and towards the other. */
export const SAMPLE_MAPPINGS = 2;
/** Ports that a NAT gives out where nothing more is known (RFC 4787 4.3 keeps clear of those below 1,024). */
export const ALL_PORTS: PortRange = { first: 1_024, last: 65_535 };
