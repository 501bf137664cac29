/** What is made of figures: medians, ratios, and whether a bar is met. */
import type { Bar, Figure, Subject } from '../model.js';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** (largest − smallest) ÷ smallest */
export function spread(values: readonly number[]): number {
  const least = Math.min(...values);
  return (Math.max(...values) - least) / least;
}

export interface Verdict {
  readonly bar: Bar;
  readonly met: boolean;
  /** In the bar's own terms: a ratio, a difference, or the figure itself. */
  readonly value: number;
}

/** Bars whose figures were taken in this run. */
export function judge(bars: readonly Bar[], figures: readonly Figure[]): Verdict[] {
  return bars.flatMap((bar) => {
    const ours = find(figures, bar, bar.who, bar.clock);
    const theirs = bar.against && find(figures, { ...bar, ...bar.against }, bar.against.who, bar.clock);
    if (ours === undefined || (bar.against !== undefined && theirs === undefined)) return [];
    const [own, other] = [median(ours.values), theirs === undefined ? 0 : median(theirs.values)];
    return [verdict(bar, own, other)];
  });
}

function verdict(bar: Bar, own: number, other: number): Verdict {
  const { kind, value: limit } = bar.limit;
  switch (kind) {
    case 'at most times':
      return { bar, value: own / other, met: own / other <= limit };
    case 'at least times faster':
      return { bar, value: other / own, met: other / own >= limit };
    case 'at most ms more':
      return { bar, value: own - other, met: own - other <= limit };
    case 'at most':
      return { bar, value: own, met: own <= limit };
  }
}

function find(figures: readonly Figure[], subject: Subject, who: string, clock: Figure['clock']): Figure | undefined {
  return figures.find(
    (figure) =>
      figure.case === subject.case &&
      figure.what === subject.what &&
      figure.scale === subject.scale &&
      figure.who === who &&
      figure.clock === clock,
  );
}

/** Three significant digits, and no exponent. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value !== 0 && Math.abs(value) < 0.001) return value.toPrecision(1);
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value) || 1)));
  return Number(value.toPrecision(3)).toLocaleString('en', { maximumFractionDigits: Math.min(digits, 4) });
}

export function verdictText({ bar, value, met }: Verdict): { bar: string; value: string; met: string } {
  const { limit, against, what, scale, who } = bar;
  const name = against && `${against.who}${against.scale ? ` at ${against.scale.toLocaleString('en')}` : ''}`;
  const subject = `${what}, ${scale.toLocaleString('en')}${who === 'corax' ? '' : `, ${who}`}`;
  const text = {
    'at most times': `≤ ${limit.value} × ${name}`,
    'at least times faster': `≥ ${limit.value} × faster than ${name}`,
    'at most ms more': `≤ ${name} + ${limit.value} ms`,
    'at most': `≤ ${limit.value}`,
  }[limit.kind];
  const unit = limit.kind === 'at most ms more' ? ' ms' : limit.kind === 'at most' ? '' : ' ×';
  const sign = limit.kind === 'at most ms more' && value > 0 ? '+ ' : '';
  return { bar: `${subject}: ${text}`, value: `${sign}${number(value)}${unit}`, met: met ? 'met' : '**missed**' };
}
