import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Gateway } from '#src/model/gateway.js';
import type { Refusal, StoreBatch } from '#src/store/store.js';

/** Long enough for any machine; reached only where the state never comes. */
const PATIENCE_MS = 60_000;

/** Waits for a state. */
export async function until(what: string, state: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await state())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
    await sleep(5);
  }
}

/** Follows a store as an agent would: all that it knows, it knows from batches. */
export class Recorder {
  readonly batches: StoreBatch[] = [];
  readonly gateways = new Map<string, Gateway>();
  readonly refusals: Refusal[] = [];

  readonly onChange = (batch: StoreBatch): void => {
    this.batches.push(batch);
    for (const name of batch.removed) assert.ok(this.gateways.delete(name), `${name} was removed, and was never there`);
    for (const gateway of batch.upserted) this.gateways.set(gateway.name, gateway);
    this.refusals.push(...batch.refused);
  };

  get names(): string[] {
    return [...this.gateways.keys()].sort();
  }

  /** Names that were upserted or removed since a number of batches, in order. */
  since(batches: number): string[] {
    return this.batches
      .slice(batches)
      .flatMap(({ upserted, removed }) => [
        ...upserted.map(({ name }) => `+${name}`),
        ...removed.map((name) => `-${name}`),
      ]);
  }

  refusal(name: string): Refusal | undefined {
    return this.refusals.findLast((refusal) => refusal.name === name);
  }
}

export interface GatewayFile {
  apiVersion: string;
  kind: string;
  metadata: { name: string } & Record<string, unknown>;
  spec: { endpoints: Record<string, unknown>[] } & Record<string, unknown>;
  status: { nodes: Record<string, unknown>[] } & Record<string, unknown>;
}

/** A good Gateway of one node; `site` (0–65535) gives its subnet. */
export function gatewayFile(name: string, site: number): GatewayFile {
  const subnet = `10.${64 + (site >> 8)}.${site & 255}.0/24`;
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name, annotations: { note: "a person's" } },
    spec: {
      exposeType: 'PublicIP',
      endpoints: [
        { nodeName: `${name}-node`, type: 'proxy', port: 10443, publicPort: 10443 },
        { nodeName: `${name}-node`, type: 'tunnel', port: 4500, underNAT: true, config: { other: 'kept' } },
      ],
    },
    status: {
      nodes: [{ nodeName: `${name}-node`, privateIP: '192.168.1.2', subnets: [subnet] }],
      activeEndpoints: [{ nodeName: `${name}-node`, type: 'tunnel' }],
    },
  };
}
