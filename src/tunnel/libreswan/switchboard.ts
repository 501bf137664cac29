/** Brings pluto's connections to what the peers ask for, one message a connection that changed. */
import { CoraxError, messageOf } from '../../errors.js';
import type { PeerItem } from '../../model/item.js';
import type { PublicKey } from '../../model/key.js';
import type { Plane } from '../../model/names.js';
import type { NativeError } from '../../native.js';
import { type Book, type Standing, writeBook } from './book.js';
import { type Connection, connectionsOf, establish, sameConnection } from './connections.js';
import type { Keeper } from './keeper.js';
import { refusalIn } from './pluto-client.js';
import { peerKey, type Roster } from './roster.js';
import type { SaFacts, SaLedger } from './sa-ledger.js';

const REQID_LIMIT = 16_383;
/** A negotiation is let be for so long: three round trips of the slowest, and a few retransmissions. */
const NEGOTIATION_MS = 8_000;
/** SAs that do not work are made anew no more often than this. */
const RENEW_MS = 5_000;

export class Switchboard {
  readonly #keeper: Keeper;
  readonly #roster: Roster;
  readonly #ledger: SaLedger;
  readonly #bookPath: string;
  readonly #standing = new Map<string, Standing>();
  /** Their names, by peer. */
  readonly #ofPeer = new Map<string, Set<string>>();
  /** A connection keeps its number, whatever becomes of it. */
  readonly #reqids = new Map<string, number>();
  readonly #byReqid = new Map<number, string>();
  /** When each was begun last; monotonic milliseconds. */
  readonly #begunAt = new Map<string, number>();
  #nextReqid = 1;
  #writtenRevision = -1;

  constructor(keeper: Keeper, roster: Roster, ledger: SaLedger, bookPath: string) {
    this.#keeper = keeper;
    this.#roster = roster;
    this.#ledger = ledger;
    this.#bookPath = bookPath;
  }

  get size(): number {
    return this.#standing.size;
  }

  /** Of every peer's. */
  get all(): Iterable<Standing> {
    return this.#standing.values();
  }

  /** As an earlier agent left it. */
  adopt({ standing, pending }: Book, stands: boolean): void {
    for (const { connection, reqid } of standing) {
      this.#number(connection.name, reqid);
      if (stands && !pending.includes(connection.name)) this.#stand({ connection, reqid });
    }
  }

  /** Another pluto is there, and has none of them. */
  forget(): void {
    this.#standing.clear();
    this.#ofPeer.clear();
    this.#begunAt.clear();
  }

  /** Who has the reqid; null for nobody's. */
  holderOf(reqid: number): Connection | null {
    const name = this.#byReqid.get(reqid);
    return (name === undefined ? undefined : this.#standing.get(name)?.connection) ?? null;
  }

  /** Of each of the peer's connections. */
  factsOf(peer: PeerItem): SaFacts[] {
    return this.#of(peer.plane, peer.key).map(({ reqid }) => this.#ledger.facts(reqid));
  }

  /** What of the peer's may be made anew, though it stands: not what was begun just now. */
  renewable(plane: Plane, key: PublicKey): string[] {
    const now = performance.now();
    return this.#of(plane, key).flatMap(({ connection, reqid }) => {
      const { name, initiates } = connection;
      if (!initiates) return [];
      const { session, since } = this.#ledger.facts(reqid);
      const begunFor = now - (this.#begunAt.get(name) ?? Number.NEGATIVE_INFINITY);
      // Where the way is long, what came up late has not had the time to be answered by then.
      const isNew = session && Math.abs(Date.now() - since * 1000) < RENEW_MS;
      return isNew || begunFor < (session ? RENEW_MS : NEGOTIATION_MS) ? [] : [name];
    });
  }

  /**
   * Deletes first, so that nothing new clashes with what is to go.
   *
   * @param renewed names of connections that are made anew though they are as they should be
   * @returns by peer, why one of its connections is not as it should be
   */
  async settle(renewed: ReadonlySet<string> = new Set()): Promise<ReadonlyMap<string, Error>> {
    const wanted = connectionsOf(this.#roster.peers, this.#roster.carries);
    const gone = [...this.#standing.values()].filter(({ connection }) => !wanted.has(connection.name));
    const changed = [...wanted.values()].filter((connection) => {
      const standing = this.#standing.get(connection.name);
      return standing === undefined || renewed.has(connection.name) || !sameConnection(standing.connection, connection);
    });
    const failures = new Map<string, Error>();
    const pending = [...gone.map(({ connection }) => connection.name), ...changed.map(({ name }) => name)];
    if (pending.length > 0) await this.#write(pending);
    // Of a pluto that hangs each one more would wait as long as the first.
    let hung: Error | null = null;
    for (const [{ plane, peer }, act] of [
      ...gone.map(({ connection, reqid }) => [connection, () => this.#end(connection, reqid)] as const),
      ...changed.map((connection) => [connection, () => this.#begin(connection)] as const),
    ]) {
      const failure: Error | null = hung ?? (await act().then(() => null, asError));
      if (failure === null) continue;
      failures.set(peerKey(plane, peer), failure);
      if ((failure as Partial<NativeError>).errnoName === 'ETIMEDOUT') hung = failure;
    }
    if (pending.length > 0 || this.#roster.revision !== this.#writtenRevision) await this.#write([]);
    return failures;
  }

  async #end(connection: Connection, reqid: number): Promise<void> {
    const { name } = connection;
    await this.#keeper.client.send({ op: 'connection', name, delete: true });
    this.#unstand(connection);
    this.#release(name, reqid);
  }

  async #begin(connection: Connection): Promise<void> {
    const { name, plane, peer } = connection;
    const reqid = this.#reqidOf(name);
    const refusal = refusalIn(await this.#keeper.client.send(establish(connection, reqid)));
    if (refusal !== null) throw new CoraxError('CORAX_PLUTO', `pluto refuses connection ${name}: ${refusal}`);
    this.#stand({ connection, reqid });
    this.#begunAt.set(name, performance.now());
    this.#roster.touch(plane, peer);
  }

  #of(plane: Plane, key: PublicKey): Standing[] {
    return [...(this.#ofPeer.get(peerKey(plane, key)) ?? [])].flatMap((name) => this.#standing.get(name) ?? []);
  }

  #stand(standing: Standing): void {
    const { name, plane, peer } = standing.connection;
    // One of its name may have been another peer's.
    const before = this.#standing.get(name);
    if (before !== undefined) this.#unstand(before.connection);
    this.#standing.set(name, standing);
    const key = peerKey(plane, peer);
    this.#ofPeer.set(key, (this.#ofPeer.get(key) ?? new Set()).add(name));
  }

  #unstand({ name, plane, peer }: Connection): void {
    this.#standing.delete(name);
    const key = peerKey(plane, peer);
    const names = this.#ofPeer.get(key);
    names?.delete(name);
    if (names?.size === 0) this.#ofPeer.delete(key);
  }

  #reqidOf(name: string): number {
    const known = this.#reqids.get(name);
    if (known !== undefined) return known;
    if (this.#byReqid.size >= REQID_LIMIT) throw new CoraxError('CORAX_PLUTO', `more than ${REQID_LIMIT} connections`);
    while (this.#byReqid.has(this.#nextReqid)) this.#nextReqid = (this.#nextReqid % REQID_LIMIT) + 1;
    const reqid = this.#nextReqid;
    this.#nextReqid = (reqid % REQID_LIMIT) + 1;
    this.#number(name, reqid);
    return reqid;
  }

  #number(name: string, reqid: number): void {
    this.#reqids.set(name, reqid);
    this.#byReqid.set(reqid, name);
  }

  #release(name: string, reqid: number): void {
    this.#reqids.delete(name);
    this.#byReqid.delete(reqid);
    this.#begunAt.delete(name);
    this.#ledger.forget(reqid);
  }

  async #write(pending: readonly string[]): Promise<void> {
    const pluto = this.#keeper.identity;
    if (pluto === null) return;
    const { revision } = this.#roster;
    await writeBook(this.#bookPath, {
      pluto,
      peers: [...this.#roster.peers],
      carries: [...this.#roster.carries],
      standing: [...this.#standing.values()],
      pending,
    });
    this.#writtenRevision = revision;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}
