/** Libreswan as a tunnel driver: pluto is told by its socket, the kernel's SAs are read over netlink. */
import { unlink } from 'node:fs/promises';
import { type Ip, sameHostPort } from '../../model/address.js';
import type { DeviceItem, Item, PeerItem } from '../../model/item.js';
import { DEVICES, PLANES } from '../../model/names.js';
import type { Secret } from '../../model/secret.js';
import type { PeerDeed } from '../../model/step.js';
import type { Engine, XfrmEvent } from '../../native.js';
import type { DriverProblem, PeerUpdate, PlaneReading, TunnelDriver, TunnelStep } from '../driver.js';
import { readBook } from './book.js';
import { makesXfrmInterfaces, removeDevice, removeDevices, setUpDevice, standingDevices } from './devices.js';
import { Keeper } from './keeper.js';
import { LogWatch } from './log-watch.js';
import { numbersOf, Orphans, removeXfrm } from './orphans.js';
import { type PlutoFiles, plutoFiles } from './pluto-files.js';
import { peerKey, Roster, summary } from './roster.js';
import { SaLedger } from './sa-ledger.js';
import { Switchboard } from './switchboard.js';

export interface LibreswanParts {
  readonly engine: Engine;
  /** Absolute. */
  readonly stateDir: string;
  readonly psk: Secret;
  /** Of a pluto that somebody else keeps; null: one of our own. */
  readonly socket: string | null;
}

export class LibreswanDriver implements TunnelDriver {
  readonly name = 'libreswan';
  readonly #engine: Engine;
  readonly #files: PlutoFiles;
  readonly #keeper: Keeper;
  readonly #roster = new Roster();
  readonly #ledger = new SaLedger();
  readonly #board: Switchboard;
  readonly #log: LogWatch;
  readonly #orphans: Orphans;
  #onePlane = false;
  /** The node's own. */
  #addresses: ReadonlySet<string> = new Set();
  /** pluto did not take all that it was told without a step that could be tried again. */
  #owed = false;
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @throws CORAX_PLUTO where libreswan is not installed */
  constructor({ engine, stateDir, psk, socket }: LibreswanParts) {
    this.#engine = engine;
    this.#files = plutoFiles(stateDir);
    this.#keeper = new Keeper({ files: this.#files, psk, socket, replaced: () => this.#replay() });
    this.#board = new Switchboard(this.#keeper, this.#roster, this.#ledger, this.#files.book);
    this.#log = new LogWatch(this.#files.log);
    this.#orphans = new Orphans(engine);
  }

  /** The kernel has no XFRM interfaces. */
  get onePlane(): boolean {
    return this.#onePlane;
  }

  async arm(): Promise<void> {
    await this.#engine.watchXfrm();
  }

  async observe(): Promise<Item[]> {
    const links = await this.#engine.links();
    const names = new Set(links.map((link) => link.name));
    // The kernel's WireGuard would keep the port.
    for (const plane of PLANES) if (names.has(DEVICES[plane])) await this.#engine.wgDestroy(DEVICES[plane]);
    this.#onePlane = !(await makesXfrmInterfaces(this.#engine, links));
    const devices = await standingDevices(this.#engine, links, this.#onePlane);
    await this.#readAddresses();
    const book = await readBook(this.#files.book);
    await this.#keeper.open();
    const stands = book !== null && book.pluto === this.#keeper.identity;
    if (book !== null) this.#board.adopt(book, stands);
    if (!stands) await this.#orphans.find(Date.now(), numbersOf(book?.standing ?? []));
    await this.#log.look(Date.now());
    if (book === null || !stands) return [...devices];
    for (const peer of book.peers) this.#roster.put(peer);
    for (const item of book.carries) this.#roster.carry(item);
    return [...devices, ...book.peers.map((peer) => ({ ...peer, gateway: '' })), ...book.carries];
  }

  apply(steps: readonly TunnelStep[]): Promise<Array<Error | null>> {
    return this.#inTurn(async () => {
      const failures = new Map<string, Error>();
      const renewed = new Set<string>();
      for (const step of steps) {
        try {
          await this.#take(step, renewed);
        } catch (error) {
          failures.set(subjectOf(step), error as Error);
        }
      }
      for (const [peer, error] of await this.#board.settle(renewed)) failures.set(peer, error);
      return steps.map((step) => failures.get(subjectOf(step)) ?? null);
    });
  }

  async poll({ plane }: DeviceItem): Promise<PlaneReading> {
    this.#keeper.check();
    if (this.#owed && this.#keeper.identity !== null) await this.#inTurn(() => this.#settleUnasked());
    const now = Date.now();
    const delta = await this.#engine.xfrmDelta();
    for (const reqid of this.#ledger.take(delta, (ip) => this.#addresses.has(ip), now / 1000)) {
      const connection = this.#board.holderOf(reqid);
      if (connection !== null) this.#roster.touch(connection.plane, connection.peer);
    }
    const renewedAt = (reqid: number) =>
      this.#board.holderOf(reqid) === null ? null : this.#ledger.facts(reqid).since * 1000;
    await this.#orphans.sweep(renewedAt, now);
    if (plane === 'relay') await this.#log.look(now);
    const peers: Iterable<PeerUpdate> = this.#roster.news(plane, (peer) => this.#board.factsOf(peer));
    return { altered: false, peers };
  }

  /** pluto listens on the addresses that there were when it was told to. */
  async isUp({ name, mtu }: DeviceItem): Promise<boolean> {
    const before = this.#addresses;
    await this.#readAddresses();
    const isSame = before.size === this.#addresses.size && [...before].every((address) => this.#addresses.has(address));
    if (!isSame) await this.#keeper.client.send({ op: 'listen' });
    const link = (await this.#engine.links()).find((candidate) => candidate.name === name);
    return link === undefined || (link.up && link.mtu === mtu);
  }

  /** Whoever answers moved: who began goes after it. The other way round it is the other end's to begin anew. */
  hear(event: XfrmEvent): void {
    if (event.event !== 'mapping') return;
    const connection = this.#board.holderOf(event.reqid);
    if (connection === null || !connection.initiates) return;
    void this.#inTurn(() => {
      const peer = this.#roster.peer(connection.plane, connection.peer);
      if (peer !== undefined) this.#roster.aim({ ...peer, endpoint: { ip: event.address as Ip, port: event.port } });
      return this.#settleUnasked();
    });
  }

  problems(): DriverProblem[] {
    const { trouble, client } = this.#keeper;
    const found: DriverProblem[] = [];
    if (trouble !== null) found.push({ code: 'CORAX_PLUTO', message: trouble.message, since: trouble.since });
    if (client.warning !== null) found.push({ code: 'CORAX_PLUTO', message: client.warning, since: null });
    for (const { from, times, since } of this.#log.rogues) {
      const message = `refused ${times} time${times === 1 ? '' : 's'}: ${from}, with another pre-shared key or an ID of nobody`;
      found.push({ code: 'CORAX_ROGUE', message, since });
    }
    return found;
  }

  refusals(): number {
    return this.#log.times;
  }

  /** Does a pluto of our own run? */
  isRunning(): boolean {
    return this.#keeper.isRunning();
  }

  stop(): void {
    this.#keeper.close();
  }

  async destroy(): Promise<void> {
    await this.#keeper.end();
    // A device that goes while packets are still on their way by it may hold whoever deletes it for ever: the kernel
    // waits for the last reference.
    await removeXfrm(this.#engine, (await readBook(this.#files.book))?.standing ?? []);
    await removeDevices(this.#engine);
    await unlink(this.#files.book).catch(() => undefined);
    this.#keeper.close();
  }

  /** A new pluto has to be told everything; what the last one left in the kernel bridges the time until then. */
  #replay(): void {
    void this.#inTurn(async () => {
      const numbers = numbersOf(this.#board.all);
      this.#board.forget();
      await this.#orphans.find(Date.now(), numbers).catch(() => undefined);
      await this.#settleUnasked();
    });
  }

  /** What fails is tried again at the next poll. */
  async #settleUnasked(): Promise<void> {
    this.#owed = await this.#board.settle().then(
      (failures) => failures.size > 0,
      () => true,
    );
  }

  async #take(step: TunnelStep, renewed: Set<string>): Promise<void> {
    if (!('item' in step)) return this.#takeDeed(step, renewed);
    const { op, item } = step;
    switch (item.kind) {
      case 'device':
        if (op === 'put') await setUpDevice(this.#engine, item, this.#onePlane);
        else await this.#takeDown(item);
        break;
      case 'peer':
        if (op === 'put') this.#roster.put(item);
        else this.#roster.delete(item.plane, item.key);
        break;
      case 'carry':
        if (op === 'put') this.#roster.carry(item);
        else this.#roster.uncarry(item);
        break;
    }
  }

  /** A peer that is idle, or silent: elsewhere if that is where it is now, else once more. */
  #takeDeed({ peer, seenRxBytes }: PeerDeed, renewed: Set<string>): void {
    const known = this.#roster.peer(peer.plane, peer.key);
    // Between the last poll and now the other end may have got through.
    if (known === undefined || this.#facts(known).rxBytes > seenRxBytes) return;
    if (!sameHostPort(known.endpoint, peer.endpoint)) this.#roster.aim(peer);
    else for (const name of this.#board.renewable(peer.plane, peer.key)) renewed.add(name);
  }

  async #readAddresses(): Promise<void> {
    this.#addresses = new Set((await this.#engine.addresses()).map(({ address }) => address));
  }

  #facts(peer: PeerItem) {
    return summary(this.#board.factsOf(peer));
  }

  async #takeDown({ plane, name }: DeviceItem): Promise<void> {
    this.#roster.clear(plane);
    await this.#board.settle();
    await removeDevice(this.#engine, name);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function subjectOf(step: TunnelStep): string {
  if (!('item' in step)) return peerKey(step.peer.plane, step.peer.key);
  const { item } = step;
  if (item.kind === 'device') return `device ${item.plane}`;
  return peerKey(item.plane, item.kind === 'peer' ? item.key : item.peer);
}
