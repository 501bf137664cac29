/** Milliseconds, each with where it comes from. */

/** WireGuard initiates once in 5 s (REKEY_TIMEOUT); re-adding the peer about once a second gets round it. */
export const RE_ADD_MS = 1_000;
/** Up to so much is added to it, so that two ends never do anything in step. */
export const RE_ADD_JITTER_MS = 300;
/** How much later a symmetric end adds its peer: the store tells both ends at about the same time. */
export const COMES_LAST_MS = 300;
/** The own NAT is opened again with the next TTL after this. */
export const PUNCH_AGAIN_MS = 1_000;
/** TTL 2 passes the own NAT and dies behind it; 3 and 4 are for a NAT behind the NAT. */
export const PUNCH_TTLS = [2, 3, 4] as const;
/**
 * A NAT that keeps strangers' packets in conntrack (many a Linux router) gives the own flow another port when the
 * other end's first packet was there before the own. So that packet comes this much later than the punch: the
 * store tells both ends at about the same time.
 */
export const HOLD_BACK_MS = 500;
/** A try without a handshake ends after this. */
export const ATTEMPT_MS = 10_000;
/** The finest step of the retry grid. */
export const RETRY_MS = 45_000;
/** Between two tries nothing is sent for longer than conntrack remembers an unanswered UDP packet: 30 s. */
export const SILENCE_MS = 33_000;
/** A handshake without one answered full-size probe is given up after this. */
export const UNPROVEN_MS = 30_000;
/** Nothing is done to a peer that received something so recently: the other end may be using it. */
export const IN_USE_MS = 10_000;
/** A relay-plane peer that sends keepalives every 5 s and was not heard for this long is looked for where it was published. */
export const SILENT_MS = 15_000;
/** With libreswan a tunnel to a relay that loses its probes is made anew where nothing was received for this long. */
export const LOST_MS = 2_500;
/** WireGuard drops a session at this age (REJECT_AFTER_TIME). */
export const SESSION_MS = 180_000;
/** WireGuard owes a packet within 10 s (KEEPALIVE_TIMEOUT) while we send; two more for the way. */
export const PASSIVE_DEAD_MS = 12_000;
/**
 * A relay plane that lives and on which so many probes went unanswered for so long, and none ever was answered:
 * the other end answers none (a firewall that drops ICMP), and is judged by WireGuard's packets.
 */
export const UNANSWERED_MS = 15_000;
export const UNANSWERED_PROBES = 10;
/** Probes lost in a row that make a plane dead. */
export const LOST_IN_ROW = 3;
/** Answers in a row that a direct plane needs before it carries traffic. */
export const ANSWERS_NEEDED = 2;
/** The tunnels of a node that held its gateway's, and remotes' peers of it, stand so long after the store named another. */
export const HANDOVER_HEARD_MS = 10_000;
/** A session that stands so long has the subnets at its other end too, though no probe was answered. */
export const HANDOVER_SESSION_MS = 400;
/** The node that holds the tunnel now asks for a session again after this, and then less often: {@link RE_ADD_MS}. */
export const HANDOVER_ASK_MS = 250;
/** Between its probes, of which the first answer turns traffic to its tunnel; and how many a second there are at most. */
export const HANDOVER_PROBE_MS = 50;
export const HANDOVER_PROBES_PER_S = 1_000;
/** A remote's subnets stay with the peer of before no longer than this, if the one of now never has a session. */
export const HANDOVER_MS = 30_000;
/** How long a plane that failed must answer before it is trusted again: doubled at each failure, up to. */
export const TRUST_MS = 2_000;
export const TRUST_MAX_MS = 300_000;
/** A direct path that held this long has its failures forgiven. */
export const FORGIVE_MS = 600_000;
/** After an adopted direct path's first sight, probes get this long to say whether it lives. */
export const ADOPTED_MS = 5_000;
/** The ends' paths may differ this long before it is an error in status. */
export const DIFFER_MS = 30_000;

/**
 * Is what was remembered no longer ago than that? A time further ahead than that was remembered before the clock
 * was set back, and counts as long ago.
 */
export function isWithin(ms: number, at: number, now: number): boolean {
  return Math.abs(now - at) <= ms;
}

/** A direct plane that is given on demand goes when there was no traffic for so long. */
export const DEMAND_MS = 600_000;

/** Between probes: on the plane in use and on a candidate; on the idle relay plane; after a loss. */
export const PROBE_MS = 1_000;
export const PROBE_CANDIDATE_MS = 250;
export const PROBE_IDLE_MS = 5_000;
export const PROBE_FAST_MS = 250;
/** All idle probes of a node together stay under so many a second. */
export const IDLE_PROBES_PER_S = 200;
