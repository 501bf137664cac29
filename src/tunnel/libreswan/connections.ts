/** Which connections pluto needs for the peers that stand and what they carry. Pure. */
import { type Ip, isIpv4, type Prefix } from '../../model/address.js';
import type { CarryItem, IpsecPart, PeerItem } from '../../model/item.js';
import type { PublicKey } from '../../model/key.js';
import { type Plane, TUNNEL_PORT } from '../../model/names.js';
import type { PlutoCommand, PlutoConnection } from '../../native.js';

/** One SA pair's worth: a pair of prefixes with one peer on one plane. */
export interface Connection {
  readonly name: string;
  readonly plane: Plane;
  readonly peer: PublicKey;
  readonly ifId: number | null;
  readonly initiates: boolean;
  readonly fixedPort: boolean;
  readonly localId: string;
  readonly remoteId: string;
  readonly host: Ip;
  /** Null: whoever has the ID, from wherever. */
  readonly remoteHost: Ip | null;
  readonly remotePort: number | null;
  readonly localClient: Prefix;
  readonly remoteClient: Prefix;
}

/**
 * In seconds and milliseconds. pluto asks after so much silence whether the other end lives, and gives it up after so
 * much more; the agent's probes are quicker where there are any.
 */
const DPD_DELAY_S = 5;
const RETRANSMIT_TIMEOUT_S = 10;
const RETRANSMIT_INTERVAL_MS = 500;

/**
 * The cheap Diffie-Hellman first: pluto would begin with MODP 2048. Only who initiates says so, because one who answers
 * does not know yet who asks, and has to take raven's proposals too.
 */
const IKE = 'aes_gcm256-sha2_512-dh19,aes_gcm256-sha2_512-modp2048';
/** An overhead that fits into the tunnel's MTU: 65 bytes at most in UDP over IPv4. */
const ESP = 'aes_gcm256';

const ANY = { 4: '0.0.0.0/0' as Prefix, 6: '::/0' as Prefix } as const;

export function connectionsOf(
  peers: Iterable<PeerItem>,
  carries: Iterable<CarryItem>,
): ReadonlyMap<string, Connection> {
  const carried = new Map<string, Prefix[]>();
  for (const { plane, peer, prefix } of carries) {
    const key = `${plane} ${peer}`;
    carried.set(key, [...(carried.get(key) ?? []), prefix]);
  }
  const all = [...peers];
  const edges = all.filter(({ plane, ipsec }) => plane === 'relay' && ipsec !== undefined && ipsec.local !== 'own');
  const behindEdges = edges.flatMap(({ key }) => carried.get(`relay ${key}`) ?? []);
  const connections = new Map<string, Connection>();
  for (const peer of all) {
    const { ipsec } = peer;
    const own = carried.get(`${peer.plane} ${peer.key}`) ?? [];
    // Who is to begin and does not know where: later, when it is aimed.
    if (ipsec === undefined || own.length === 0 || (ipsec.initiates && peer.endpoint === null)) continue;
    for (const [local, remote] of pairs(ipsec, own, behindEdges)) {
      const connection = connect(peer, ipsec, local, remote);
      connections.set(connection.name, connection);
    }
  }
  return connections;
}

function pairs(ipsec: IpsecPart, carried: readonly Prefix[], behindEdges: readonly Prefix[]): Array<[Prefix, Prefix]> {
  const families = (prefixes: readonly Prefix[]) => new Set(prefixes.map(familyOf));
  const locals = {
    own: ipsec.subnets,
    edges: [...ipsec.subnets, ...behindEdges.filter((prefix) => !carried.includes(prefix))],
    any: [...families(carried)].map((family) => ANY[family]),
  }[ipsec.local];
  const remotes = { carried, any: [...families(ipsec.subnets)].map((family) => ANY[family]) }[ipsec.remote];
  return locals.flatMap((local) =>
    remotes.flatMap(
      (remote): Array<[Prefix, Prefix]> => (familyOf(local) === familyOf(remote) ? [[local, remote]] : []),
    ),
  );
}

function familyOf(prefix: Prefix): 4 | 6 {
  return isIpv4(prefix) ? 4 : 6;
}

/** Names and IDs as raven has them. */
function connect(peer: PeerItem, ipsec: IpsecPart, local: Prefix, remote: Prefix): Connection {
  const { localName, remoteName, ifId, host, initiates, fixedPort } = ipsec;
  return {
    name: `${localName}-${remoteName}-${local}-${remote}`,
    plane: peer.plane,
    peer: peer.key,
    ifId,
    initiates,
    fixedPort,
    localId: `@${localName}-${local}-${remote}`,
    remoteId: `@${remoteName}-${remote}-${local}`,
    host,
    // Who only answers need not know where from: so another hole changes nothing.
    remoteHost: initiates ? (peer.endpoint?.ip ?? null) : null,
    remotePort: initiates ? (peer.endpoint?.port ?? null) : null,
    localClient: local,
    remoteClient: remote,
  };
}

export function sameConnection(a: Connection, b: Connection): boolean {
  return (Object.keys(a) as Array<keyof Connection>).every((field) => a[field] === b[field]);
}

/** For pluto; {@link PlutoConnection} has the units. */
export function plutoConnection(connection: Connection, reqid: number): PlutoConnection {
  const { initiates, fixedPort } = connection;
  return {
    local: {
      id: connection.localId,
      host: connection.host,
      ikePort: fixedPort ? TUNNEL_PORT : null,
      client: connection.localClient,
    },
    remote: {
      id: connection.remoteId,
      host: connection.remoteHost,
      ikePort: connection.remotePort,
      client: connection.remoteClient,
    },
    dpdDelayS: DPD_DELAY_S,
    retransmitTimeoutS: RETRANSMIT_TIMEOUT_S,
    retransmitIntervalMs: RETRANSMIT_INTERVAL_MS,
    // One that began anew on either end would cross the other's.
    dpdAction: initiates ? 'restart' : 'clear',
    ifId: connection.ifId,
    reqid,
    ike: initiates ? IKE : null,
    esp: initiates ? ESP : null,
  };
}

/** Deletes what there is of that name, and makes it anew. Who initiates is routed too: traffic brings it back. */
export function establish(connection: Connection, reqid: number): PlutoCommand {
  const { name, initiates } = connection;
  const add = plutoConnection(connection, reqid);
  return { op: 'connection', name, delete: true, add, ...(initiates ? { route: true, initiate: true } : {}) };
}
