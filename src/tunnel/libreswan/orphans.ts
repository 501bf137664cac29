/**
 * What a pluto that ended left in the kernel. It goes on carrying traffic as soon as another pluto holds the port, so it
 * stays until the same connection has something newer, or nobody asks for it any more.
 */
import { ipFromBytes } from '../../model/address.js';
import { IF_IDS } from '../../model/names.js';
import type { Engine, NativeError, XfrmDeletions, XfrmPolicyId, XfrmStateId } from '../../native.js';

/** What comes by the old SA may still be on its way. */
const GRACE_MS = 5_000;
/** By then whatever is wanted has been asked for. */
const UNCLAIMED_MS = 90_000;
const ADDRESS_BYTES = 16;

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

  /** All SAs on our interfaces are an earlier pluto's. */
  async find(now: number): Promise<void> {
    const states = await this.#engine.xfrmSnapshot();
    const ours: readonly number[] = Object.values(IF_IDS);
    this.#since = now;
    this.#left = [];
    for (let index = 0; index < states.count; index += 1) {
      if (!ours.includes(states.ifIds[index] as number)) continue;
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

/** Whatever hangs on our interfaces, for good. A kernel without XFRM has nothing. */
export async function removeXfrm(engine: Engine): Promise<void> {
  try {
    await removeAll(engine);
  } catch (error) {
    if ((error as NativeError).errnoName !== 'EPROTONOSUPPORT') throw error;
  }
}

async function removeAll(engine: Engine): Promise<void> {
  const ours: readonly number[] = Object.values(IF_IDS);
  const orphans = new Orphans(engine);
  await orphans.find(0);
  await orphans.sweep(() => null, Number.MAX_SAFE_INTEGER);
  const found = await engine.xfrmPolicies();
  const policies: XfrmPolicyId[] = [];
  for (let index = 0; index < found.count; index += 1) {
    const ifId = found.ifIds[index] as number;
    if (!ours.includes(ifId)) continue;
    const direction = found.directions[index] as 0 | 1 | 2;
    const mark = { mark: found.marks[index] as number, markMask: found.markMasks[index] as number };
    policies.push({ direction, index: found.indexes[index] as number, ifId, ...mark });
  }
  await remove(engine, { policies });
}

async function remove(engine: Engine, what: XfrmDeletions): Promise<void> {
  const failure = (await engine.xfrmDelete(what)).find((result) => result !== null);
  if (failure) throw failure;
}
