/** Probes by gateway and plane, over the native prober, which knows them by number. */
import type { Ip } from '../model/address.js';
import type { ProbeFacts } from '../model/facts.js';
import type { ProbeItem } from '../model/item.js';
import { PLANES, type Plane, PROBE_TOS } from '../model/names.js';
import type { DeleteStep, PutStep } from '../model/step.js';
import type { Engine, NativeEvent, ProbeSnapshot } from '../native.js';

export type ProbeStep = PutStep<ProbeItem> | DeleteStep<ProbeItem>;

export interface ProbeReading {
  readonly gateway: string;
  readonly plane: Plane;
  readonly facts: ProbeFacts;
}

interface Target {
  readonly id: number;
  readonly item: ProbeItem;
}

/** What a probe's state byte says of its sender's path. */
const STATES: readonly Plane[] = ['relay', 'direct'];

export class Prober {
  readonly #engine: Engine;
  readonly #targets = new Map<string, Target>();
  readonly #byId = new Map<number, Target>();
  /** Targets that are to go and that the native prober may still have. */
  readonly #doomed = new Set<number>();
  #lastId = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Another generation, or a plane that is probed for the first time, starts with fresh counters. */
  async apply(steps: readonly ProbeStep[]): Promise<Array<Error | null>> {
    const set: Target[] = [];
    for (const { op, item } of steps) {
      const name = nameOf(item.gateway, item.plane);
      const before = this.#targets.get(name);
      const keep = op === 'put' && before?.item.generation === item.generation;
      if (before !== undefined && !keep) {
        this.#doomed.add(before.id);
        this.#targets.delete(name);
        this.#byId.delete(before.id);
      }
      if (op === 'delete') continue;
      const target = { id: keep && before !== undefined ? before.id : ++this.#lastId, item };
      this.#targets.set(name, target);
      this.#byId.set(target.id, target);
      set.push(target);
    }
    const failure = await this.#tell(set);
    return steps.map(() => failure);
  }

  /** Sets every target again, for the native prober may have been lost with them; those that it has go on. */
  async restore(): Promise<void> {
    const failure = await this.#tell([...this.#targets.values()]);
    if (failure !== null) throw failure;
  }

  /** What is known of every target now; made as it is asked for, because it may be much. */
  async read(): Promise<Iterable<ProbeReading>> {
    return this.#readings(await this.#engine.probeSnapshot());
  }

  *#readings(snapshot: ProbeSnapshot): Generator<ProbeReading> {
    for (let index = 0; index < snapshot.count; index++) {
      const target = this.#byId.get(snapshot.ids[index] as number);
      if (target === undefined) continue;
      const { gateway, plane, generation } = target.item;
      yield { gateway, plane, facts: factsAt(snapshot, index, generation) };
    }
  }

  /** What an event is about; null for a target that is gone. */
  subjectOf(event: Extract<NativeEvent, { type: 'probe' }>): ProbeItem | null {
    return this.#byId.get(event.id)?.item ?? null;
  }

  async #tell(set: readonly Target[]): Promise<Error | null> {
    try {
      const removed = [...this.#doomed];
      if (removed.length > 0) await this.#engine.probeRemove(removed);
      for (const id of removed) this.#doomed.delete(id);
      // Meanwhile one may have been changed or taken away.
      const wanted = set.filter((target) => this.#byId.get(target.id) === target);
      if (wanted.length > 0) await this.#engine.probeSet(wanted.map(nativeTarget));
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

/** The path that a remote says it is on, or null where its probe says something that we do not know. */
export function statedPath(event: Extract<NativeEvent, { type: 'remote-state' }>): { address: Ip; path: Plane | null } {
  return { address: event.address as Ip, path: STATES[event.state] ?? null };
}

function nameOf(gateway: string, plane: Plane): string {
  return `${PLANES.indexOf(plane)} ${gateway}`;
}

function nativeTarget({ id, item }: Target) {
  return {
    id,
    source: item.source,
    destination: item.destination,
    tos: PROBE_TOS[item.plane],
    intervalMs: item.intervalMs,
    fastIntervalMs: item.fastIntervalMs,
    size: item.size,
    state: STATES.indexOf(item.path),
  };
}

function factsAt(snapshot: ProbeSnapshot, index: number, generation: number): ProbeFacts {
  const number = (column: ArrayLike<number>) => column[index] as number;
  const known = (column: ArrayLike<number>) => (Number.isNaN(number(column)) ? null : number(column));
  return {
    sent: number(snapshot.sent),
    received: number(snapshot.received),
    lost: number(snapshot.lost),
    rttMs: known(snapshot.smoothedRttMs),
    jitterMs: known(snapshot.jitterMs),
    loss: number(snapshot.received) + number(snapshot.lost) === 0 ? null : known(snapshot.loss),
    lostInRow: number(snapshot.lostInRow),
    answeredInRow: number(snapshot.answeredInRow),
    answeredSize: number(snapshot.answeredSize),
    generation,
  };
}
