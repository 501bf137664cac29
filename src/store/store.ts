/** Where Gateways live. What every store keeps to is tested by test/unit/store/conformance.ts. */
import type { Gateway } from '../model/gateway.js';
import type { EndpointFields } from '../model/step.js';

/** A Gateway that is not believed. */
export interface Refusal {
  /** The gateway's name; where none can be made out, what the store calls the object. */
  readonly name: string;
  /** One printable line: field, value and rule, and whether an earlier version stays in force. */
  readonly reason: string;
  /** Where to look: "gw-a.yaml:12", "gateways/gw-a". */
  readonly source: string;
}

/** What changed since the batch before. */
export interface StoreBatch {
  /** The store was read in whole at least once. Nothing is reported before that. */
  readonly synced: boolean;
  readonly upserted: readonly Gateway[];
  /**
   * Refusals that are new or read otherwise than before. A refusal removes nothing: an earlier good version
   * stays in force. Which refusals stand is told by {@link StoreHealth.refused}.
   */
  readonly refused: readonly Refusal[];
  /** Names of gateways that were upserted once and are gone. */
  readonly removed: readonly string[];
  /**
   * Something stands refused of which there never was a good version: what it asks for is not known, and so
   * what nobody else asks for may be its.
   */
  readonly unread: boolean;
}

/** Fields to write into the endpoint of type `tunnel` of one node. */
export interface EndpointPatch {
  readonly gateway: string;
  readonly nodeName: string;
  readonly set: EndpointFields;
}

export interface StoreHealth {
  readonly synced: boolean;
  /** What keeps the store from being read or watched now; null while all is well. */
  readonly lastError: {
    readonly code: string;
    readonly message: string;
    readonly at: number;
    /** It is about a certificate, a token or a permission. */
    readonly denied?: boolean;
  } | null;
  /** When the store was last known to be seen in whole, Unix milliseconds. */
  readonly lastSync: number | null;
  /** Every refusal that stands. */
  readonly refused: readonly Refusal[];
  /** Objects read and objects written since the start. */
  readonly reads: number;
  readonly writes: number;
}

export interface GatewayStore {
  /** Names or addresses of servers that the store is reached at: no gateway may draw them into a tunnel. */
  readonly hosts?: readonly string[];
  /**
   * Starts reading and watching; resolves after the first attempt to read, which may have failed (a folder
   * that is not mounted yet, an API that does not answer): the store goes on trying, and `synced` tells.
   * Batches come one at a time and hold only what changed.
   */
  start(onChange: (batch: StoreBatch) => void): Promise<void>;
  /**
   * Writes fields of one endpoint and leaves everything else as it is.
   * @throws CoraxError CORAX_CONFLICT: the gateway or the endpoint is not there (any more), or others kept
   *   changing it; CORAX_STORE: it could not be read or written.
   */
  publish(patch: EndpointPatch): Promise<'written' | 'unchanged'>;
  health(): StoreHealth;
  /** Waits for writes under way. No batch comes after it. */
  stop(): Promise<void>;
}
