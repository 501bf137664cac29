/** What a tunnel backend does for the agent. It has two devices, one a plane; a path is a route to one of them. */
import type { ErrorCode } from '../errors.js';
import type { HostPort, Prefix } from '../model/address.js';
import type { CarryItem, DeviceItem, Item, PeerItem } from '../model/item.js';
import type { PublicKey } from '../model/key.js';
import type { DriverName, Plane } from '../model/names.js';
import type { DeleteStep, PeerDeed, PutStep } from '../model/step.js';
import type { XfrmEvent } from '../native.js';

export type TunnelItem = DeviceItem | PeerItem | CarryItem;
export type TunnelStep = PutStep<TunnelItem> | DeleteStep<TunnelItem> | PeerDeed;

/** A peer whose kernel state differs from what was reported last. */
export interface PeerUpdate {
  readonly plane: Plane;
  readonly key: PublicKey;
  readonly gone: boolean;
  /** Endpoint or handshake: more than counters. */
  readonly moved: boolean;
  readonly endpoint: HostPort | null;
  /** Unix seconds; 0 = never. */
  readonly lastHandshake: number;
  /** Does a session stand? Null: the driver cannot tell, its age does. */
  readonly session: boolean | null;
  readonly rxBytes: number;
  readonly txBytes: number;
  /** All that it carries, where that may have changed; else null. */
  readonly carries: readonly Prefix[] | null;
}

/** A look at one plane. */
export interface PlaneReading {
  /** The device has another key, port or mark than it was given. */
  readonly altered: boolean;
  /** Made as they are asked for: they may be many, and can be taken in slices. */
  readonly peers: Iterable<PeerUpdate>;
}

/** Something that a person should know of the backend as a whole. */
export interface DriverProblem {
  readonly code: ErrorCode;
  readonly message: string;
  /** Unix milliseconds; null where it is not known. */
  readonly since: number | null;
}

export interface TunnelDriver {
  readonly name: DriverName;
  /** This kernel gives it one device alone, known once it has observed. Absent: no kernel does. */
  readonly onePlane?: boolean;
  /** Opens the events that it goes by; again after an overrun, which may have been their end. Absent: it has none. */
  arm?(): Promise<void>;
  /** What stands already, of an earlier agent's or raven's. Peers come with gateway '': nobody knows whose. */
  observe(): Promise<Item[]>;
  /** One result a step, in their order: null, or why it failed. A failed step stops no other. */
  apply(steps: readonly TunnelStep[]): Promise<Array<Error | null>>;
  /** What changed on a device since the last poll of it; everything at the first. */
  poll(device: DeviceItem): Promise<PlaneReading>;
  /** Is the device up, with the MTU that it was given? True where it is gone: that is poll's to tell. */
  isUp(device: DeviceItem): Promise<boolean>;
  /** What the kernel tells of IPsec. Absent: it is none of the driver's business. */
  hear?(event: XfrmEvent): void;
  /** What is wrong now with the backend as a whole. */
  problems?(): readonly DriverProblem[];
  /** Others' handshakes that it refused since the agent started. Absent: the handshake tap sees them go unanswered. */
  refusals?(): number;
  /** The agent ends; tunnels stay. */
  stop?(): void;
  /** Removes the devices and all that hangs on them. */
  destroy(): Promise<void>;
}

export function isTunnelItem(item: Item): item is TunnelItem {
  return item.kind === 'device' || item.kind === 'peer' || item.kind === 'carry';
}
