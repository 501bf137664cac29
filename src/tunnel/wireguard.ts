import { randomBytes } from 'node:crypto';
import type { CarryItem, DeviceItem, Item, PeerItem } from '../model/item.js';
import { type PublicKey, publicKeyFromBytes } from '../model/key.js';
import { DEVICES, KEEPALIVE_S, PLANES, type Plane, TUNNEL_FWMARK } from '../model/names.js';
import type { PutStep } from '../model/step.js';
import { ChangeFlag, type Engine, type WgDelta } from '../native.js';
import { endpointAt, keyAt, type PeerChange, packPeers, prefixesAt } from './columns.js';
import type { PeerUpdate, PlaneReading, TunnelDriver, TunnelStep } from './driver.js';
import { publicKeyOf } from './keys.js';

/** Peers given to the kernel in one go. Each new one costs a Curve25519 multiplication and answers at once. */
const BATCH = 256;

/** The kernel's WireGuard over generic netlink. Holds no state but the keys: the kernel has it. */
export class WireguardDriver implements TunnelDriver {
  readonly name = 'wireguard';
  readonly #engine: Engine;
  readonly #privateKey: Uint8Array;
  readonly #presharedKey: Uint8Array;
  readonly #publicKey: PublicKey;

  /** Both keys are 32 bytes. */
  constructor(engine: Engine, privateKey: Uint8Array, presharedKey: Uint8Array) {
    this.#engine = engine;
    this.#privateKey = privateKey;
    this.#presharedKey = presharedKey;
    this.#publicKey = publicKeyOf(privateKey);
  }

  async observe(): Promise<Item[]> {
    const names = new Set((await this.#engine.links()).map((link) => link.name));
    const items: Item[] = [];
    for (const plane of PLANES) {
      if (!names.has(DEVICES[plane])) continue;
      const snapshot = await this.#engine.wgSnapshot(DEVICES[plane]);
      // Its key, MTU and what else there is are not looked at: like no device that is wanted, it is set up again.
      items.push({ kind: 'device', plane, name: DEVICES[plane], listenPort: snapshot.listenPort, mtu: 0 });
      for (let index = 0; index < snapshot.count; index++) {
        const key = keyAt(snapshot, index);
        items.push({ kind: 'peer', plane, gateway: '', key, endpoint: endpointAt(snapshot, index) });
        for (const prefix of prefixesAt(snapshot, index)) items.push({ kind: 'carry', plane, prefix, peer: key });
      }
    }
    return items;
  }

  async apply(steps: readonly TunnelStep[]): Promise<Array<Error | null>> {
    const results: Array<Error | null> = steps.map(() => null);
    for (const run of runs(steps)) {
      const failure = await this.#applyRun(run.plane, run.steps).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      );
      for (const index of run.indexes) results[index] = failure;
    }
    return results;
  }

  async poll({ plane, name, listenPort }: DeviceItem): Promise<PlaneReading> {
    const delta = await this.#engine.wgDelta(name);
    const key = delta.publicKey === null ? null : publicKeyFromBytes(delta.publicKey);
    const altered = delta.listenPort !== listenPort || delta.fwmark !== TUNNEL_FWMARK || key !== this.#publicKey;
    return { altered, peers: updatesIn(plane, delta) };
  }

  async isUp({ name, mtu }: DeviceItem): Promise<boolean> {
    const link = (await this.#engine.links()).find((candidate) => candidate.name === name);
    return link === undefined || (link.up && link.mtu === mtu);
  }

  async destroy(): Promise<void> {
    for (const plane of PLANES) await this.#engine.wgDestroy(DEVICES[plane]);
  }

  async #applyRun(plane: Plane, steps: readonly TunnelStep[]): Promise<void> {
    const [first] = steps;
    if (first !== undefined && 'item' in first && first.item.kind === 'device') {
      if (first.op === 'put') await this.#setUp(first.item);
      else await this.#engine.wgDestroy(first.item.name);
      return;
    }
    const changes = this.#changesOf(await this.#withoutBusyPeers(plane, steps));
    for (let from = 0; from < changes.length; from += BATCH) {
      await this.#engine.wgApply(DEVICES[plane], packPeers(changes.slice(from, from + BATCH)));
    }
  }

  /**
   * Between the last poll and now the other end may have got through to a peer that was idle: to re-add it would
   * throw away what it is using.
   */
  async #withoutBusyPeers(plane: Plane, steps: readonly TunnelStep[]): Promise<readonly TunnelStep[]> {
    if (!steps.some((step) => !('item' in step))) return steps;
    const snapshot = await this.#engine.wgSnapshot(DEVICES[plane]);
    const received = new Map<PublicKey, number>();
    for (let index = 0; index < snapshot.count; index++) {
      received.set(keyAt(snapshot, index), snapshot.rxBytes[index] as number);
    }
    return steps.filter((step) => 'item' in step || (received.get(step.peer.key) ?? 0) <= step.seenRxBytes);
  }

  async #setUp(device: DeviceItem): Promise<void> {
    const { name, mtu, listenPort } = device;
    const run = async (ops: Parameters<Engine['network']>[0]) => {
      const failure = (await this.#engine.network(ops)).find((result) => result !== null);
      if (failure) throw failure;
    };
    await run([{ op: 'link-create', name, kind: 'wireguard' }]);
    await this.#engine.wgConfigure(name, { privateKey: this.#privateKey, listenPort, fwmark: TUNNEL_FWMARK });
    // Loose, because the two ends may be on different planes: the way back is then another device's.
    await run([{ op: 'link-set', name, mtu, rpFilter: 2, forwarding: true, up: true }]);
  }

  /** One change a peer where the steps allow it, so that a new peer and what it carries are one message. */
  #changesOf(steps: readonly TunnelStep[]): PeerChange[] {
    const changes: PeerChange[] = [];
    const carried = new Map<PublicKey, CarryItem[]>();
    const removed = new Set<PublicKey>();
    const orphaned: CarryItem[] = [];
    for (const step of steps) {
      if (!('item' in step) || step.item.kind === 'device') continue;
      if (step.item.kind === 'carry') {
        if (step.op === 'put') carried.set(step.item.peer, [...(carried.get(step.item.peer) ?? []), step.item]);
        else orphaned.push(step.item);
      } else if (step.op === 'delete') removed.add(step.item.key);
    }
    const prefixesFor = (key: PublicKey) => {
      const prefixes = (carried.get(key) ?? []).map((item) => item.prefix);
      carried.delete(key);
      return prefixes;
    };
    for (const step of steps) {
      if (step.op === 're-add')
        changes.push({ key: step.peer.key, remove: true }, this.#added(step.peer, step.carries));
      else if (step.op === 'aim') changes.push({ key: step.peer.key, updateOnly: true, endpoint: step.peer.endpoint });
      else if (step.op === 'put' && step.item.kind === 'peer') {
        const put = step as PutStep<PeerItem>;
        changes.push(
          put.present === null ? this.#added(put.item, prefixesFor(put.item.key)) : this.#refreshed(put, prefixesFor),
        );
      }
    }
    for (const [key, items] of carried) {
      changes.push({ key, updateOnly: true, allowedIps: items.map((item) => item.prefix) });
    }
    changes.push(...dropped(orphaned.filter((item) => !removed.has(item.peer))));
    changes.push(...[...removed].map((key) => ({ key, remove: true })));
    return changes;
  }

  #added(peer: PeerItem, allowedIps: PeerChange['allowedIps'] & object): PeerChange {
    return {
      key: peer.key,
      endpoint: peer.endpoint,
      presharedKey: this.#presharedKey,
      keepaliveS: KEEPALIVE_S,
      allowedIps,
    };
  }

  /** A peer that stands keeps its endpoint: it may have roamed, and a live session must not be sent elsewhere. */
  #refreshed(
    { item, present }: PutStep<PeerItem>,
    prefixesFor: (key: PublicKey) => PeerChange['allowedIps'] & object,
  ): PeerChange {
    const added = this.#added(item, prefixesFor(item.key));
    return { ...added, updateOnly: true, endpoint: present?.endpoint ? null : item.endpoint };
  }
}

/**
 * WireGuard (before Linux 6.16) cannot take one allowed IP from a peer, only replace them all, with a gap. It
 * can move one to another peer: here to one that exists for the length of this message.
 */
function dropped(items: readonly CarryItem[]): PeerChange[] {
  if (items.length === 0) return [];
  const scratch = randomBytes(32).toString('base64') as PublicKey;
  return [
    { key: scratch, allowedIps: items.map((item) => item.prefix) },
    { key: scratch, remove: true },
  ];
}

function* updatesIn(plane: Plane, delta: WgDelta): Generator<PeerUpdate> {
  for (let index = 0; index < delta.count; index++) yield updateAt(plane, delta, index);
}

function updateAt(plane: Plane, delta: WgDelta, index: number): PeerUpdate {
  const changes = delta.changes[index] as number;
  return {
    plane,
    key: keyAt(delta, index),
    gone: (changes & ChangeFlag.Removed) !== 0,
    moved: (changes & (ChangeFlag.Added | ChangeFlag.Endpoint | ChangeFlag.Handshake)) !== 0,
    endpoint: endpointAt(delta, index),
    lastHandshake: delta.lastHandshakes[index] as number,
    session: null,
    rxBytes: delta.rxBytes[index] as number,
    txBytes: delta.txBytes[index] as number,
    carries: (changes & (ChangeFlag.Added | ChangeFlag.AllowedIps)) !== 0 ? prefixesAt(delta, index) : null,
  };
}

interface Run {
  readonly plane: Plane;
  readonly steps: TunnelStep[];
  readonly indexes: number[];
}

/** Steps that can go to the kernel together: those of one plane, but a device by itself. */
function runs(steps: readonly TunnelStep[]): Run[] {
  const result: Run[] = [];
  const open = new Map<Plane, Run>();
  steps.forEach((step, index) => {
    const subject = 'item' in step ? step.item : step.peer;
    const { plane } = subject;
    if (subject.kind === 'device') {
      open.delete(plane);
      result.push({ plane, steps: [step], indexes: [index] });
      return;
    }
    let run = open.get(plane);
    if (run === undefined) {
      run = { plane, steps: [], indexes: [] };
      open.set(plane, run);
      result.push(run);
    }
    run.steps.push(step);
    run.indexes.push(index);
  });
  return result;
}
