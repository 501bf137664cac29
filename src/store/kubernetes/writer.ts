/** Writes endpoints of Gateways: one write a gateway at a time, a few gateways at once. */
import { CoraxError } from '../../errors.js';
import type { EndpointPatch } from '../store.js';
import { Turns } from '../turns.js';
import { ApiError, type KubeApi, pause } from './api.js';
import { type GatewayObject, gatewayPath, type Known, known } from './gateways.js';
import { endpointChange, type PatchOperation, sameGround } from './patch.js';

const WRITES_ABREAST = 8;
/** Others may write the same endpoint at the same moment; after so many times we give up. */
const TRIES = 8;
const PAUSE_MS = 40;

export interface KnownGateways {
  /** As it was seen last; undefined where it was not. */
  get(gateway: string): Known | undefined;
  /** What the API answered to a write or a reading of ours. */
  learn(gateway: string, known: Known): void;
}

export class Writer {
  readonly #api: KubeApi;
  readonly #gateways: KnownGateways;
  readonly #turns = new Turns(WRITES_ABREAST);
  #writes = 0;

  constructor(api: KubeApi, gateways: KnownGateways) {
    this.#api = api;
    this.#gateways = gateways;
  }

  /** Objects written since the start. */
  get writes(): number {
    return this.#writes;
  }

  /** @throws CoraxError CORAX_CONFLICT, CORAX_STORE */
  publish(patch: EndpointPatch): Promise<'written' | 'unchanged'> {
    return this.#turns.run(patch.gateway, () => this.#write(patch));
  }

  settled(): Promise<void> {
    return this.#turns.settled();
  }

  async #write({ gateway, nodeName, set }: EndpointPatch): Promise<'written' | 'unchanged'> {
    let ground = this.#gateways.get(gateway);
    let fresh = ground === undefined;
    ground ??= await this.#read(gateway);
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      const change = endpointChange(ground.endpoints, nodeName, set);
      if (change.kind === 'unchanged') return 'unchanged';
      if (change.kind === 'missing' && fresh) {
        throw new CoraxError('CORAX_CONFLICT', `gateways/${gateway} has no tunnel endpoint of the node ${nodeName}`);
      }
      const refusal = change.kind === 'patch' ? await this.#patch(gateway, change.operations) : null;
      if (change.kind === 'patch' && refusal === null) return 'written';
      if (attempt > 1) await pause(PAUSE_MS * attempt * Math.random(), undefined);
      const now = await this.#read(gateway);
      // Refused although all is as the patch took it to be: not for a test that failed.
      if (refusal?.status === 422 && sameGround(ground.endpoints, now.endpoints, nodeName)) {
        throw storeError(gateway, refusal);
      }
      ground = now;
      fresh = true;
    }
    throw new CoraxError(
      'CORAX_CONFLICT',
      `gateways/${gateway} was changed by others ${TRIES} times while it was written`,
    );
  }

  /** @returns why it was not done, where reading again may help */
  async #patch(gateway: string, operations: readonly PatchOperation[]): Promise<ApiError | null> {
    try {
      const call = { query: { fieldManager: 'corax' }, type: 'application/json-patch+json', body: operations };
      const object = await this.#api.json('PATCH', gatewayPath(gateway), call);
      this.#writes += 1;
      this.#gateways.learn(gateway, known(object as GatewayObject));
      return null;
    } catch (error) {
      if (error instanceof ApiError && [404, 409, 422].includes(error.status)) return error;
      throw storeError(gateway, error);
    }
  }

  async #read(gateway: string): Promise<Known> {
    try {
      const object = known((await this.#api.json('GET', gatewayPath(gateway))) as GatewayObject);
      this.#gateways.learn(gateway, object);
      return object;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        throw new CoraxError('CORAX_CONFLICT', `there is no gateways/${gateway}: ${error.message}`, { cause: error });
      }
      throw storeError(gateway, error);
    }
  }
}

function storeError(gateway: string, error: unknown): CoraxError {
  if (error instanceof CoraxError) return error;
  const words = error instanceof Error ? error.message : String(error);
  return new CoraxError('CORAX_STORE', `gateways/${gateway} could not be written: ${words}`, { cause: error });
}
