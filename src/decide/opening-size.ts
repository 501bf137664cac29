/** How much an opening takes. */

/** Sockets of the hard end, each a mapping at its NAT; probes of the easy end, each an entry in its NAT's table. */
export const FAN_SOCKETS = 256;
export const SPRAY_PROBES = 1_024;
/** Of this end's NAT where its next port is asked for: a socket's mapping towards the one server, and towards the other. */
export const SAMPLE_MAPPINGS = 2;
