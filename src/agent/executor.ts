/** Carries out steps through the adapters: in order, each on its own, whatever the others do. */
import { performance } from 'node:perf_hooks';
import { CoraxError, messageOf } from '../errors.js';
import { type ItemKey, keyOf } from '../model/item.js';
import { TUNNEL_FWMARK, TUNNEL_PORT } from '../model/names.js';
import type { OpeningDeed } from '../model/opening.js';
import type { Deed, ItemStep, PunchDeed } from '../model/step.js';
import type { Engine } from '../native.js';
import { isNetworkItem, type Network, type NetworkStep } from '../network/network.js';
import type { Opener } from '../probe/opener.js';
import type { Prober, ProbeStep } from '../probe/prober.js';
import { isTunnelItem, type TunnelDriver, type TunnelStep } from '../tunnel/driver.js';

export type Doable = ItemStep | Exclude<Deed, { op: 'publish' }>;
export type Stage = 'tunnel' | 'network' | 'probe' | 'punch' | 'opening';

export interface Outcome {
  readonly step: Doable;
  readonly stage: Stage;
  readonly error: Error | null;
}

export interface Adapters {
  readonly engine: Engine;
  readonly driver: TunnelDriver;
  readonly network: Network;
  readonly prober: Prober;
  readonly opener: Opener;
}

/** RFC 3948 2.3: what a NAT keepalive holds. WireGuard drops it as no message of its own. */
const PUNCH_PAYLOAD = Uint8Array.of(0xff);

export class Executor {
  readonly #adapters: Adapters;
  readonly #onDuration: (stage: Stage, seconds: number) => void;
  readonly #fault: Fault | null;

  constructor(adapters: Adapters, onDuration: (stage: Stage, seconds: number) => void, fault: Fault | null = null) {
    this.#adapters = adapters;
    this.#onDuration = onDuration;
    this.#fault = fault;
  }

  /** The raw socket has to be open before the first punch. */
  async open(): Promise<void> {
    await this.#adapters.engine.rawOpen({ ports: [TUNNEL_PORT, TUNNEL_PORT + 1], fwmark: TUNNEL_FWMARK });
  }

  async run(steps: readonly Doable[]): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    for (let from = 0; from < steps.length; ) {
      const stage = stageOf(steps[from] as Doable);
      let to = from + 1;
      // Where a fault is to strike between two steps they must not go to the kernel together.
      while (this.#fault === null && to < steps.length && stageOf(steps[to] as Doable) === stage) to += 1;
      const run = steps.slice(from, to);
      const started = performance.now();
      const errors = await this.#attempt(stage, run);
      this.#onDuration(stage, (performance.now() - started) / 1000);
      run.forEach((step, index) => {
        outcomes.push({ step, stage, error: errors[index] ?? null });
      });
      this.#fault?.afterStep();
      from = to;
    }
    return outcomes;
  }

  /** An adapter that fails as a whole fails all its steps, and no others. */
  async #attempt(stage: Stage, steps: readonly Doable[]): Promise<Array<Error | null>> {
    try {
      return await this.#runStage(stage, steps);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(messageOf(error));
      return steps.map(() => failure);
    }
  }

  #runStage(stage: Stage, steps: readonly Doable[]): Promise<Array<Error | null>> {
    const { driver, network, prober, opener } = this.#adapters;
    switch (stage) {
      case 'tunnel':
        return driver.apply(steps as readonly TunnelStep[]);
      case 'network':
        return network.apply(steps as readonly NetworkStep[]);
      case 'probe':
        return prober.apply(steps as readonly ProbeStep[]);
      case 'opening':
        return opener.apply(steps as readonly OpeningDeed[]);
      case 'punch':
        return this.#punch(steps as readonly PunchDeed[]);
    }
  }

  #punch(deeds: readonly PunchDeed[]): Promise<Array<Error | null>> {
    return this.#adapters.engine.rawSend(
      deeds.map(({ to, ttl }) => ({
        sourcePort: TUNNEL_PORT,
        address: to.ip,
        port: to.port,
        ttl,
        payload: PUNCH_PAYLOAD,
      })),
    );
  }
}

function stageOf(step: Doable): Stage {
  if (step.op === 'punch') return 'punch';
  if (!('item' in step)) return 'peer' in step ? 'tunnel' : 'opening';
  if (isTunnelItem(step.item)) return 'tunnel';
  return isNetworkItem(step.item) ? 'network' : 'probe';
}

/** What a failure of the step is filed under. */
export function filedUnder(step: Doable): ItemKey {
  if ('item' in step) return keyOf(step.item);
  return 'peer' in step ? `re-add ${step.peer.gateway}` : `${step.op} ${step.gateway}`;
}

/**
 * Fault injection for the tests of restarts: `CORAX_FAULT=exit-after-step:N` ends the process, as kill -9
 * would, after the Nth step that it carried out.
 *
 * @throws CORAX_CONFIG
 */
export function faultFrom(text: string | undefined): Fault | null {
  if (text === undefined || text === '') return null;
  const match = /^exit-after-step:(\d{1,6})$/.exec(text);
  if (match === null) {
    throw new CoraxError('CORAX_CONFIG', `CORAX_FAULT is ${JSON.stringify(text)}: expected exit-after-step:N`);
  }
  let left = Number(match[1]);
  return {
    afterStep: () => {
      left -= 1;
      if (left <= 0) process.kill(process.pid, 'SIGKILL');
    },
  };
}

export interface Fault {
  readonly afterStep: () => void;
}
