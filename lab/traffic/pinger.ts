/** A long-running ping with every sequence number accounted for. */
import type { ChildProcess } from 'node:child_process';
import { CoraxError } from '#src/errors.js';
import { inside } from '../net/apply.js';
import { exited, lineSplitter, spawnBound } from '../process.js';

export interface PingerOptions {
  readonly intervalMs: number;
  /** ICMP payload bytes; 56 unless given. */
  readonly size?: number;
}

export interface Reply {
  readonly sequence: number;
  /** Unix time in milliseconds. */
  readonly sentAt: number;
  readonly rttMs: number;
}

/** What became of the pings sent in a span of time. */
export interface PingReport {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  /** When those that never came back were sent; Unix time in milliseconds, within an interval. */
  readonly lostAt: readonly number[];
  readonly duplicates: number;
  readonly replies: readonly Reply[];
  /** The longest time without any answer. */
  readonly longestGapMs: number;
}

/** How long an answer may take before its ping counts as lost. */
const GRACE_MS = 5_000;
const REPLY = /^\[(\d+\.\d+)\] .*icmp_seq=(\d+) .*time=([\d.]+) ms(.*)$/;
const SUMMARY = /^(\d+) packets transmitted/;

export class Pinger {
  readonly #process: ChildProcess;
  readonly #intervalMs: number;
  readonly #startedAt = Date.now();
  readonly #replies: Reply[] = [];
  /** Arrival of answers, in order. */
  readonly #arrivals: number[] = [];
  readonly #remarks: string[] = [];
  #duplicates = 0;
  #epoch = 0;
  #transmitted: number | null = null;
  #stopped: Promise<PingReport> | null = null;

  constructor(namespace: string, target: string, { intervalMs, size = 56 }: PingerOptions) {
    this.#intervalMs = intervalMs;
    const flags = ['-n', '-D', '-i', String(intervalMs / 1000), '-s', String(size), target];
    this.#process = spawnBound([...inside(namespace), 'ping', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    const hear = lineSplitter((line) => this.#read(line));
    this.#process.stdout?.on('data', hear);
    this.#process.stderr?.on(
      'data',
      lineSplitter((line) => this.#remarks.push(line)),
    );
    this.#process.on('error', (error) => this.#remarks.push(String(error)));
  }

  /** Answers so far. */
  get received(): number {
    return this.#replies.length;
  }

  /** The latest answers' round trips, oldest first. */
  latest(count: number): number[] {
    return this.#replies.slice(-count).map((reply) => reply.rttMs);
  }

  /** What ping had to say beside answers: errors. */
  get remarks(): readonly string[] {
    return this.#remarks;
  }

  /** Ends the pinging; every ping sent before the call has had its time to come back. */
  stop(): Promise<PingReport> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #stop(): Promise<PingReport> {
    const asked = Date.now();
    while (Date.now() < asked + GRACE_MS && (this.#replies.at(-1)?.sentAt ?? 0) < asked + this.#intervalMs) {
      if (this.#process.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const closed = new Promise((resolve) => this.#process.once('close', resolve));
    const running = this.#process.exitCode === null && this.#process.signalCode === null;
    this.#process.kill('SIGINT');
    await exited(this.#process);
    if (running) await closed;
    if (this.#transmitted === null) {
      throw new CoraxError('CORAX_LAB', `ping ended without a summary: ${this.#remarks.slice(-5).join('; ')}`);
    }
    return this.report(this.#startedAt, asked);
  }

  /**
   * Accounts for the pings sent in a span (Unix time in milliseconds). Before stop(), what was sent within
   * the last 5 s does not count yet.
   */
  report(from = this.#startedAt, to = Date.now() - GRACE_MS): PingReport {
    const bySequence = new Map(this.#replies.map((reply) => [reply.sequence, reply]));
    const last = this.#transmitted ?? this.#estimateSent();
    const replies: Reply[] = [];
    const lostAt: number[] = [];
    let anchor: { sequence: number; sentAt: number } = { sequence: 1, sentAt: this.#firstSentAt() };
    let sent = 0;
    for (let sequence = 1; sequence <= last; sequence += 1) {
      const reply = bySequence.get(sequence);
      if (reply) anchor = reply;
      const sentAt = anchor.sentAt + (sequence - anchor.sequence) * this.#intervalMs;
      if (sentAt < from || sentAt > to) continue;
      sent += 1;
      if (reply) replies.push(reply);
      else lostAt.push(sentAt);
    }
    const arrivals = this.#arrivals.filter((at) => at >= from && at <= to);
    let longestGapMs = 0;
    let before = from === this.#startedAt ? (arrivals[0] ?? from) : from;
    for (const at of [...arrivals, Math.max(to, before)]) {
      longestGapMs = Math.max(longestGapMs, at - before);
      before = at;
    }
    const counts = { sent, received: replies.length, lost: lostAt.length, duplicates: this.#duplicates };
    return { ...counts, lostAt, replies, longestGapMs };
  }

  #firstSentAt(): number {
    const first = this.#replies[0];
    // Before the first answer only the start of the process is known.
    return first ? first.sentAt - (first.sequence - 1) * this.#intervalMs : this.#startedAt;
  }

  #estimateSent(): number {
    const latest = this.#replies.at(-1);
    const from = latest ?? { sequence: 1, sentAt: this.#startedAt };
    return from.sequence + Math.max(0, Math.floor((Date.now() - from.sentAt) / this.#intervalMs));
  }

  #read(line: string): void {
    const [, stamp, number, time, rest = ''] = REPLY.exec(line) ?? [];
    if (stamp === undefined || number === undefined || time === undefined) {
      const sent = SUMMARY.exec(line)?.[1];
      if (sent !== undefined) this.#transmitted = Number(sent);
      else if (!line.startsWith('PING ') && !line.startsWith('---') && !line.startsWith('rtt ') && line !== '') {
        this.#remarks.push(line);
      }
      return;
    }
    if (rest.includes('DUP')) {
      this.#duplicates += 1;
      return;
    }
    // 16 bits on the wire: a number far below the last one has wrapped.
    const last = this.#replies.at(-1)?.sequence ?? 0;
    let sequence = Number(number) + this.#epoch;
    if (sequence < last - 32_768) {
      this.#epoch += 65_536;
      sequence += 65_536;
    }
    const at = Number(stamp) * 1000;
    this.#arrivals.push(at);
    this.#replies.push({ sequence, sentAt: at - Number(time), rttMs: Number(time) });
  }
}

/** The middle one; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
