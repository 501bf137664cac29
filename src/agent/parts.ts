import type { AgentConfig } from '../config.js';
import type { PublicKey } from '../model/key.js';
import type { Engine } from '../native.js';
import type { GatewayStore } from '../store/store.js';
import type { TunnelDriver } from '../tunnel/driver.js';

/** What an agent is built from; the tests build it from others. */
export interface AgentParts {
  readonly config: AgentConfig;
  readonly engine: Engine;
  readonly driver: TunnelDriver;
  readonly store: GatewayStore;
  readonly publicKey: PublicKey;
}
