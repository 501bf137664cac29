/** What the demo, inside its setting, tells the person's side of it: lines of JSON. */
import type { NatKind } from '../net/nat.js';

export const DEMO_PREFIX = '\u0001corax demo ';

/** One pair of NATs, as --json reports it. Times in milliseconds; null where there was none. */
export interface PairResult {
  readonly natA: NatKind;
  readonly natB: NatKind;
  /** The path at the end, seen from edge-a. */
  readonly path: 'direct' | 'relay' | null;
  /** Why, in edge-a's words. */
  readonly reason: string | null;
  /** Whether this pair of NATs lets a direct path through (the proposal's figure 2). */
  readonly allowed: boolean;
  /** From the first ping by the relay until both ends send direct. */
  readonly timeToDirectMs: number | null;
  readonly rttRelayMs: number | null;
  readonly rttDirectMs: number | null;
  /** Pings from pod to pod, sent once the first was answered. */
  readonly sent: number;
  readonly lost: number;
}

export interface EdgeView {
  readonly name: string;
  readonly natType: string | null;
  readonly hole: string | null;
  readonly path: 'direct' | 'relay' | null;
  readonly reason: string | null;
}

export type DemoEvent =
  | { readonly type: 'step'; readonly text: string }
  | { readonly type: 'edge'; readonly edge: EdgeView; readonly harvested: string | null }
  | { readonly type: 'pings'; readonly received: number; readonly rttMs: number; readonly path: string }
  | { readonly type: 'result'; readonly result: PairResult }
  | { readonly type: 'keep'; readonly lines: readonly string[] };

export function parseDemoEvent(line: string): DemoEvent | null {
  return line.startsWith(DEMO_PREFIX) ? (JSON.parse(line.slice(DEMO_PREFIX.length)) as DemoEvent) : null;
}
