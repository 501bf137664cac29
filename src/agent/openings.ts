/** What is going on with each remote to open a direct plane through hard NATs; the ledger of what it costs. */
import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { allowance, recent, type Spending } from '../decide/budget.js';
import { isActive, NO_OPENING } from '../decide/opening-input.js';
import { SAMPLE_MAPPINGS } from '../decide/opening-size.js';
import type { HostPort } from '../model/address.js';
import {
  type OpeningDeed,
  type OpeningEvent,
  type OpeningMemory,
  openingId,
  type RendezvousMessage,
} from '../model/opening.js';
import type { Deed } from '../model/step.js';
import type { NativeEvent } from '../native.js';
import type { Remote } from './remotes.js';

/** A remote's messages beyond so many a second are not listened to: a try takes ten in all. */
const MESSAGES_PER_S = 20;

type Ended = Extract<NativeEvent, { type: 'fan' | 'spray' }>;

export class Openings {
  #ledger: Spending[] = [];
  readonly #active = new Set<string>();
  readonly #news = new Map<string, OpeningEvent[]>();
  readonly #heard = new Map<string, { second: number; count: number }>();
  /** Whose fan or spray an id is. */
  readonly #owners = new Map<number, string>();

  /** @returns whether it counts: one that talks too much is not heard */
  hear({ gateway }: Remote, message: RendezvousMessage): boolean {
    const second = Math.floor(performance.now() / 1000);
    const heard = this.#heard.get(gateway.name);
    const count = heard?.second === second ? heard.count + 1 : 1;
    this.#heard.set(gateway.name, { second, count });
    if (count > MESSAGES_PER_S) return false;
    this.#add(gateway.name, { type: 'message', message });
    return true;
  }

  /** As {@link ended}; nothing else of it goes on. */
  sampled(event: Extract<OpeningEvent, { type: 'sample' }>): string | undefined {
    const id = openingId(event.token);
    const name = this.#owners.get(id);
    this.#owners.delete(id);
    if (name !== undefined) this.#add(name, event);
    return name;
  }

  /** @returns whose it was; undefined where nobody waits for it any more */
  ended(event: Ended): string | undefined {
    const name = this.#owners.get(event.id);
    if (name !== undefined) this.#add(name, event);
    return name;
  }

  #add(name: string, event: OpeningEvent): void {
    const news = this.#news.get(name);
    if (news === undefined) this.#news.set(name, [event]);
    else news.push(event);
  }

  /** Puts into the remote's facts what its next decision has to know. @returns what is remembered */
  inform(remote: Remote, now: number): OpeningMemory {
    const { name } = remote.gateway;
    const { memory = NO_OPENING } = remote.facts.opening ?? {};
    const others = this.#active.size - (this.#active.has(name) ? 1 : 0);
    const opening = {
      memory,
      events: this.#news.get(name) ?? [],
      allowance: allowance(this.#ledger, others, name, now),
      token: randomBytes(8).toString('hex'),
    };
    this.#news.delete(name);
    remote.facts = { ...remote.facts, opening };
    return memory;
  }

  /**
   * What was decided.
   *
   * @param memory null: the remote is no edge any more
   * @returns what has to be done beside
   */
  took(remote: Remote, memory: OpeningMemory | null, deeds: readonly Deed[], now: number): Deed[] {
    const { name } = remote.gateway;
    const before = remote.facts.opening;
    if (before === undefined) return [];
    const after = memory ?? NO_OPENING;
    remote.facts = { ...remote.facts, opening: { ...before, memory: after, events: [] } };
    if (isActive(after)) this.#active.add(name);
    else this.#active.delete(name);
    for (const deed of deeds) this.#book(deed, now);
    return memory === null ? endOf(name, before.memory) : [];
  }

  #book(deed: Deed, now: number): void {
    if (deed.op === 'end-opening') this.#owners.delete(openingId(deed.token));
    if (deed.op !== 'fan' && deed.op !== 'spray' && deed.op !== 'sample') return;
    this.#owners.set(openingId(deed.token), deed.gateway);
    const probes = deed.op === 'fan' ? deed.sockets : deed.op === 'spray' ? deed.count : SAMPLE_MAPPINGS;
    this.#ledger = [...recent(this.#ledger, now), { at: now, gateway: deed.gateway, probes }];
  }

  /** The remote is gone. */
  forget(name: string): void {
    this.#active.delete(name);
    this.#news.delete(name);
    this.#heard.delete(name);
  }
}

function endOf(gateway: string, memory: OpeningMemory): OpeningDeed[] {
  return isActive(memory) ? [{ op: 'end-opening', gateway, token: memory.token }] : [];
}

/** Of a remote that was found direct: the opening that the kernel still has for it. */
export function standingOpening(endpoint: HostPort | null, localPort: number | null): OpeningMemory | null {
  if (endpoint === null || localPort === null) return null;
  return { ...NO_OPENING, phase: 'opened', opened: { target: endpoint, localPort }, proven: true };
}
