/** The NAT that this node is behind, and how it gives out ports. */
import { Gauge, type Registry } from 'prom-client';
import type { NatProfile } from '../model/nat-profile.js';
import { sizeOf } from '../model/ports.js';

export interface NatInfo {
  readonly type: string;
  readonly mapping: string;
  readonly filtering: string;
}

export function natGauges(registry: Registry) {
  const registers = [registry];
  const info = new Gauge({
    name: 'corax_nat_info',
    help: 'Always 1; the NAT that this node is behind is in the labels.',
    labelNames: ['type', 'mapping', 'filtering'],
    registers,
  });
  const profileInfo = new Gauge({
    name: 'corax_nat_profile_info',
    help: 'Always 1; how the NAT gives out ports and addresses is in the labels.',
    labelNames: ['port_assignment', 'pooling', 'block'],
    registers,
  });
  const ports = new Gauge({
    name: 'corax_nat_ports',
    help: 'How many ports the NAT takes those of new mappings from; 0 = they do not show it.',
    registers,
  });
  const lifetime = new Gauge({
    name: 'corax_nat_mapping_lifetime_seconds',
    help: 'How long idle mappings were seen to live, and after how long they were gone.',
    labelNames: ['bound'],
    registers,
  });

  return {
    /** The one series of corax_nat_info; null where nothing is known. */
    setNat(nat: NatInfo | null): void {
      info.reset();
      if (nat !== null) info.set({ type: nat.type, mapping: nat.mapping, filtering: nat.filtering }, 1);
    },

    setNatProfile(profile: NatProfile | null): void {
      profileInfo.reset();
      lifetime.reset();
      ports.set(profile?.ports ? sizeOf(profile.ports) : 0);
      if (profile === null) return;
      const { assignment, pooling, block } = profile;
      const labels = { port_assignment: assignment ?? 'unknown', pooling: pooling ?? 'unknown' };
      profileInfo.set({ ...labels, block: block === null ? 'unknown' : block ? 'yes' : 'no' }, 1);
      const { livedS = null, goneS = null } = profile.lifetime ?? {};
      if (livedS !== null) lifetime.set({ bound: 'lived' }, livedS);
      if (goneS !== null) lifetime.set({ bound: 'gone' }, goneS);
    },
  };
}
