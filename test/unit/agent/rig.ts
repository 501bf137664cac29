/** The real loop over adapters that only remember what they were told. */
import { setTimeout as delay } from 'node:timers/promises';
import { Executor } from '#src/agent/executor.js';
import { Failures } from '#src/agent/failures.js';
import { Gateways } from '#src/agent/gateways.js';
import { Loop } from '#src/agent/loop.js';
import { Openings } from '#src/agent/openings.js';
import { Remotes } from '#src/agent/remotes.js';
import { World } from '#src/agent/world.js';
import { sortRelays } from '#src/decide/relations.js';
import type { SiteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import { type Item, keyOf } from '#src/model/item.js';
import type { PublishDeed, Step } from '#src/model/step.js';
import type { Engine, RawPacket } from '#src/native.js';
import type { Network } from '#src/network/network.js';
import type { Opener } from '#src/probe/opener.js';
import type { Prober } from '#src/probe/prober.js';
import type { TunnelDriver } from '#src/tunnel/driver.js';
import { siteFacts } from '../decide/fixtures.js';

export class Rig {
  readonly world = new World();
  readonly remotes = new Remotes();
  readonly failures = new Failures();
  readonly openings = new Openings();
  readonly gateways: Gateways;
  readonly steps: Step[] = [];
  readonly punches: RawPacket[] = [];
  readonly published: PublishDeed[] = [];
  readonly stumbled: string[] = [];
  turns = 0;
  /** Why a step fails, or null. */
  fails: (step: Step) => Error | null = () => null;
  site: SiteFacts;
  readonly loop: Loop;

  constructor(own: Gateway, more: Partial<SiteFacts> = {}) {
    this.gateways = new Gateways(own.activeNodes[0] as string, this.remotes);
    this.site = siteFacts(own, [], { ...more, synced: false });
    const apply = async (steps: readonly Step[]) =>
      steps.map((step) => {
        this.steps.push(step);
        return this.fails(step);
      });
    const adapters = {
      driver: { apply } as unknown as TunnelDriver,
      network: { apply } as unknown as Network,
      prober: { apply } as unknown as Prober,
      opener: { apply } as unknown as Opener,
      engine: {
        rawSend: async (packets: readonly RawPacket[]) => {
          this.punches.push(...packets);
          return packets.map(() => null);
        },
      } as unknown as Engine,
    };
    this.loop = new Loop({
      world: this.world,
      remotes: this.remotes,
      failures: this.failures,
      executor: new Executor(adapters, () => undefined),
      version: '9',
      site: () => this.site,
      own: () => this.gateways.own,
      openings: this.openings,
      events: {
        opening: () => undefined,
        detour: () => undefined,
        transition: () => undefined,
        failed: () => undefined,
        publish: (deed) => this.published.push(deed),
        turned: () => {
          this.turns += 1;
        },
        stumbled: (owner) => this.stumbled.push(owner),
      },
    });
  }

  /** As the agent does on a batch of the store's. */
  take(upserted: readonly Gateway[], removed: readonly string[] = [], unread = false): void {
    const changed = this.gateways.take({ synced: true, upserted, refused: [], removed, unread });
    for (const name of changed) this.loop.mark(name);
    const before = this.site;
    this.site = { ...this.site, synced: true, unread, relays: sortRelays(this.gateways.relays) };
    const same = (a: SiteFacts, b: SiteFacts) =>
      JSON.stringify([a.relays, a.synced, a.unread]) === JSON.stringify([b.relays, b.synced, b.unread]);
    if (!same(before, this.site)) this.loop.markAll();
    else this.loop.mark('');
  }

  /** Waits until the loop has turned and then done nothing for a while. */
  async rest(): Promise<void> {
    const from = this.turns;
    for (let quiet = 0, before = ''; quiet < 3 || this.turns === from; quiet++) {
      await delay(50);
      const state = `${this.turns} ${this.steps.length}`;
      if (state !== before) quiet = 0;
      before = state;
    }
  }

  async until(what: () => boolean): Promise<void> {
    for (let times = 0; !what(); times++) {
      if (times > 500) throw new Error('it did not come to that in 10 s');
      await delay(20);
    }
  }

  /** What was done since the last look. */
  taken(): Step[] {
    return this.steps.splice(0);
  }

  taking(kind: Item['kind'], op: 'put' | 'delete' = 'put'): Item[] {
    return this.steps.flatMap((step) =>
      'item' in step && step.op === op && step.item.kind === kind ? [step.item] : [],
    );
  }

  has(key: string): boolean {
    return this.world.observed.has(key);
  }

  /** All that stands is wanted, and all that is wanted stands. */
  get converged(): boolean {
    return this.world.orphans().length === 0 && [...this.failures.all].length === 0;
  }
}

export function stepKey(step: Step): string {
  return 'item' in step ? `${step.op} ${keyOf(step.item)}` : step.op;
}
