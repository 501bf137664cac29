/** Discovery again and again: every few minutes, and soon after the network changed. */
import type { NatReport } from '../model/nat.js';

export interface NatWatcherOptions {
  /** One discovery with the addresses of this moment; rejects with the signal's reason on abort. */
  readonly discover: (signal: AbortSignal) => Promise<NatReport>;
  /** Called with the first report and then with each that says something else. */
  readonly onReport: (report: NatReport) => void;
  readonly onError: (error: unknown) => void;
  /** Milliseconds between runs, ± jitter; 4 minutes. */
  readonly intervalMs?: number;
  /** Fraction of the interval; 0.2. Ten thousand edges must not ask one server in step. */
  readonly jitter?: number;
  /** Quiet time after a kick, because addresses and routes change in bursts; 1 s. */
  readonly debounceMs?: number;
  /** How soon a report that knows less than the last, or another type, is checked by another run; 10 s. */
  readonly confirmMs?: number;
  /** 0 up to 1; Math.random. */
  readonly random?: () => number;
}

/** A network that never rests must still get its report, and so must a NAT that looks different each time. */
const MAX_DISCARDED_IN_ROW = 3;

export class NatWatcher {
  readonly #options: Required<NatWatcherOptions>;
  #timer: NodeJS.Timeout | undefined;
  #abort: AbortController | null = null;
  #running: Promise<void> | null = null;
  #kicked = false;
  #discarded = 0;
  /** Reports in a row that were not passed on for want of a second one that says the same, and the latest. */
  #doubts = 0;
  #doubted: NatReport | null = null;
  #last: NatReport | null = null;

  constructor(options: NatWatcherOptions) {
    this.#options = {
      intervalMs: 240_000,
      jitter: 0.2,
      debounceMs: 1000,
      confirmMs: 10_000,
      random: Math.random,
      ...options,
    };
  }

  /** The latest report that was passed on. */
  get last(): NatReport | null {
    return this.#last;
  }

  /** The first run starts at once. */
  start(): void {
    if (this.#abort !== null) return;
    this.#abort = new AbortController();
    this.#schedule(0);
  }

  /** The default route or an address changed: runs soon, or again if a run is under way. */
  kick(): void {
    if (this.#abort === null) return;
    this.#kicked = true;
    if (this.#running === null) this.#schedule(this.#options.debounceMs);
  }

  /** Resolves when nothing runs any more; may be started again. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
    await this.#running;
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const signal = this.#abort?.signal;
      if (signal === undefined || this.#running !== null) return;
      this.#running = this.#run(signal).finally(() => {
        this.#running = null;
        // Stopped and started again meanwhile: the new start's timer found this run under way.
        if (this.#abort !== null) this.#schedule(this.#abort.signal === signal ? this.#pause() : 0);
      });
    }, ms);
  }

  #pause(): number {
    const { intervalMs, jitter, debounceMs, confirmMs, random } = this.#options;
    if (this.#kicked) return debounceMs;
    return (this.#doubted !== null ? Math.min(confirmMs, intervalMs) : intervalMs) * (1 + jitter * (2 * random() - 1));
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#kicked = false;
    try {
      const report = await this.#options.discover(signal);
      if (!signal.aborted) this.#take(report);
    } catch (error) {
      if (!signal.aborted) this.#options.onError(error);
    }
  }

  #take(report: NatReport): void {
    // The network changed under the run: what it measured may be half of each.
    if (this.#kicked && this.#discarded < MAX_DISCARDED_IN_ROW) {
      this.#discarded += 1;
      return;
    }
    this.#discarded = 0;
    if (this.#isDoubtful(report)) {
      this.#doubted = report;
      this.#doubts += 1;
      return;
    }
    this.#doubted = null;
    this.#doubts = 0;
    if (this.#last !== null && sameFindings(report, this.#last)) return;
    this.#last = report;
    this.#options.onReport(report);
  }

  /**
   * One run with bad luck must not throw away what is known, nor direct paths: a NAT that rebinds between two
   * mapping tests looks symmetric. It takes two in a row that agree.
   */
  #isDoubtful(report: NatReport): boolean {
    const last = this.#last;
    if (last === null || this.#doubts >= MAX_DISCARDED_IN_ROW) return false;
    const another = last.type !== null && report.type !== last.type;
    return (another || knowledge(report) < knowledge(last)) && report.type !== this.#doubted?.type;
  }
}

function knowledge({ type, mapping, filtering }: NatReport): number {
  return [type !== null, mapping !== null || type === 'Symmetric NAT', filtering !== null].filter(Boolean).length;
}

/** Do two reports say the same? The probing socket's port, round trips and the time differ with every run. */
export function sameFindings(a: NatReport, b: NatReport): boolean {
  return (
    a.type === b.type &&
    a.mapping === b.mapping &&
    a.filtering === b.filtering &&
    a.underNat === b.underNat &&
    a.udpBlocked === b.udpBlocked &&
    a.publicAddress?.ip === b.publicAddress?.ip
  );
}
