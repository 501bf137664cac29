/**
 * In the kernel's place, for what only the agent's own work is measured on: it takes what it is told, counts it, and
 * says of peers what it was told to say.
 */
import type { Engine, PeerColumns, WgDelta } from '#src/native.js';

export interface Told {
  /** Peers in wgApply(), operations in network(), targets in probeSet() and probeRemove(), nft() transactions. */
  peers: number;
  network: number;
  probes: number;
  firewalls: number;
}

export class StandIn {
  readonly told: Told = { peers: 0, network: 0, probes: 0, firewalls: 0 };
  /** What wgDelta() says. */
  delta: () => WgDelta | Promise<WgDelta> = () => {
    throw new Error('nobody said what changed');
  };

  /** No more than what the adapters that are given it call. */
  get engine(): Engine {
    const { told } = this;
    return {
      network: async (ops: readonly unknown[]) => {
        told.network += ops.length;
        return ops.map(() => null);
      },
      nft: async () => {
        told.firewalls += 1;
        return '';
      },
      wgConfigure: async () => {},
      wgApply: async (_device: string, peers: PeerColumns) => {
        told.peers += peers.count;
        return { messages: 1 };
      },
      wgDelta: async () => this.delta(),
      probeSet: async (targets: readonly unknown[]) => {
        told.probes += targets.length;
      },
      probeRemove: async (ids: readonly number[]) => {
        told.probes += ids.length;
      },
      rawSend: async (packets: readonly unknown[]) => packets.map(() => null),
    } as unknown as Engine;
  }
}
