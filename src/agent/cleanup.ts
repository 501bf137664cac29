/** `--cleanup`: removes everything that corax ever makes on a node, whoever made it and however it ended. */
import { OVERLAY } from '../model/overlay.js';
import type { Engine } from '../native.js';
import { firewallRemoval } from '../network/firewall.js';
import type { Network, NetworkItem } from '../network/network.js';
import { isNetworkItem } from '../network/network.js';
import type { TunnelDriver } from '../tunnel/driver.js';

export interface CleanupReport {
  /** What was removed, a line each. */
  readonly removed: readonly string[];
  readonly failed: readonly string[];
}

/** Rules first: without them nothing goes into the tables any more. Everything is tried, whatever fails. */
export async function cleanUp(
  engine: Engine,
  drivers: readonly TunnelDriver[],
  network: Network,
): Promise<CleanupReport> {
  const removed: string[] = [];
  const failed: string[] = [];
  const attempt = async (what: string, act: () => Promise<unknown>) => {
    try {
      await act();
      removed.push(what);
    } catch (error) {
      failed.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const items = (await network.observe()).filter(isNetworkItem);
  for (const kind of ['rule', 'route'] as const) {
    const some = items.filter((item) => item.kind === kind);
    if (some.length > 0) await attempt(`${some.length} ${kind}s`, () => removeAll(network, some));
  }
  const overlay = items.filter((item) => item.kind === 'overlay');
  if (overlay.length > 0) await attempt(OVERLAY.device, () => removeAll(network, overlay));
  for (const driver of drivers) await attempt(`the tunnel devices of ${driver.name}`, () => driver.destroy());
  await attempt('the firewall table', () => engine.nft(firewallRemoval()));
  return { removed, failed };
}

async function removeAll(network: Network, items: readonly NetworkItem[]): Promise<void> {
  const results = await network.apply(items.map((item) => ({ op: 'delete', item })));
  const failure = results.find((result) => result !== null);
  if (failure) throw failure;
}
