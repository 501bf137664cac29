/** What is measured, and what it is held against. */

/**
 * - `instructions`: the guest's time, 2 ns an instruction (lab/vm: countInstructions). Does not depend on how busy the
 *   machine is; good for ratios, and for gates. It counts instructions, not cycles.
 * - `wall`: contenders in turn, run by run, on a kernel that runs at its own speed.
 * - `processor`: processor time of one thread of the host, as the kernel accounts for it.
 * - `count`: no time at all.
 */
export type Clock = 'instructions' | 'wall' | 'processor' | 'count';

/** `ms` are milliseconds of the clock. */
export type Unit = 'ms' | 'KiB' | 'packets' | 's';

/** The work of one task. Scale counts peers or gateways. */
export interface Subject {
  readonly case: string;
  readonly what: string;
  readonly scale: number;
}

export interface Figure extends Subject {
  readonly who: string;
  readonly clock: Clock;
  readonly unit: Unit;
  /** One a run, in the order of the runs. */
  readonly values: readonly number[];
}

/** What could not be done, and why. */
export interface Failure {
  readonly case: string;
  /** Absent for what the case does on the host, which is done whole or not at all. */
  readonly task?: Pick<Subject, 'what' | 'scale'> & { readonly clock: Clock };
  readonly why: string;
}

/** Something to be done in the guest, by all its contenders in turn. */
export interface Task extends Subject {
  readonly who: readonly string[];
  readonly rounds: number;
  /** How often in each round; the first of a program that was just started is not like the others. */
  readonly times: number;
  /** A program without which it cannot be done. */
  readonly needs?: string;
}

/** A figure in a report, which may be made in several runs. */
export interface Taken extends Figure {
  /** Of which corax it is. */
  readonly commit: string;
}

/** A bar of the design's table. Figures are compared by their medians. */
export interface Bar extends Subject {
  readonly who: string;
  readonly clock: Clock;
  /** Whom it is held against; absent for a bar that is a number by itself. */
  readonly against?: { readonly who: string; readonly what?: string; readonly scale?: number };
  readonly limit:
    | { readonly kind: 'at most times'; readonly value: number }
    | { readonly kind: 'at least times faster'; readonly value: number }
    | { readonly kind: 'at most ms more'; readonly value: number }
    | { readonly kind: 'at most'; readonly value: number };
}

export interface Case {
  readonly name: string;
  readonly title: string;
  /** What is timed, and what is not: a paragraph for whoever reads the report. */
  readonly method: string;
  readonly tasks?: (quick: boolean) => readonly Task[];
  /** Figures that are taken on the host. */
  readonly host?: (quick: boolean, progress: (line: string) => void) => Promise<readonly Figure[]>;
  readonly bars: readonly Bar[];
}

/** What nobody can beat. */
export const FLOOR = 'raw C';

/** The program that speaks for thousands of edges. */
export const LOAD = 'load generator';

/** Forks wg(8) for each scrape. */
export const EXPORTER = 'prometheus_wireguard_exporter';

/** What most programs in Node make their metrics with. */
export const PROM_CLIENT = 'prom-client';

export const FORKED_IP = 'forked ip';

/** Who needs no program of their own. */
export const THERE: readonly string[] = ['forked wg', FORKED_IP, 'bare WireGuard', PROM_CLIENT];
