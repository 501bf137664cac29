/** The tunnel driver that the configuration asks for. */
import type { AgentConfig } from '../config.js';
import { CoraxError } from '../errors.js';
import type { PublicKey } from '../model/key.js';
import { Secret } from '../model/secret.js';
import type { Engine } from '../native.js';
import type { TunnelDriver } from '../tunnel/driver.js';
import { loadKeyPair, wireguardPresharedKey } from '../tunnel/keys.js';
import { LibreswanDriver } from '../tunnel/libreswan/libreswan.js';
import { WireguardDriver } from '../tunnel/wireguard.js';
import { keyOfName } from './name-keys.js';

export interface ChosenDriver {
  readonly driver: TunnelDriver;
  /** By which this node is known to itself: WireGuard's, or one made from its name. */
  readonly publicKey: PublicKey;
}

/** @throws CORAX_KEY, CORAX_PSK, CORAX_PLUTO */
export async function chooseDriver(config: AgentConfig, engine: Engine): Promise<ChosenDriver> {
  const { stateDir, psk, node } = config;
  if (config.driver === 'libreswan') {
    const driver = new LibreswanDriver({ engine, stateDir, psk, socket: config.plutoSocket });
    return { driver, publicKey: keyOfName(node) };
  }
  await retire(libreswan(engine, stateDir));
  const keys = await loadKeyPair(stateDir);
  const driver = new WireguardDriver(engine, keys.privateKey, wireguardPresharedKey(psk.reveal()));
  return { driver, publicKey: keys.publicKey };
}

/** Those whose traces there may be on this node, to remove them; no key is needed for that. */
export function driversToRemove(engine: Engine, stateDir: string): TunnelDriver[] {
  return [new WireguardDriver(engine, new Uint8Array(32), new Uint8Array(32)), ...libreswan(engine, stateDir)];
}

/** None where libreswan is not installed, or could never have run. */
function libreswan(engine: Engine, stateDir: string): LibreswanDriver[] {
  try {
    return [new LibreswanDriver({ engine, stateDir, psk: new Secret(''), socket: null })];
  } catch (error) {
    if (error instanceof CoraxError) return [];
    throw error;
  }
}

/** A pluto of an agent before, with another driver, would keep the port. */
async function retire(drivers: readonly LibreswanDriver[]): Promise<void> {
  for (const driver of drivers) {
    if (driver.isRunning()) await driver.destroy();
    else driver.stop();
  }
}
