/** When a pair tries again: both ends must come to the same moment without talking. */
import { RETRY_MS, SILENCE_MS } from './timing.js';

/** 45 s × 2^6 = 48 min. */
const MAX_DOUBLINGS = 6;
/** A pair that has been direct before comes back sooner. */
const MAX_DOUBLINGS_PROVEN = 0;
const LONGEST_PERIOD_MS = RETRY_MS * 2 ** MAX_DOUBLINGS;
/** No try is further off than this; one that seems to be was set by another clock. */
export const LONGEST_PAUSE_MS = LONGEST_PERIOD_MS + SILENCE_MS;

/**
 * The grid of a pair has the period 45 s × 2^n and an offset of its own, so that a thousand edges do not
 * punch at one instant. A coarser grid's points are points of every finer one: however often each end has
 * failed, the rarer one's tries always meet one of the other's.
 *
 * @param pair the same string at both ends
 * @param failures tries that failed since something changed
 * @returns Unix milliseconds, later than now by {@link SILENCE_MS} and a period at most
 */
export function nextTry(pair: string, failures: number, proven: boolean, now: number): number {
  const doublings = Math.min(Math.max(failures - 1, 0), proven ? MAX_DOUBLINGS_PROVEN : MAX_DOUBLINGS);
  const period = RETRY_MS * 2 ** doublings;
  const offset = fnv1a(pair) % LONGEST_PERIOD_MS;
  const slots = Math.floor((now + SILENCE_MS - offset) / period) + 1;
  return slots * period + offset;
}

/** The same string for both ends of a pair. */
export function pairName(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

/** A fraction in [0, 1) that is always the same for the same text: jitter for a pure function. */
export function fraction(text: string): number {
  return fnv1a(text) / 2 ** 32;
}

/** FNV-1a, 32 bits, with a final mix, because near texts must not give near numbers. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
