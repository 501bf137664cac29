/** The kernel's SAs, joined to connections by reqid: sessions, holes, and counters that outlive a rekeying. */
import { type HostPort, type Ip, ipFromBytes, sameHostPort } from '../../model/address.js';
import { ChangeFlag, type XfrmDelta } from '../../native.js';

const ADDRESS_BYTES = 16;
const IPPROTO_ESP = 50;

interface Sa {
  readonly outbound: boolean;
  /** Where its other end is: the hole. */
  endpoint: HostPort;
  bytes: number;
  /** Unix seconds. */
  readonly since: number;
}

/** What is known of one reqid. */
export interface SaFacts {
  /** An SA stands in each direction. */
  readonly session: boolean;
  /** Of the newest inbound SA, or outbound where there is no other. */
  readonly endpoint: HostPort | null;
  /** When the newest came up, Unix seconds; 0 = none ever did. */
  readonly since: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

interface Account {
  readonly sas: Map<string, Sa>;
  since: number;
  /** Of SAs that are gone. */
  rxBytes: number;
  txBytes: number;
}

export const NO_SA: SaFacts = { session: false, endpoint: null, since: 0, rxBytes: 0, txBytes: 0 };

export class SaLedger {
  readonly #accounts = new Map<number, Account>();
  readonly #bySa = new Map<string, number>();

  /**
   * @param isOwn is the address one of the node's own: an SA from it is outbound
   * @param now Unix seconds, with a fraction; the kernel's times have none
   * @returns reqids of which something changed
   */
  take(delta: XfrmDelta, isOwn: (ip: Ip) => boolean, now: number): ReadonlySet<number> {
    const changed = new Set<number>();
    for (let index = 0; index < delta.count; index += 1) {
      if (delta.protocols[index] !== IPPROTO_ESP) continue;
      const reqid = delta.reqids[index] as number;
      const key = `${delta.spis[index]} ${addressAt(delta.destinations, index)}`;
      const known = this.#bySa.get(key);
      const changes = delta.changes[index] as number;
      if (changes === ChangeFlag.Counters && known === reqid) {
        this.#count(reqid, key, delta.bytes[index] as number);
        changed.add(reqid);
        continue;
      }
      // One that took the place of another under its SPI counts from zero.
      if (known !== undefined && (known !== reqid || (changes & (ChangeFlag.Added | ChangeFlag.Removed)) !== 0)) {
        this.#retire(key, known);
        changed.add(known);
      }
      if ((changes & ChangeFlag.Removed) === 0) this.#enter(key, delta, index, isOwn, now);
      changed.add(reqid);
    }
    return changed;
  }

  facts(reqid: number): SaFacts {
    const account = this.#accounts.get(reqid);
    if (account === undefined) return NO_SA;
    let [rxBytes, txBytes] = [account.rxBytes, account.txBytes];
    let newest: Sa | null = null;
    const directions = new Set<boolean>();
    for (const sa of account.sas.values()) {
      directions.add(sa.outbound);
      if (sa.outbound) txBytes += sa.bytes;
      else rxBytes += sa.bytes;
      if (newest === null || rank(sa) >= rank(newest)) newest = sa;
    }
    const { since } = account;
    return { session: directions.size === 2, endpoint: newest?.endpoint ?? null, since, rxBytes, txBytes };
  }

  /** The connection is gone; what the kernel still has of it counts no more. */
  forget(reqid: number): void {
    const account = this.#accounts.get(reqid);
    for (const key of account?.sas.keys() ?? []) this.#bySa.delete(key);
    this.#accounts.delete(reqid);
  }

  #enter(key: string, delta: XfrmDelta, index: number, isOwn: (ip: Ip) => boolean, now: number): void {
    const reqid = delta.reqids[index] as number;
    const account = this.#accounts.get(reqid) ?? { sas: new Map<string, Sa>(), since: 0, rxBytes: 0, txBytes: 0 };
    this.#accounts.set(reqid, account);
    this.#bySa.set(key, reqid);
    const source = addressAt(delta.sources, index);
    const outbound = isOwn(source);
    const endpoint = outbound
      ? { ip: addressAt(delta.destinations, index), port: delta.encapDestinationPorts[index] as number }
      : { ip: source, port: delta.encapSourcePorts[index] as number };
    const bytes = delta.bytes[index] as number;
    const before = account.sas.get(key);
    if (before !== undefined) {
      before.bytes = bytes;
      if (!sameHostPort(before.endpoint, endpoint)) before.endpoint = endpoint;
      return;
    }
    const added = delta.addedAt[index] as number;
    const since = Math.min(Math.max(now, added), added + 1);
    account.sas.set(key, { outbound, endpoint, bytes, since });
    account.since = Math.max(account.since, since);
  }

  /** Of thousands each second: nothing else of it is looked at. */
  #count(reqid: number, key: string, bytes: number): void {
    const sa = this.#accounts.get(reqid)?.sas.get(key);
    if (sa !== undefined) sa.bytes = bytes;
  }

  #retire(key: string, reqid: number): void {
    this.#bySa.delete(key);
    const account = this.#accounts.get(reqid);
    const sa = account?.sas.get(key);
    if (account === undefined || sa === undefined) return;
    account.sas.delete(key);
    if (sa.outbound) account.txBytes += sa.bytes;
    else account.rxBytes += sa.bytes;
  }
}

/** What comes in tells where the other end is; the latest counts. */
function rank({ outbound, since }: Sa): number {
  return outbound ? -1 / since : since;
}

function addressAt(column: Uint8Array, index: number): Ip {
  return ipFromBytes(column.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES));
}
