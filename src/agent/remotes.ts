/** What is observed of each remote gateway, and what its path remembers. */
import type { PathMemory } from '../decide/path.js';
import { DEMAND_MS, isWithin, SESSION_MS } from '../decide/timing.js';
import { formatHostPort, type HostPort, type Ip, sameHostPort } from '../model/address.js';
import type { PeerFacts, ProbeFacts, RemoteFacts } from '../model/facts.js';
import type { Gateway } from '../model/gateway.js';
import type { PublicKey } from '../model/key.js';
import { PLANES, type Plane } from '../model/names.js';
import type { PeerUpdate } from '../tunnel/driver.js';

/** Since the agent began, over all peers and probe targets of a plane: unlike theirs, these never fall. */
export interface Totals {
  /** The latest, Unix seconds; 0 = never. */
  lastHandshake: number;
  rxBytes: number;
  txBytes: number;
  probesSent: number;
  probesLost: number;
}

export interface Remote {
  gateway: Gateway;
  path: PathMemory | null;
  facts: RemoteFacts;
  complaint: string | null;
  /** What goes there is on another node's way for now. */
  detour: boolean;
  /** Since when the two ends' paths differ; null while they do not. Unix milliseconds. */
  differsSince: number | null;
  /** When both holes were known and the running try began; null when it was counted or none runs. */
  puttingThroughSince: number | null;
  readonly totals: Readonly<Record<Plane, Totals>>;
  /** Of the latest handshake of this node that was answered, milliseconds. */
  handshakeRttMs: number | null;
}

const UNSEEN: RemoteFacts = {
  relay: { peer: null, probe: null },
  direct: { peer: null, probe: null },
  remotePath: null,
};

/** A keepalive is 32 bytes every 5 s, a handshake initiation 148: what grows faster carries data. */
const KEEPALIVE_BYTES = 32;
const HANDSHAKE_BYTES = 148;
/** No more exactly is it remembered when there was traffic. */
const TRAFFIC_MS = 5_000;

export class Remotes {
  readonly #byName = new Map<string, Remote>();
  #movedAt = 0;
  readonly #byKey = new Map<PublicKey, string>();
  readonly #byProbeAddress = new Map<Ip, string>();
  /** Whose peer the kernel sends to there; of two that share an address and port, the one that was seen there last. */
  readonly #byEndpoint = new Map<string, string>();
  /** Peers that stand and whose gateway is not known yet: after a restart, all of them. By key and plane. */
  readonly #strangers = new Map<PublicKey, { [P in Plane]?: PeerFacts | undefined }>();

  get(name: string): Remote | undefined {
    return this.#byName.get(name);
  }

  get all(): Iterable<Remote> {
    return this.#byName.values();
  }

  /** When a remote's active endpoint last moved to another node; Unix milliseconds, 0 = never. */
  get movedAt(): number {
    return this.#movedAt;
  }

  get size(): number {
    return this.#byName.size;
  }

  put(gateway: Gateway): Remote {
    const before = this.#byName.get(gateway.name);
    if (before !== undefined) this.#unindex(before.gateway);
    const { active } = gateway;
    if (active?.publicKey) this.#byKey.set(active.publicKey, gateway.name);
    if (active?.probeAddress) this.#byProbeAddress.set(active.probeAddress, gateway.name);
    // Another key is another peer: nothing that was seen of the old one is true of it.
    const same = before !== undefined && before.gateway.active?.publicKey === active?.publicKey;
    // Asked for before the peers of before are forgotten.
    const more = same ? {} : former(before, gateway);
    if (before !== undefined && !same) for (const plane of PLANES) this.#setPeer(before, plane, null);
    const remote: Remote = same ? before : newRemote(gateway, more, before?.totals);
    remote.gateway = gateway;
    if (!same) this.#movedAt = Math.max(this.#movedAt, remote.facts.former?.since ?? 0);
    const stranger = active?.publicKey ? this.#strangers.get(active.publicKey) : undefined;
    if (active?.publicKey && stranger !== undefined) {
      this.#strangers.delete(active.publicKey);
      for (const plane of PLANES) {
        this.#setPeer(remote, plane, stranger[plane] ?? null);
        count(remote.totals[plane], null, stranger[plane]);
      }
    }
    this.#byName.set(gateway.name, remote);
    return remote;
  }

  delete(name: string): void {
    const remote = this.#byName.get(name);
    if (remote === undefined) return;
    this.#unindex(remote.gateway);
    for (const plane of PLANES) this.#setPeer(remote, plane, null);
    this.#byName.delete(name);
  }

  /** Whose tunnel ends there, as the kernel sees it. */
  withEndpoint(endpoint: HostPort): Remote | undefined {
    const name = this.#byEndpoint.get(formatHostPort(endpoint));
    return name === undefined ? undefined : this.#byName.get(name);
  }

  #setPeer(remote: Remote, plane: Plane, peer: PeerFacts | null): void {
    const before = remote.facts[plane].peer?.endpoint ?? null;
    const after = peer?.endpoint ?? null;
    remote.facts = withPeer(remote.facts, plane, peer);
    if (sameHostPort(before, after)) return;
    const { name } = remote.gateway;
    if (before !== null && this.#byEndpoint.get(formatHostPort(before)) === name)
      this.#byEndpoint.delete(formatHostPort(before));
    // The other plane's may be the same: this one's leaving must not hide it.
    for (const { peer: left } of PLANES.map((each) => remote.facts[each]))
      if (left?.endpoint) this.#byEndpoint.set(formatHostPort(left.endpoint), name);
  }

  withKey(key: PublicKey): Remote | undefined {
    const name = this.#byKey.get(key);
    return name === undefined ? undefined : this.#byName.get(name);
  }

  withProbeAddress(address: Ip): Remote | undefined {
    const name = this.#byProbeAddress.get(address);
    return name === undefined ? undefined : this.#byName.get(name);
  }

  /** @returns whose peer it is, or null for a peer that no gateway has */
  seePeer(update: PeerUpdate, now: number): Remote | null {
    const { key, plane } = update;
    const remote = this.withKey(key);
    if (remote === undefined) {
      this.#seeStranger(update, now);
      return null;
    }
    const { peer } = remote.facts[plane];
    if (!update.gone) count(remote.totals[plane], peer, update);
    this.#setPeer(remote, plane, update.gone ? null : merge(peer, update, now));
    return remote;
  }

  /** The peer was taken away: nothing that was seen of it is true of one that is added later. */
  dropPeer(key: PublicKey, plane: Plane): void {
    const remote = this.withKey(key);
    if (remote !== undefined) this.#setPeer(remote, plane, null);
  }

  /** A device went with all its peers. */
  dropPeers(plane: Plane): void {
    for (const remote of this.#byName.values()) this.#setPeer(remote, plane, null);
    for (const [key, planes] of this.#strangers) this.#strangers.set(key, { ...planes, [plane]: undefined });
  }

  /** Peers that stand on the plane and are no known gateway's. */
  strangers(plane: Plane): PeerFacts[] {
    return [...this.#strangers.values()].flatMap((planes) => planes[plane] ?? []);
  }

  #seeStranger(update: PeerUpdate, now: number): void {
    const { [update.plane]: before, ...others } = this.#strangers.get(update.key) ?? {};
    const planes = update.gone ? others : { ...others, [update.plane]: merge(before ?? null, update, now) };
    if (Object.keys(planes).length === 0) this.#strangers.delete(update.key);
    else this.#strangers.set(update.key, planes);
  }

  /** Its relay-plane peer was re-added. */
  nudged(name: string, now: number): void {
    const remote = this.#byName.get(name);
    if (remote !== undefined) remote.facts = { ...remote.facts, nudgedAt: now };
  }

  /** @returns is it the first for as long as a direct plane is kept without? */
  seeTraffic(name: string, now: number): boolean {
    const remote = this.#byName.get(name);
    if (remote === undefined) return false;
    const { trafficAt = 0 } = remote.facts;
    if (!isWithin(TRAFFIC_MS, trafficAt, now)) remote.facts = { ...remote.facts, trafficAt: now };
    return !isWithin(DEMAND_MS, trafficAt, now);
  }

  /** Direct planes are on demand from now on: those that stand stay as long as if there had been traffic now. */
  keepDirect(now: number): void {
    for (const remote of this.#byName.values())
      if (remote.path?.state === 'direct') remote.facts = { ...remote.facts, trafficAt: now };
  }

  seeProbe(name: string, plane: Plane, probe: ProbeFacts | null): Remote | null {
    const remote = this.#byName.get(name);
    if (remote === undefined) return null;
    countProbes(remote.totals[plane], remote.facts[plane].probe, probe);
    remote.facts = { ...remote.facts, [plane]: { ...remote.facts[plane], probe } };
    return remote;
  }

  #unindex({ name, active }: Gateway): void {
    if (active?.publicKey && this.#byKey.get(active.publicKey) === name) this.#byKey.delete(active.publicKey);
    if (active?.probeAddress && this.#byProbeAddress.get(active.probeAddress) === name) {
      this.#byProbeAddress.delete(active.probeAddress);
    }
  }
}

/** What the remote's tunnel was before its active endpoint moved to another of its nodes. */
function former(before: Remote | undefined, { active }: Gateway): Pick<RemoteFacts, 'former'> {
  const was = before?.gateway.active;
  if (before === undefined || !was?.publicKey || !active?.publicKey || was.nodeName === active.nodeName) return {};
  return { former: { key: was.publicKey, since: Date.now(), direct: before.facts.direct.peer !== null } };
}

function newRemote(gateway: Gateway, more: Pick<RemoteFacts, 'former'>, totals?: Remote['totals']): Remote {
  return {
    gateway,
    path: null,
    facts: { ...UNSEEN, ...more },
    complaint: null,
    detour: false,
    differsSince: null,
    puttingThroughSince: null,
    // They are the gateway's, whatever key it has.
    totals: totals ?? { relay: noTotals(), direct: noTotals() },
    handshakeRttMs: null,
  };
}

function noTotals(): Totals {
  return { lastHandshake: 0, rxBytes: 0, txBytes: 0, probesSent: 0, probesLost: 0 };
}

type Told = Pick<PeerFacts, 'lastHandshake' | 'rxBytes' | 'txBytes'>;

function count(totals: Totals, before: Told | null, now: Told | undefined): void {
  totals.lastHandshake = Math.max(totals.lastHandshake, now?.lastHandshake ?? 0);
  totals.rxBytes += grown(before?.rxBytes ?? 0, now?.rxBytes ?? 0);
  totals.txBytes += grown(before?.txBytes ?? 0, now?.txBytes ?? 0);
}

/** Another generation is another target, which counts from zero. */
function countProbes(totals: Totals, before: ProbeFacts | null, now: ProbeFacts | null): void {
  if (now === null) return;
  const known = before?.generation === now.generation ? before : null;
  totals.probesSent += grown(known?.sent ?? 0, now.sent);
  totals.probesLost += grown(known?.lost ?? 0, now.lost);
}

function withPeer(facts: RemoteFacts, plane: Plane, peer: PeerFacts | null): RemoteFacts {
  return { ...facts, [plane]: { peer, probe: facts[plane].probe } };
}

function merge(before: PeerFacts | null, update: PeerUpdate, now: number): PeerFacts {
  const received = grown(before?.rxBytes ?? 0, update.rxBytes);
  const sent = grown(before?.txBytes ?? 0, update.txBytes);
  const heard = before === null ? firstHeard(update, now) : received > 0 ? now : before.receivedAt;
  const talked = before === null ? 0 : sent > KEEPALIVE_BYTES + HANDSHAKE_BYTES ? now : before.sentAt;
  return {
    endpoint: update.endpoint,
    lastHandshake: update.lastHandshake,
    session: update.session,
    rxBytes: update.rxBytes,
    txBytes: update.txBytes,
    receivedAt: heard,
    sentAt: talked,
  };
}

/**
 * The first look at an adopted peer says nothing of when it received. While its session lives the other end may be
 * using it: until the next looks say otherwise, it is taken to be in use.
 */
function firstHeard({ lastHandshake, session }: PeerUpdate, now: number): number {
  const at = lastHandshake * 1000;
  return (session ?? isWithin(SESSION_MS, at, now)) ? now : at;
}

/** A peer that was removed and added again counts from zero. */
function grown(before: number, now: number): number {
  return now >= before ? now - before : now;
}
