/** From the mappings that fresh sockets got to how the NAT gives them out (RFC 4787 4.1, 4.2). Pure. */
import type { Ip } from '../model/address.js';
import type { MappingSample, NatPorts, NatProfile } from '../model/nat-profile.js';
import { ALL_PORTS, type PortRange, sizeOf } from '../model/ports.js';

/** A finding that chance makes less often than this is believed. */
const BY_CHANCE = 1e-3;
/** A larger one would leave a public address for fewer than eight subscribers: no carrier shares it so. */
const LARGEST_BLOCK = 8_192;
/** Fewer are in order too often by chance: 1 in 6! */
const FEWEST_SAMPLES = 7;
/** How many ordinary steps away from its neighbours a port is none of the sequence. */
const STRAY_STEPS = 16;

/** Samples in the order in which the mappings were made. */
export function profileOf(samples: readonly MappingSample[]): NatProfile {
  const addresses = [...new Set(samples.map(({ mapped }) => mapped.ip))];
  return {
    samples: samples.length,
    ...portsOf(samples, addresses),
    pooling: samples.length < 2 ? null : addresses.length === 1 ? 'paired' : 'arbitrary',
    addresses,
    latest: samples.at(-1)?.mapped ?? null,
    lifetime: null,
  };
}

const UNKNOWN: NatPorts = { assignment: null, step: null, between: null, ports: null, block: null };

function portsOf(samples: readonly MappingSample[], addresses: readonly Ip[]): NatPorts {
  if (samples.length < FEWEST_SAMPLES) return UNKNOWN;
  // A port that another host's mapping holds already cannot be kept (RFC 4787 4.2.1): a few may differ. Where only
  // a socket's first mapping keeps its port, the others tell what the next one gets.
  const moved = samples.filter(({ localPort, mapped }) => mapped.port !== localPort);
  if (moved.length * 4 <= samples.length) return { ...UNKNOWN, assignment: 'port-preserving', block: false };
  if (moved.length < FEWEST_SAMPLES) return UNKNOWN;
  // Each public address counts for itself.
  const runs = addresses
    .map((ip) => moved.filter(({ mapped }) => mapped.ip === ip).map(({ mapped }) => mapped.port))
    .filter((ports) => ports.length > 0);
  return sequentialPorts(runs.map(withoutStrays)) ?? randomPorts(runs.flat());
}

/** Null where the ports are in no order. */
function sequentialPorts(runs: readonly Run[]): NatPorts | null {
  const [rising, falling] = [stepsOf(runs, 1), stepsOf(runs, -1)];
  const { sign, steps, wraps, chance } = rising.wraps.length <= falling.wraps.length ? rising : falling;
  if (chance > BY_CHANCE || steps.length === 0) return null;
  const step = commonStep(steps);
  const between = Math.max(0, Math.round(quantile(steps, 0.9) / step) - 1);
  const ports = spanOfWraps(runs.flat(), wraps, sign, Math.max(...steps));
  const block = ports === null ? null : sizeOf(ports) <= LARGEST_BLOCK;
  return { assignment: 'sequential', step: sign * step, between, ports, block };
}

/** The ports of one public address, in order. */
type Run = readonly number[];

/**
 * Without the few ports that are far from those before and after them: a NAT takes any free port where its next one is
 * still held. A wrap is far from one of them only, and what has no order has nothing that is far.
 */
function withoutStrays(ports: Run): Run {
  const distance = (a: number, b: number) => Math.abs((ports[a] as number) - (ports[b] as number));
  const distances = ports.slice(1).map((_, index) => distance(index, index + 1));
  if (distances.length === 0) return ports;
  const far = STRAY_STEPS * quantile(distances, 0.5);
  const kept = ports.filter((_, index) => {
    const inside = index > 0 && index < ports.length - 1;
    return !inside || distance(index - 1, index) <= far || distance(index, index + 1) <= far;
  });
  return kept.length * 8 >= ports.length * 7 ? kept : ports;
}

interface Steps {
  readonly sign: 1 | -1;
  /** In the sequence's own direction. */
  readonly steps: readonly number[];
  /** Where it began anew. */
  readonly wraps: readonly (readonly [before: number, after: number])[];
  /** How often ports in no order would look like this or better. */
  readonly chance: number;
}

function stepsOf(runs: readonly Run[], sign: 1 | -1): Steps {
  const steps: number[] = [];
  const wraps: [number, number][] = [];
  let chance = 1;
  for (const ports of runs) {
    const earlier = wraps.length;
    for (const [index, after] of ports.slice(1).entries()) {
      const before = ports[index] as number;
      const step = sign * (after - before);
      if (step > 0) steps.push(step);
      else wraps.push([before, after]);
    }
    chance *= chanceOfOrder(ports.length, wraps.length - earlier);
  }
  return { sign, steps, wraps, chance };
}

/**
 * Of the n! orders of n ports, (d + 1)^n at most have d descents or fewer: each is made of d + 1 rising runs, and every
 * port is in one of them.
 */
function chanceOfOrder(n: number, descents: number): number {
  let chance = 1;
  for (let k = 1; k <= n; k += 1) chance *= (descents + 1) / k;
  return Math.min(1, chance);
}

/** What they are multiples of, all but a tenth: others' mappings make a step longer, and never divide it. */
function commonStep(steps: readonly number[]): number {
  const strays = Math.floor(steps.length / 10);
  const sorted = steps.toSorted((a, b) => a - b);
  for (let step = sorted[strays] as number; step > 1; step -= 1) {
    if (steps.filter((each) => each % step !== 0).length <= strays) return step;
  }
  return 1;
}

/**
 * A sequence that wraps leaves by one end of its range and comes in by the other. Null where it never did, or where
 * what looks like it happened elsewhere: two counters, or answers out of order.
 */
function spanOfWraps(ports: Run, wraps: Steps['wraps'], sign: 1 | -1, slack: number): PortRange | null {
  if (wraps.length === 0) return null;
  const [first, last] = [Math.min(...ports), Math.max(...ports)];
  const [enter, leave] = sign > 0 ? [first, last] : [last, first];
  const near = (a: number, b: number) => Math.abs(a - b) <= slack;
  return wraps.every(([before, after]) => near(before, leave) && near(after, enter)) ? { first, last } : null;
}

function randomPorts(ports: Run): NatPorts {
  const [lowest, highest] = [Math.min(...ports), Math.max(...ports)];
  const n = ports.length;
  // n uniform draws leave, on average, as much at each end as between two neighbours.
  const gap = (highest - lowest) / (n - 1);
  const first = Math.max(Math.min(lowest, ALL_PORTS.first), Math.floor(lowest - gap));
  const last = Math.min(ALL_PORTS.last, Math.ceil(highest + gap));
  // The range of n uniform draws is at most the share s of all with the chance n s^(n − 1) − (n − 1) s^n.
  const share = Math.min(1, sizeOf({ first: lowest, last: highest }) / sizeOf(ALL_PORTS));
  const byChance = n * share ** (n - 1) - (n - 1) * share ** n;
  const small = sizeOf({ first, last }) <= LARGEST_BLOCK;
  const block = small && byChance > BY_CHANCE ? null : small;
  return { assignment: 'random', step: null, between: null, ports: { first, last }, block };
}

function quantile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(fraction * sorted.length))] as number;
}
