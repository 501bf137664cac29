/** raven's VXLAN device and its entries: to and from the kernel. */
import { constants } from 'node:os';
import { type Ip, isIpv4, parseIp } from '../model/address.js';
import type { FdbItem, Item, NeighbourItem, OverlayItem } from '../model/item.js';
import { isOverlayAddress, OVERLAY } from '../model/overlay.js';
import type { Address, Engine, Link, NetworkOp } from '../native.js';

const { device: DEVICE, vni, port } = OVERLAY;
/** Of a device that is not as ours is to be: it is made anew. */
const NO_MAC = '';

export async function observeOverlay(
  engine: Engine,
  links: readonly Link[],
  addresses: readonly Address[],
): Promise<Item[]> {
  const link = links.find(({ name }) => name === DEVICE);
  if (link === undefined) return [];
  const items: Item[] = [deviceItem(link, addresses)];
  for (const { kind, mac, address, permanent } of await engine.neighbours(DEVICE)) {
    const ip = parseIp(address);
    if (ip === null || !isIpv4(ip) || !permanent) continue;
    if (kind === 'fdb') items.push({ kind, device: DEVICE, mac, destination: ip });
    else if (isOverlayAddress(ip)) items.push({ kind: 'neighbour', device: DEVICE, address: ip, mac });
  }
  return items;
}

/** One that is down, or has no address, has no MTU either: it is set up again. */
function deviceItem(link: Link, addresses: readonly Address[]): OverlayItem {
  const held = addresses.flatMap(({ ifindex, address }) => {
    const ip = ifindex === link.index ? parseIp(address) : null;
    return ip !== null && isOverlayAddress(ip) ? [ip] : [];
  });
  const { vxlan } = link;
  const isOurs = vxlan !== null && vxlan.vni === vni && vxlan.port === port && !vxlan.learning && held.length < 2;
  return {
    kind: 'overlay',
    name: DEVICE,
    address: held[0] ?? ('0.0.0.0' as Ip),
    mac: isOurs ? (link.mac ?? NO_MAC) : NO_MAC,
    mtu: link.up ? link.mtu : 0,
  };
}

/** Another device of that name is in the way, or was raven's for another address: what hangs on it is put again. */
export async function putOverlay(engine: Engine, { name, address, mac, mtu }: OverlayItem): Promise<void> {
  const create: NetworkOp = { op: 'link-create', name, kind: 'vxlan', vni, port, mac };
  const [refused] = await engine.network([create]);
  if (refused && refused.errno !== constants.errno.EEXIST) throw refused;
  const steps: NetworkOp[] = [
    { op: 'address-add', device: name, address, prefixLength: OVERLAY.prefixLength, scope: 'link' },
    // Loose: the way back to a remote is by the main table for all that the kernel's check sees.
    { op: 'link-set', name, mtu, rpFilter: 2, forwarding: true, up: true },
  ];
  if (refused) steps.unshift({ op: 'link-delete', name }, create);
  const failure = (await engine.network(steps)).find((result) => result !== null);
  if (failure) throw failure;
}

export function entryOperation(op: 'put' | 'delete', item: FdbItem | NeighbourItem): NetworkOp {
  const { device, mac } = item;
  if (item.kind === 'fdb') {
    return { op: op === 'put' ? 'fdb-replace' : 'fdb-delete', device, mac, address: item.destination };
  }
  return { op: op === 'put' ? 'neighbour-replace' : 'neighbour-delete', device, mac, address: item.address };
}
