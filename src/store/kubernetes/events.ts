/** Events on Gateways (events.k8s.io/v1), as `kubectl describe gateway` shows them. */
import { randomBytes } from 'node:crypto';
import { GATEWAY_API_VERSION, GATEWAY_KIND } from '../../model/gateway.js';
import { printable } from '../../model/quote.js';
import type { EventRecorder, GatewayEvent } from '../events.js';
import { ApiError, type KubeApi, pause } from './api.js';
import { EventLedger, type EventSeries } from './event-ledger.js';

export interface EventSource {
  readonly api: KubeApi;
  /** Null where the gateway is not known: then there is nothing to tell of. */
  readonly uidOf: (gateway: string) => string | null;
  /** This node's name. */
  readonly instance: string;
  /** Who reports; default: the agent. */
  readonly controller?: string;
  /** Told of what does not come about, and with null when it does again. */
  readonly onTrouble?: (error: unknown | null) => void;
}

/** Events on objects without a namespace live in "default". */
const EVENTS_PATH = '/apis/events.k8s.io/v1/namespaces/default/events';
export const REPORTING_CONTROLLER = 'openyurt.io/corax-agent';

/** A series that grows is told of so often at most. */
const SERIES_EVERY_MS = 30_000;
const MOST_WAITING = 100;
/** Limits of the API (validation of events.k8s.io/v1). */
const NOTE_LENGTH = 1000;
const INSTANCE_LENGTH = 128;
const NAME_LENGTH = 200;

interface Told extends EventSeries {
  name?: string;
}

export class KubernetesEvents implements EventRecorder {
  readonly #source: EventSource;
  readonly #ledger = new EventLedger(Date.now());
  readonly #waiting = new Set<Told>();
  readonly #growing = new Set<Told>();
  readonly #stop = new AbortController();
  readonly #seriesEveryMs: number;
  #sending: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: EventSource, seriesEveryMs = SERIES_EVERY_MS) {
    this.#source = source;
    this.#seriesEveryMs = seriesEveryMs;
  }

  record(event: GatewayEvent): void {
    if (this.#stop.signal.aborted || this.#source.uidOf(event.gateway) === null) return;
    const note = printable(event.note, NOTE_LENGTH);
    const verdict = this.#ledger.note({ ...event, note }, Date.now());
    if (verdict.kind === 'dropped') return;
    if (verdict.kind === 'again') {
      this.#growing.add(verdict.series);
      // Not all agents at the same moment: what sets this off happens to many at once.
      this.#timer ??= setTimeout(() => this.#grow(), this.#seriesEveryMs * (0.5 + Math.random())).unref();
      return;
    }
    if (this.#waiting.size >= MOST_WAITING) {
      this.#ledger.drop(verdict.series);
      return;
    }
    this.#waiting.add(verdict.series);
    this.#send();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#sending;
  }

  #grow(): void {
    this.#timer = undefined;
    for (const series of this.#growing) this.#waiting.add(series);
    this.#growing.clear();
    this.#send();
  }

  #send(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  /** One at a time; what cannot be told is let go: an event is not worth more. */
  async #sendAll(): Promise<void> {
    const { signal } = this.#stop;
    await pause(0, signal).catch(() => {});
    for (const series of this.#waiting) {
      this.#waiting.delete(series);
      if (signal.aborted) return;
      try {
        await (series.name === undefined ? this.#create(series) : this.#count(series));
        this.#source.onTrouble?.(null);
      } catch (error) {
        if (signal.aborted) return;
        this.#ledger.drop(series);
        // One that the API let go of in the meantime (they live for an hour) is no trouble.
        if (!(error instanceof ApiError && error.status === 404)) this.#source.onTrouble?.(error);
      }
    }
  }

  async #create(series: Told): Promise<void> {
    const { event } = series;
    const uid = this.#source.uidOf(event.gateway);
    if (uid === null) return;
    const name = `${event.gateway.slice(0, NAME_LENGTH).replace(/[^a-z0-9]+$/, '')}.${randomBytes(8).toString('hex')}`;
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name, namespace: 'default' },
      eventTime: microTime(series.firstAt),
      type: event.type,
      reason: event.reason,
      action: event.action,
      note: event.note,
      regarding: { apiVersion: GATEWAY_API_VERSION, kind: GATEWAY_KIND, name: event.gateway, uid },
      reportingController: this.#source.controller ?? REPORTING_CONTROLLER,
      reportingInstance: this.#source.instance.slice(0, INSTANCE_LENGTH),
    };
    await this.#source.api.json('POST', EVENTS_PATH, { body, signal: this.#stop.signal });
    series.name = name;
    series.toldCount = 1;
  }

  async #count(series: Told): Promise<void> {
    const { count, lastAt } = series;
    if (count === series.toldCount) return;
    const body = { series: { count, lastObservedTime: microTime(lastAt) } };
    const call = { body, type: 'application/merge-patch+json', signal: this.#stop.signal };
    await this.#source.api.json('PATCH', `${EVENTS_PATH}/${series.name}`, call);
    series.toldCount = count;
  }
}

/** metav1.MicroTime: RFC 3339 with six digits of a second. */
function microTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '000Z');
}
