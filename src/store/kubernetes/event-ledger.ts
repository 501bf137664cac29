/**
 * Which events are told, which only counted, which dropped: however often something happens, the API hears of it
 * a few times. Pure; times are Unix milliseconds.
 */
import type { GatewayEvent } from '../events.js';

/** An event that was told, and how often the same happened since. */
export interface EventSeries {
  readonly event: GatewayEvent;
  readonly firstAt: number;
  lastAt: number;
  count: number;
  /** What the API was told. */
  toldCount: number;
}

export type EventVerdict =
  /** Tell it: a series begins. */
  | { readonly kind: 'new'; readonly series: EventSeries }
  /** It counts in a series that stands. */
  | { readonly kind: 'again'; readonly series: EventSeries }
  | { readonly kind: 'dropped' };

/** Events on one gateway at once, and then one every so often; and the same for all gateways together. */
const GATEWAY_BURST = 5;
const GATEWAY_REFILL_MS = 120_000;
const BURST = 50;
const REFILL_MS = 2_000;
/** What happens again after this begins anew, as with the events of Kubernetes' own components. */
const SERIES_MS = 360_000;

export class EventLedger {
  /** By gateway, type, reason and note; in the order of their last event. */
  readonly #series = new Map<string, EventSeries>();
  /** The newest by gateway, type and reason: what is too much to be told counts there. */
  readonly #newest = new Map<string, EventSeries>();
  readonly #buckets = new Map<string, Bucket>();
  readonly #bucket: Bucket;

  constructor(now: number) {
    this.#bucket = new Bucket(BURST, REFILL_MS, now);
  }

  note(event: GatewayEvent, now: number): EventVerdict {
    this.#forget(now);
    const kind = `${event.gateway} ${event.type} ${event.reason}`;
    const key = `${kind} ${event.note}`;
    const known = this.#series.get(key);
    if (known !== undefined) return this.#again(key, known, now);
    if (!this.#mayTell(event.gateway, now)) {
      const like = this.#newest.get(kind);
      return like === undefined ? { kind: 'dropped' } : this.#again(`${kind} ${like.event.note}`, like, now);
    }
    const series: EventSeries = { event, firstAt: now, lastAt: now, count: 1, toldCount: 0 };
    this.#series.set(key, series);
    this.#newest.set(kind, series);
    return { kind: 'new', series };
  }

  /** It could not be told: what is like it begins anew. */
  drop({ event }: EventSeries): void {
    const kind = `${event.gateway} ${event.type} ${event.reason}`;
    this.#series.delete(`${kind} ${event.note}`);
    if (this.#newest.get(kind)?.event.note === event.note) this.#newest.delete(kind);
  }

  get size(): number {
    return this.#series.size;
  }

  #again(key: string, series: EventSeries, now: number): EventVerdict {
    series.count += 1;
    series.lastAt = now;
    this.#series.delete(key);
    this.#series.set(key, series);
    return { kind: 'again', series };
  }

  #mayTell(gateway: string, now: number): boolean {
    const bucket = this.#buckets.get(gateway) ?? new Bucket(GATEWAY_BURST, GATEWAY_REFILL_MS, now);
    this.#buckets.set(gateway, bucket);
    return bucket.has(now) && this.#bucket.take(now) && bucket.take(now);
  }

  #forget(now: number): void {
    for (const series of this.#series.values()) {
      if (now - series.lastAt < SERIES_MS) break;
      this.drop(series);
    }
    if (this.#buckets.size <= BURST) return;
    for (const [gateway, bucket] of this.#buckets) if (bucket.full(now)) this.#buckets.delete(gateway);
  }
}

class Bucket {
  readonly #most: number;
  readonly #refillMs: number;
  #tokens: number;
  #at: number;

  constructor(most: number, refillMs: number, now: number) {
    this.#most = most;
    this.#refillMs = refillMs;
    this.#tokens = most;
    this.#at = now;
  }

  has(now: number): boolean {
    this.#tokens = Math.min(this.#most, this.#tokens + (now - this.#at) / this.#refillMs);
    this.#at = now;
    return this.#tokens >= 1;
  }

  take(now: number): boolean {
    if (!this.has(now)) return false;
    this.#tokens -= 1;
    return true;
  }

  full(now: number): boolean {
    return this.has(now) && this.#tokens >= this.#most;
  }
}
