/**
 * Fills the status of Gateways where no yurt-manager does. Looks at what changed, decides (elect.ts), and writes
 * what differs: one patch a gateway, a few at a time, nothing where nothing differs.
 */
import { codeOf, messageOf } from '../errors.js';
import type { EventRecorder } from '../store/events.js';
import { ApiError, type KubeApi } from '../store/kubernetes/api.js';
import { GATEWAYS_PATH, gatewayPath } from '../store/kubernetes/gateways.js';
import { type KubeObject, Reflector, type ReflectorTimes } from '../store/kubernetes/reflector.js';
import { Slices } from '../store/slices.js';
import type { Logger } from '../telemetry/log.js';
import { Alarms } from './alarms.js';
import { compareStatus, type Election, elect, whyLost } from './elect.js';
import type { ControllerMetrics } from './metrics.js';
import { statusPatch } from './patch.js';
import type { SiteSpec } from './site.js';
import { World } from './world.js';

export interface ControllerTimes extends Partial<ReflectorTimes> {
  /** A holder that is not Ready keeps the tunnel for so long. */
  readonly graceMs: number;
  /** What endpoints say of themselves is copied to status so much later: many changes, one write. */
  readonly copyMs: number;
}

export const CONTROLLER_TIMES: ControllerTimes = { graceMs: 10_000, copyMs: 30_000 };

export interface ControllerParts {
  readonly api: KubeApi;
  readonly logger: Logger;
  readonly metrics: () => ControllerMetrics;
  readonly events: () => EventRecorder;
  /** May anything be written now? Asked before every write. */
  readonly mayWrite: () => boolean;
  readonly times: ControllerTimes;
  readonly now?: () => number;
}

const WRITES_ABREAST = 8;
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

export class Controller {
  readonly #parts: ControllerParts;
  readonly #now: () => number;
  readonly #world: World;
  readonly #reflectors: readonly Reflector[];
  readonly #alarms: Alarms;
  readonly #dirty = new Set<string>();
  readonly #toWrite = new Set<string>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #failures = new Map<string, number>();
  readonly #notBefore = new Map<string, number>();
  /** Since when the copies in status are behind. */
  readonly #behind = new Map<string, number>();
  readonly #leftOut = new Map<string, string>();
  readonly #stop = new AbortController();
  #turning = false;
  #apiError: string | null = null;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
    this.#alarms = new Alarms((names) => this.#wake(names), this.#now);
    this.#world = new World(
      {
        changed: (gateways) => this.#wake(gateways),
        current: () => {
          this.#apiError = null;
        },
        refused: (gateway, reason) => this.#tellRefused(gateway, reason),
        failed: (what, error) => this.#tellFailed(what, error),
      },
      this.#now,
    );
    const { api, times } = parts;
    this.#reflectors = [
      new Reflector(api, GATEWAYS_PATH, this.#world.gateways, times),
      new Reflector(api, '/api/v1/nodes', this.#world.nodes, times),
    ];
  }

  get world(): World {
    return this.#world;
  }

  /** Gateways that wait to be written. */
  get waiting(): number {
    return this.#toWrite.size + this.#writing.size;
  }

  /** Null where all was read. */
  get unready(): string | null {
    if (this.#world.synced) return null;
    return this.#apiError ?? 'Gateways and Nodes are being read';
  }

  /** Resolves after the first attempt to read everything. */
  async start(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.start()));
  }

  /** Looks at every gateway again: it may write now, and might not before. */
  reconsider(): void {
    if (!this.#world.synced) return;
    this.#wake(this.#world.members.sites.keys());
    for (const [gateway, { reason }] of this.#world.refused) this.#recordRefused(gateway, reason);
  }

  /** Waits for writes under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#alarms.clear();
    this.#toWrite.clear();
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
    await Promise.allSettled(this.#writing.values());
  }

  elect(site: SiteSpec): Election {
    const { members, unreadySince } = this.#world;
    return elect(site, members.of(site.name), unreadySince, this.#now(), this.#parts.times.graceMs);
  }

  #wake(gateways: Iterable<string>): void {
    for (const name of gateways) this.#dirty.add(name);
    if (this.#turning || this.#stop.signal.aborted || this.#dirty.size === 0) return;
    this.#turning = true;
    setImmediate(() => this.#turn());
  }

  async #turn(): Promise<void> {
    const slices = new Slices();
    for (;;) {
      const [name] = this.#dirty;
      if (name === undefined || this.#stop.signal.aborted) {
        this.#turning = false;
        return;
      }
      this.#dirty.delete(name);
      this.#decide(name);
      await slices.pause();
    }
  }

  #decide(name: string): void {
    this.#alarms.delete(name);
    this.#toWrite.delete(name);
    const site = this.#world.members.sites.get(name);
    // Not ours to write, or being written: it is looked at again when that changes
    if (site === undefined) this.#forget(name);
    if (site === undefined || !this.#parts.mayWrite() || this.#writing.has(name)) return;
    const election = this.elect(site);
    this.#tellLeftOut(name, election.leftOut);
    const difference = compareStatus(site.status, election.status);
    const times: number[] = election.askAgain === null ? [] : [election.askAgain];
    const now = this.#now();
    if (difference === 'copies') {
      const since = this.#behind.get(name) ?? now;
      this.#behind.set(name, since);
      if (now < since + this.#parts.times.copyMs) times.push(since + this.#parts.times.copyMs);
      else this.#toWrite.add(name);
    } else this.#behind.delete(name);
    if (difference === 'real') this.#toWrite.add(name);
    const notBefore = this.#notBefore.get(name) ?? 0;
    if (this.#toWrite.has(name) && now < notBefore) {
      this.#toWrite.delete(name);
      times.push(notBefore);
    }
    if (times.length > 0) this.#alarms.set(name, Math.min(...times));
    this.#pump();
  }

  #pump(): void {
    for (const name of this.#toWrite) {
      if (this.#writing.size >= WRITES_ABREAST) return;
      this.#toWrite.delete(name);
      const write = this.#write(name).finally(() => {
        this.#writing.delete(name);
        this.#wake([name]);
        this.#pump();
      });
      this.#writing.set(name, write);
    }
  }

  async #write(name: string): Promise<void> {
    const site = this.#world.members.sites.get(name);
    if (site === undefined || !this.#parts.mayWrite() || this.#stop.signal.aborted) return;
    const { status } = this.elect(site);
    if (compareStatus(site.status, status) === 'none') return;
    try {
      const object = await this.#parts.api.json('PATCH', `${gatewayPath(name)}/status`, {
        query: { fieldManager: 'corax-controller' },
        type: 'application/json-patch+json',
        body: statusPatch(site, status),
      });
      this.#behind.delete(name);
      this.#failures.delete(name);
      this.#notBefore.delete(name);
      this.#parts.metrics().writes.inc({ result: 'written' });
      this.#tellSwitch(site, status.activeEndpoints[0]?.nodeName ?? null);
      this.#world.putGateway(object as KubeObject, false);
    } catch (error) {
      this.#tellUnwritten(name, error);
    }
  }

  /** Conflicts (a failed test is 422) mean that it changed: the watch tells how. A pause in any case. */
  #tellUnwritten(name: string, error: unknown): void {
    const conflict = error instanceof ApiError && [404, 409, 422].includes(error.status);
    this.#parts.metrics().writes.inc({ result: conflict ? 'conflict' : 'failed' });
    const failures = this.#failures.get(name) ?? 0;
    this.#failures.set(name, failures + 1);
    this.#notBefore.set(name, this.#now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 20)));
    const details = { gateway: name, code: codeOf(error), reason: messageOf(error) };
    // Once is a race with somebody's change, and no news
    if (!conflict || failures > 1) this.#parts.logger.warn(details, 'status not written; it is tried again');
    else this.#parts.logger.debug(details, 'status not written: the gateway changed');
  }

  #tellSwitch(site: SiteSpec, to: string | null): void {
    const { name, status } = site;
    const from = status?.activeEndpoints?.find(({ type }) => type === 'tunnel')?.nodeName ?? null;
    if (from === to) return;
    if (from !== null) this.#parts.metrics().switches.inc();
    const note = to === null ? 'nobody is active' : `${to} is active`;
    this.#parts.logger.info({ gateway: name, from, to }, note);
    if (from === null) return;
    this.#parts.events().record({
      gateway: name,
      type: to === null ? 'Warning' : 'Normal',
      reason: to === null ? 'ActiveEndpointLost' : 'ActiveEndpointElected',
      action: 'Elect',
      note: `${note}: ${whyLost(site, this.#world.members.of(name), from)}`,
    });
  }

  #tellLeftOut(name: string, leftOut: readonly string[]): void {
    const text = leftOut.join(', ');
    if ((this.#leftOut.get(name) ?? '') === text) return;
    if (text === '') this.#leftOut.delete(name);
    else this.#leftOut.set(name, text);
    if (text !== '') this.#parts.logger.warn({ gateway: name }, `left out of status: ${text}`);
  }

  #tellRefused(gateway: string, reason: string | null): void {
    if (reason === null) this.#parts.logger.info({ gateway }, 'the gateway can be read again');
    else this.#parts.logger.warn({ gateway, reason }, 'the gateway cannot be read: its status stays as it is');
    if (reason !== null) this.#recordRefused(gateway, reason);
  }

  #recordRefused(gateway: string, reason: string): void {
    // By the one replica that leads
    if (!this.#parts.mayWrite()) return;
    const note = `the status is left as it is: ${reason}`;
    this.#parts.events().record({ gateway, type: 'Warning', reason: 'Refused', action: 'Elect', note });
  }

  #tellFailed(what: string, error: unknown): void {
    const reason = messageOf(error);
    if (this.#apiError === reason) return;
    this.#apiError = reason;
    this.#parts.logger.warn({ reason }, `${what} cannot be read; it is tried again`);
  }

  #forget(name: string): void {
    for (const map of [this.#failures, this.#notBefore, this.#behind, this.#leftOut]) map.delete(name);
  }
}
