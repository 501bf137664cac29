/**
 * Which ports a sequential NAT gives to its next mappings (RFC 4787 4.2), and how likely it is that they are ours. Pure: where
 * the sequence stands is told from a mapping that was made just before.
 */
import type { NatPorts } from '../model/nat-profile.js';
import { ALL_PORTS, type PortRange, sizeOf } from '../model/ports.js';
import { SPRAY_PROBES } from './opening-size.js';

/** Mappings of a prediction: others' may come in between, and the range may end among them. */
export const PREDICTED_SOCKETS = 16;

export interface PortSequence {
  /** From one mapping to the next; negative where ports fall. */
  readonly step: number;
  /** Others' mappings between two of ours. */
  readonly between: number;
  /** Where it wraps. */
  readonly range: PortRange;
  /** Mappings that a prediction makes. */
  readonly sockets: number;
}

/** Null where the next port cannot be told, or too many would have to be probed. */
export function sequenceOf(ports: NatPorts | null): PortSequence | null {
  if (ports?.assignment !== 'sequential' || ports.step === null) return null;
  const { step, between } = ports;
  const range = ports.ports ?? ALL_PORTS;
  // No more than a quarter of a block, for its other flows' sake and because it wraps.
  const quarter = Math.max(1, Math.floor(sizeOf(range) / Math.abs(step) / 4));
  const sockets = Math.min(PREDICTED_SOCKETS, quarter);
  if (sockets * Math.abs(step) > SPRAY_PROBES) return null;
  return { step, between: between ?? 0, range, sockets };
}

/** Of the mapping that is made as the `position`th after the latest: 1 is the next. */
export function portAt({ step, range: { first, last } }: PortSequence, latest: number, position: number): number {
  // A sequence in steps of more than one comes in again where it keeps its remainder.
  const cycle = last - first + Math.abs(step);
  const offset = (latest - first + step * position) % cycle;
  return Math.min(ALL_PORTS.last, first + (offset < 0 ? offset + cycle : offset));
}

/** Where the next mappings lie, in one piece: where the sequence wraps among them, the larger part of them. */
export function nextWindow(sequence: PortSequence, latest: number): PortRange {
  const ports = Array.from({ length: sequence.sockets }, (_, index) => portAt(sequence, latest, index + 1));
  const wrap = ports.findIndex((port, index) => index > 0 && (port - (ports[index - 1] as number)) * sequence.step < 0);
  const [before, after] = wrap === -1 ? [ports, []] : [ports.slice(0, wrap), ports.slice(wrap)];
  const larger = after.length > before.length ? after : before;
  return { first: Math.min(...larger), last: Math.max(...larger) };
}

/** Ports in a window that no wrap makes smaller. */
export function nextWindowSize({ sockets, step }: PortSequence): number {
  return (sockets - 1) * Math.abs(step) + 1;
}

/**
 * The port to which the other end's mappings are to lead, which this end's probes will come out of: they are at least half
 * as many as the other's window has ports, so that one of them has it though others' mappings came first.
 *
 * @param sockets of the other end
 */
export function namedPort(sequence: PortSequence, latest: number, sockets: number): number {
  return portAt(sequence, latest, Math.max(1, Math.floor(sockets / 2)));
}

/** That a port of the sequence is ours, and no other's. */
function oursOf({ between }: PortSequence): number {
  return 1 / (1 + between);
}

/** That at least one of the ports of the window is ours: all of them are probed. */
export function predictedOdds(sequence: PortSequence): number {
  return 1 - (1 - oursOf(sequence)) ** sequence.sockets;
}

/**
 * Both ends hard. One probe comes out of the port that the mappings lead to, if that is ours and no other's; it goes to any
 * port of the window, of which every `step`th is in the sequence, and ours as often.
 */
export function bothPredictedOdds(fan: PortSequence, spray: PortSequence): number {
  return (oursOf(fan) / Math.abs(fan.step)) * oursOf(spray);
}
