/**
 * The planes' devices: XFRM interfaces. Where the kernel has none there is one plane, and its device is a dummy: routes,
 * rules and addresses hang on it, and what is routed to it is taken by IPsec's policies before it gets there. What no
 * policy takes ends in it, and so never leaves in the clear.
 */
import { CoraxError } from '../../errors.js';
import type { DeviceItem } from '../../model/item.js';
import { DRIVER_DEVICES, IF_IDS, PLANES } from '../../model/names.js';
import type { Engine, Link, NativeError, NetworkOp } from '../../native.js';

const NAMES = DRIVER_DEVICES.libreswan;
/** Beside the planes' own; never there for longer than it takes to see whether it can be made. */
const TRIAL = { name: 'ipsec4499', ifId: 4499 } as const;

/** Does this kernel make XFRM interfaces? Where there is none yet, only making one tells. */
export async function makesXfrmInterfaces(engine: Engine, links: readonly Link[]): Promise<boolean> {
  if (links.some(({ kind }) => kind === 'xfrm')) return true;
  const [failure] = await engine.network([
    { op: 'link-create', kind: 'xfrm', ...TRIAL },
    { op: 'link-delete', name: TRIAL.name },
  ]);
  // Any other failure is one that making the devices themselves meets too, and tells of.
  return failure?.errnoName !== 'EOPNOTSUPP';
}

/** Those that stand; one of the wrong kind, made when the kernel was another, is removed. */
export async function standingDevices(
  engine: Engine,
  links: readonly Link[],
  onePlane: boolean,
): Promise<readonly DeviceItem[]> {
  const items: DeviceItem[] = [];
  for (const plane of PLANES) {
    const link = links.find(({ name }) => name === NAMES[plane]);
    if (link === undefined) continue;
    if (link.kind === (onePlane ? 'dummy' : 'xfrm'))
      items.push({ kind: 'device', plane, name: NAMES[plane], listenPort: 0, mtu: 0 });
    else await removeDevice(engine, NAMES[plane]);
  }
  return items;
}

export async function setUpDevice(engine: Engine, { plane, name, mtu }: DeviceItem, onePlane: boolean): Promise<void> {
  const create: NetworkOp = onePlane
    ? { op: 'link-create', name, kind: 'dummy' }
    : { op: 'link-create', name, kind: 'xfrm', ifId: IF_IDS[plane] };
  const results = await engine.network([
    create,
    // Loose, because the two ends may be on different planes: the way back is then another device's.
    { op: 'link-set', name, mtu, rpFilter: 2, forwarding: true, up: true },
  ]);
  const failure = results.find((result) => result !== null);
  if (failure) throw deviceFailure(failure);
}

export async function removeDevice(engine: Engine, name: string): Promise<void> {
  const [failure] = await engine.network([{ op: 'link-delete', name }]);
  if (failure) throw failure;
}

/** All of them, down first. */
export async function removeDevices(engine: Engine): Promise<void> {
  const names = PLANES.map((plane) => NAMES[plane]);
  const failures = await engine.network([
    ...names.map((name) => ({ op: 'link-set', name, up: false }) as const),
    ...names.map((name) => ({ op: 'link-delete', name }) as const),
  ]);
  const failure = failures.find((each) => each !== null && each.errnoName !== 'ENODEV');
  if (failure) throw failure;
}

/** Without a device a path cannot be a route. */
export function deviceFailure(failure: NativeError): Error {
  if (failure.errnoName !== 'EOPNOTSUPP') return failure;
  return new CoraxError(
    'CORAX_PLUTO',
    'this kernel has neither XFRM interfaces (module xfrm_interface, Linux 4.19 or later) nor dummy devices (module dummy), and --driver libreswan needs one of them',
  );
}
