/** What tests say of how a pair went direct, in words that the benchmarks read again. */

export interface DirectTimes {
  readonly pair: string;
  /** From when both holes were known, one an end. */
  readonly seconds: readonly number[];
  /** Pings while the path moved, and those that were lost once the first was answered. */
  readonly sent: number;
  readonly lost: number;
}

export function saidOfDirect({ pair, seconds, sent, lost }: DirectTimes): string {
  const times = seconds.map((each) => each.toFixed(2)).join(' and ');
  return `${pair}: ${times} s after both holes were known; ${lost} of ${sent} pings lost`;
}

export function readDirect(text: string): DirectTimes | null {
  const found = /^(.+): ([\d.]+) and ([\d.]+) s after both holes were known; (\d+) of (\d+) pings lost$/.exec(text);
  if (found === null) return null;
  const [, pair = '', one, other, lost, sent] = found;
  return { pair, seconds: [Number(one), Number(other)], sent: Number(sent), lost: Number(lost) };
}

/** @param seconds one an end */
export function saidOfFirstPacket(seconds: readonly number[]): string {
  return `direct ${seconds.map((each) => each.toFixed(2)).join(' and ')} s after the first packet`;
}

export function readFirstPacket(text: string): readonly number[] | null {
  const found = /^direct ([\d.]+) and ([\d.]+) s after the first packet$/.exec(text);
  return found === null ? null : found.slice(1).map(Number);
}
