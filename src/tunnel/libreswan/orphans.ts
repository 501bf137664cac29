/**
 * What a pluto that ended left in the kernel. It goes on carrying traffic as soon as another pluto holds the port, so it
 * stays until the same connection has something newer, or nobody asks for it any more.
 */
import { ipFromBytes } from '../../model/address.js';
import { IF_IDS, TUNNEL_PORT } from '../../model/names.js';
import type {
  Engine,
  NativeError,
  XfrmDeletions,
  XfrmPolicies,
  XfrmPolicyId,
  XfrmStateId,
  XfrmStates,
} from '../../native.js';
import type { Standing } from './book.js';

/** What comes by the old SA may still be on its way. */
const GRACE_MS = 5_000;
/** By then whatever is wanted has been asked for. */
const UNCLAIMED_MS = 90_000;
const ADDRESS_BYTES = 16;
const SELECTOR_BYTES = 18;
/** XFRM interfaces of ours. */
const OURS: readonly number[] = Object.values(IF_IDS);

interface Orphan {
  readonly reqid: number;
  readonly id: XfrmStateId;
}

export class Orphans {
  readonly #engine: Engine;
  #left: Orphan[] = [];
  #since = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /**
   * All SAs on our interfaces are an earlier pluto's.
   *
   * @param numbers of connections without an interface: {@link numbersOf}
   */
  async find(now: number, numbers: ReadonlySet<number>): Promise<void> {
    const states = await this.#engine.xfrmSnapshot();
    this.#since = now;
    this.#left = [];
    for (let index = 0; index < states.count; index += 1) {
      if (!isOurs(states, index, numbers)) continue;
      const at = index * ADDRESS_BYTES;
      this.#left.push({
        reqid: states.reqids[index] as number,
        id: {
          destination: ipFromBytes(states.destinations.subarray(at, at + ADDRESS_BYTES)),
          spi: states.spis[index] as number,
          protocol: states.protocols[index] as number,
          mark: states.marks[index] as number,
          markMask: states.markMasks[index] as number,
        },
      });
    }
  }

  /**
   * Removes those whose time has come.
   *
   * @param renewedAt when the reqid's newest SA came up, Unix milliseconds; null where no connection has the reqid
   */
  async sweep(renewedAt: (reqid: number) => number | null, now: number): Promise<void> {
    if (this.#left.length === 0) return;
    const isOver = ({ reqid }: Orphan) => {
      const at = renewedAt(reqid);
      if (at === null) return now - this.#since > UNCLAIMED_MS;
      return at > this.#since && now - at > GRACE_MS;
    };
    const over = this.#left.filter(isOver);
    if (over.length === 0) return;
    this.#left = this.#left.filter((orphan) => !over.includes(orphan));
    await remove(this.#engine, { states: over.map(({ id }) => id) });
  }
}

/** By what SAs are known that are on no interface: their connections' reqids. */
export function numbersOf(standing: Iterable<Standing>): ReadonlySet<number> {
  return new Set([...standing].flatMap(({ connection, reqid }) => (connection.ifId === null ? [reqid] : [])));
}

/** Others number theirs as they like, but the port is held by one IKE daemon alone. */
function isOurs(states: XfrmStates, index: number, numbers: ReadonlySet<number>): boolean {
  const ifId = states.ifIds[index] as number;
  if (ifId !== 0) return OURS.includes(ifId);
  const ports = [states.encapSourcePorts[index], states.encapDestinationPorts[index]];
  return numbers.has(states.reqids[index] as number) && ports.includes(TUNNEL_PORT);
}

/**
 * Whatever hangs on our interfaces, and what stood without one, for good. A kernel without XFRM has nothing.
 *
 * @param standing as the book has it
 */
export async function removeXfrm(engine: Engine, standing: readonly Standing[]): Promise<void> {
  try {
    await removeAll(engine, standing);
  } catch (error) {
    if ((error as NativeError).errnoName !== 'EPROTONOSUPPORT') throw error;
  }
}

async function removeAll(engine: Engine, standing: readonly Standing[]): Promise<void> {
  const orphans = new Orphans(engine);
  await orphans.find(0, numbersOf(standing));
  await orphans.sweep(() => null, Number.MAX_SAFE_INTEGER);
  const found = await engine.xfrmPolicies();
  const policies: XfrmPolicyId[] = [];
  for (let index = 0; index < found.count; index += 1) {
    const ifId = found.ifIds[index] as number;
    const isOurs = ifId === 0 ? standing.some((one) => isPolicyOf(one, found, index)) : OURS.includes(ifId);
    if (!isOurs) continue;
    const direction = found.directions[index] as 0 | 1 | 2;
    const mark = { mark: found.marks[index] as number, markMask: found.markMasks[index] as number };
    policies.push({ direction, index: found.indexes[index] as number, ifId, ...mark });
  }
  await remove(engine, { policies });
}

/** It has the connection's number and its pair of subnets, in one of the two directions. */
function isPolicyOf({ connection, reqid }: Standing, policies: XfrmPolicies, index: number): boolean {
  if (connection.ifId !== null || policies.templateReqids[index] !== reqid) return false;
  const pair = [selectorAt(policies.sources, index), selectorAt(policies.destinations, index)].sort().join();
  return pair === [connection.localClient, connection.remoteClient].sort().join();
}

/** Family (4 or 6), prefix length, and the address in 16 bytes. */
function selectorAt(column: Uint8Array, index: number): string {
  const [, length, ...address] = column.subarray(index * SELECTOR_BYTES, (index + 1) * SELECTOR_BYTES);
  return `${ipFromBytes(Uint8Array.from(address))}/${length}`;
}

async function remove(engine: Engine, what: XfrmDeletions): Promise<void> {
  const failure = (await engine.xfrmDelete(what)).find((result) => result !== null);
  if (failure) throw failure;
}
