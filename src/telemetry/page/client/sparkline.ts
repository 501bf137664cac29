/** The two planes' round trips as lines on one scale, so that they can be compared. */
import type { Trace } from './state.js';

export const WIDTH = 96;
export const HEIGHT = 26;
/** Milliseconds: below this, differences are no news. */
const LEAST_TOP = 5;
const HEADROOM = 1.15;

/** The value at the upper edge: the same for both planes of a peer. Milliseconds. */
export function topOf({ relay, direct }: Trace): number {
  let top = LEAST_TOP;
  for (const value of relay) if (value > top) top = value;
  for (const value of direct) if (value > top) top = value;
  return top * HEADROOM;
}

/** An SVG path's `d`; broken where there was no answer, and empty where there never was one. */
export function lineOf(values: Float32Array, top: number): string {
  const step = WIDTH / (values.length - 1);
  let d = '';
  let pen = false;
  values.forEach((value, index) => {
    if (Number.isNaN(value)) {
      pen = false;
      return;
    }
    const x = (index * step).toFixed(1);
    const y = (HEIGHT - (Math.min(value, top) / top) * HEIGHT).toFixed(1);
    // A single answer is a dot: a line of no length with round ends
    d += pen ? `L${x} ${y}` : `M${x} ${y}h0`;
    pen = true;
  });
  return d;
}
