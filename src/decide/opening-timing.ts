/** Milliseconds of an opening, each with where it comes from. */

/** A question is repeated after this, and given up after so many: the relay plane loses packets too. */
export const ASK_MS = 1_000;
export const ASKS = 3;
/** "Open" and "hit" are repeated after this. */
export const SAY_AGAIN_MS = 500;
/** The fan waits so long for a probe; the spray takes 0.8 s of it. */
export const FAN_MS = 5_000;
/** The fan's own end of time may be lost (the engine failed): then it is this. */
export const FAN_LOST_MS = FAN_MS + 2_000;
/** How long the other end waits for "hit" after it began, and after its last probe: a way there and one back. */
export const SPRAY_MS = FAN_MS;
export const MISSED_MS = 700;
/** "Hit" is said for so long, or until there is a handshake. */
export const HIT_MS = 5_000;
/** After each failed try the next comes so much later; the last is for ever. */
export const PAUSES_MS = [500, 2_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 3_600_000] as const;
/** Who has another try going on is asked again after this, give or take half of it. */
export const BUSY_MS = 4_000;
/**
 * Of many remotes each has its first try at a time of its own, within so much for each of the others: or all the edges that
 * come up at once would ask the same one first.
 */
export const SPREAD_MS = 20;
export const MOST_SPREAD_MS = 10_000;
/** How soon it is looked again for what nobody tells: room in the budget, the relay's round trip. */
export const LOOK_AGAIN_MS = 10_000;

export const LAST_PAUSE_MS = PAUSES_MS[PAUSES_MS.length - 1] as number;
/** Up to this part of a pause is added to it. */
export const JITTER = 0.25;
/** Whether the peer of a way that was given up is gone is looked at so often: that is no event. */
export const WATCH_MS = 1_000;
