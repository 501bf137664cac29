/** A node whose status follows a script, for the page: names, numbers and changes as an edge would have them. */
import type { PathChange, PeerStatus, PlaneStatus } from '#src/model/status.js';
import type { PageSource } from '#src/telemetry/page/feed.js';
import type { Head } from '#src/telemetry/page/view.js';

const HOUR = 3600;

export interface World extends PageSource {
  status: Head;
  readonly list: PeerStatus[];
  readonly log: { changes: readonly PathChange[] };
  /** One path changes, with its line in the log. */
  change(gateway: string, to: PeerStatus['state'], reason: string): void;
  /** Round trips move a little. */
  breathe(): void;
}

export function plane(rttMs: number | null, more: Partial<PlaneStatus> = {}): PlaneStatus {
  const lastHandshake = Date.now() / 1000 - 47;
  const rest = { alive: rttMs !== null, lastHandshake, loss: 0, rxBytes: 91_400_000, txBytes: 12_800_000 };
  return { endpoint: '203.0.113.1:4500', rttMs, ...rest, ...more };
}

export function peer(gateway: string, more: Partial<PeerStatus> = {}): PeerStatus {
  return {
    gateway,
    node: `${gateway}-node-1`,
    subnets: ['10.244.2.0/24'],
    path: 'direct',
    state: 'direct',
    since: Date.now() / 1000 - 5 * HOUR,
    mayBeDirect: true,
    reason: 'direct answers in 18.2 ms, relay in 46.9 ms',
    planes: { relay: plane(46.9), direct: plane(18.2, { endpoint: '198.51.100.20:4500' }) },
    ...more,
  };
}

/** As it might be some evening: most go direct, some cannot, one is on its way, one does not answer. */
export function evening(): PeerStatus[] {
  const direct = (name: string, subnet: string, d: number, r: number, hours: number, loss = 0) =>
    peer(name, {
      subnets: [subnet],
      since: Date.now() / 1000 - hours * HOUR,
      reason: `direct answers in ${d.toFixed(1)} ms, relay in ${r.toFixed(1)} ms`,
      planes: { relay: plane(r), direct: plane(d, { endpoint: '198.51.100.20:4500', loss }) },
    });
  const symmetric =
    'this end is behind a Port Restricted cone NAT, the other behind a Symmetric NAT: no packet gets in first';
  return [
    direct('hangzhou-plant-2', '10.244.12.0/24', 18.2, 46.9, 5),
    direct('suzhou-warehouse', '10.244.15.0/24', 9.4, 41.2, 31),
    direct('wuhan-depot', '10.244.18.0/24', 27.8, 52.3, 2, 0.004),
    direct('ningbo-harbour', '10.244.21.0/24', 12.6, 44.0, 74),
    peer('chengdu-store-7', {
      subnets: ['10.244.33.0/24'],
      path: 'relay',
      state: 'relayed',
      mayBeDirect: false,
      since: Date.now() / 1000 - 9 * HOUR,
      reason: symmetric,
      planes: { relay: plane(61.7), direct: null },
    }),
    peer('xian-lab', {
      subnets: ['10.244.37.0/24'],
      path: 'relay',
      state: 'relayed',
      since: Date.now() / 1000 - 340,
      reason: 'no handshake came through',
      planes: { relay: plane(58.3), direct: null },
    }),
    peer('nanjing-line-4', {
      subnets: ['10.244.41.0/24'],
      path: 'relay',
      state: 'punching',
      since: Date.now() / 1000 - 3,
      reason: 'both holes are known',
      planes: { relay: plane(49.5), direct: plane(null, { alive: null, loss: null, lastHandshake: null, rxBytes: 0 }) },
    }),
    peer('qingdao-kiosk', {
      subnets: ['10.244.52.0/24'],
      path: 'relay',
      state: 'relayed',
      since: Date.now() / 1000 - 95,
      reason: 'no handshake came through',
      planes: { relay: plane(null, { alive: false, loss: 1 }), direct: null },
    }),
    peer('cloud', {
      node: 'relay-1',
      subnets: ['10.244.0.0/24'],
      path: 'relay',
      state: 'relayed',
      mayBeDirect: null,
      since: null,
      reason: 'it is a relay',
      planes: { relay: plane(23.1), direct: null },
    }),
  ];
}

export function world(peers: PeerStatus[] = evening(), more: Partial<Head> = {}): World {
  const list = [...peers];
  const log: World['log'] = { changes: [] };
  const made: World = {
    list,
    log,
    status: {
      node: 'shanghai-1',
      gateway: 'shanghai-plant-1',
      role: 'edge',
      driver: 'wireguard',
      version: '0.1.0',
      startedAt: Date.now() / 1000 - 26 * HOUR,
      nat: {
        type: 'Port Restricted cone NAT',
        mapping: 'endpoint-independent',
        filtering: 'address-and-port-dependent',
        hole: '198.51.100.10:4500',
        profile: null,
      },
      store: { kind: 'kubernetes', synced: true, lastError: null },
      errors: [],
      ...more,
    },
    head: () => made.status,
    peers: () => list,
    changes: () => log.changes,
    change(gateway, to, reason) {
      const index = list.findIndex((each) => each.gateway === gateway);
      const before = list[index];
      if (before === undefined) throw new Error(`no peer ${gateway}`);
      const at = Date.now() / 1000;
      log.changes = [{ at, gateway, from: before.state, to, reason }, ...log.changes];
      const direct =
        before.planes.direct?.rttMs == null ? plane(21.4, { endpoint: '198.51.100.41:4500' }) : before.planes.direct;
      const planes = { ...before.planes, direct: to === 'relayed' ? null : direct };
      list[index] = { ...before, state: to, path: to === 'direct' ? 'direct' : 'relay', since: at, reason, planes };
    },
    breathe() {
      list.forEach((each, index) => {
        const { relay, direct } = each.planes;
        list[index] = { ...each, planes: { relay: moved(relay), direct: moved(direct) } };
      });
    },
  };
  return made;
}

/** Halfway back to what it was at first, with a queue somewhere now and then. */
function moved(plane: PlaneStatus | null): PlaneStatus | null {
  if (plane?.rttMs == null) return plane;
  const usual = (plane as PlaneStatus & { usual?: number }).usual ?? plane.rttMs;
  const queue = Math.random() < 0.03 ? usual * 0.35 : 0;
  const rttMs = (plane.rttMs + usual * (0.97 + Math.random() * 0.06)) / 2 + queue;
  return { ...plane, rttMs, usual } as PlaneStatus;
}
