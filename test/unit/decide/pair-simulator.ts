/**
 * Two ends of a pair, each with the real path state machine, over a model of WireGuard, their NATs and the
 * network between them. Deterministic: time passes only by the queue of events.
 */
import { pairName } from '#src/decide/backoff.js';
import { hasSession } from '#src/decide/health.js';
import { decidePath, newPath, type PathInput, type PathMemory, planeOf, wantsPeer } from '#src/decide/path.js';
import { comesLast, holdsBack, pairVerdict, reAdds } from '#src/decide/relations.js';
import { IN_USE_MS, LOST_IN_ROW } from '#src/decide/timing.js';
import type { PeerFacts, ProbeFacts } from '#src/model/facts.js';
import type { NatType } from '#src/model/nat.js';
import { at, FULL, keyOf, PORT, peerFacts, probeFacts, RESTRICTED, SYMMETRIC } from './fixtures.js';

export const START = 1_800_000_000_000;
const RTT_MS = 40;
/** WireGuard's REKEY_TIMEOUT, REKEY_AFTER_TIME, and KEEPALIVE_TIMEOUT + REKEY_TIMEOUT. */
const REKEY_TIMEOUT = 5_000;
const REKEY_AFTER = 120_000;
const NO_ANSWER = 15_000;
/** WireGuard's KEEPALIVE_TIMEOUT, and our persistent keepalive. */
const KEEPALIVE_TIMEOUT = 10_000;
const PERSISTENT_KEEPALIVE = 5_000;
const PROBE_TIMEOUT = 1_000;
/** nf_conntrack_udp_timeout */
const CONNTRACK_MS = 30_000;

export interface PairOptions {
  readonly types?: readonly [NatType | null, NatType | null];
  /** Milliseconds by which B learns the holes later than A. */
  readonly lag?: number;
  /** Full-size packets do not pass. */
  readonly dropsFragments?: boolean;
  /** Port-restricted NATs keep what strangers send them, as Linux's masquerade with an open INPUT does. */
  readonly keepsStrangers?: boolean;
  /** The end's firewall drops echo requests, on both planes. */
  readonly firewalls?: readonly [boolean, boolean];
  /** Nothing is sent but probes and what WireGuard sends by itself. */
  readonly idle?: boolean;
}

/** What an end has of the other in its kernel. */
interface Peer {
  lastInitiation: number;
  lastHandshake: number;
  /** The latest first: WireGuard keeps the previous, the current and the next key pair. */
  sessions: number[];
  receivedAt: number;
  sentAt: number;
  /** The endpoint was learned from a packet of the other's. */
  learned: boolean;
  rxBytes: number;
}

export class End {
  readonly reAdds: number[] = [];
  readonly removals: { at: number; receivedAt: number }[] = [];
  /** How often the peer was taken away while the other end was on the direct path, with nothing in its way. */
  abandoned = 0;
  readonly punches: number[] = [];
  readonly states: { at: number; state: string; reason: string }[] = [];
  readonly decisions: number[] = [];
  memory: PathMemory = newPath(START);
  hole = 0;
  wakes = 0;
  knowsHoles = false;
  /** This end alone has reason not to go direct. */
  forbidden = false;
  lingers = false;
  type: NatType | null;
  peer: Peer | null = null;
  /** What the own NAT has of the flow to the other end; `good`: from the port that the other end sends to. */
  flow: { good: boolean; usedAt: number } | null = null;
  /** When the own NAT last saw a packet of the other end that no flow was there for. */
  strangerAt = Number.NEGATIVE_INFINITY;
  probe: ProbeFacts | null = null;
  outcomes: number[] = [];
  remotePath: 'relay' | 'direct' | null = null;
  readonly name: string;
  readonly key: string;
  readonly firewalled: boolean;

  constructor(name: string, key: string, type: NatType | null, firewalled: boolean) {
    this.name = name;
    this.key = key;
    this.type = type;
    this.firewalled = firewalled;
  }

  get isDirect(): boolean {
    return this.memory.state === 'direct';
  }
}

export class Pair {
  readonly a: End;
  readonly b: End;
  cut = false;
  /** Every nth packet of a probe is lost; 0 = none. */
  lossEvery = 0;
  now = START;
  readonly #options: PairOptions;
  readonly #queue: { at: number; order: number; run: () => void }[] = [];
  #order = 0;
  #sessions = 0;
  #probes = 0;

  constructor(options: PairOptions = {}) {
    const [left, right] = options.types ?? [PORT, PORT];
    this.#options = options;
    const [here, there] = options.firewalls ?? [false, false];
    this.a = new End('a', keyOf(1), left, here);
    this.b = new End('b', keyOf(2), right, there);
    this.#at(0, () => this.#learnHoles(this.a));
    this.#at(options.lag ?? 0, () => this.#learnHoles(this.b));
    for (const end of [this.a, this.b]) {
      this.#every(
        end,
        () => (end.memory.state === 'punching' ? 200 : 1000),
        () => end.memory.state !== 'relayed' && this.#decide(end),
      );
      this.#every(
        end,
        () => 1000,
        () => this.#wireguard(end),
      );
      this.#every(
        end,
        () => (end.memory.state === 'punching' && (end.probe?.answeredInRow ?? 0) < 2 ? 250 : 1000),
        () => this.#sendProbe(end),
      );
      this.#every(
        end,
        () => 1000,
        () => this.#tellByRelay(end),
      );
    }
  }

  other(end: End): End {
    return end === this.a ? this.b : this.a;
  }

  get bothDirect(): boolean {
    return this.a.isDirect && this.b.isDirect;
  }

  get bothRelayed(): boolean {
    return !this.a.isDirect && !this.b.isDirect;
  }

  /** Lets so much time pass. */
  run(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || next.at > until) break;
      this.#queue.shift();
      this.now = next.at;
      next.run();
    }
    this.now = until;
  }

  /** Lets time pass until it is so. @returns milliseconds it took, Infinity if it did not come to it */
  until(what: () => boolean, limitMs: number): number {
    const from = this.now;
    while (this.now - from < limitMs) {
      if (what()) return this.now - from;
      this.run(10);
    }
    return Number.POSITIVE_INFINITY;
  }

  /** One end, and not the other, finds that the pair may not. */
  forbid(end: End): void {
    end.forbidden = true;
    this.#decide(end);
  }

  /** One end's NAT gives it another port; the relay publishes it to both. */
  rebind(end: End, type: NatType | null = end.type): void {
    end.hole += 1;
    end.type = type;
    end.flow = null;
    end.strangerAt = Number.NEGATIVE_INFINITY;
    for (const each of [this.a, this.b]) {
      if (each.peer !== null) each.peer.learned = false;
      this.#decide(each);
    }
  }

  input(end: End): PathInput {
    const other = this.other(end);
    const hole = (of: End) => at('198.51.100.1', 10_000 + of.hole);
    const sent = Math.floor((this.now - START) / 1000);
    const relayProbe = other.firewalled
      ? probeFacts({ sent, lost: Math.max(0, sent - 1), lostInRow: Math.max(0, sent - 1) })
      : probeFacts({ received: 9, answeredInRow: 9, rttMs: 60, loss: 0 });
    const relayPeer = peerFacts({ lastHandshake: this.now / 1000 - 60, receivedAt: this.now - 100 });
    return {
      now: this.now,
      pair: pairName(this.a.key, this.b.key),
      asked: true,
      verdict: end.forbidden ? { may: false, reason: 'forbidden here' } : pairVerdict(end.type, other.type),
      target: end.knowsHoles ? hole(other) : null,
      waitingFor: end.knowsHoles ? null : "the other end's hole",
      fingerprint: `${hole(end).port} ${hole(other).port} ${end.type} ${other.type}`,
      reAdds: reAdds({ natType: end.type, key: end.key }, { natType: other.type, key: other.key }),
      comesLast: comesLast(end.type, other.type),
      holdsBack: holdsBack(other.type),
      isMapped: false,
      probed: true,
      keepsAlive: true,
      relay: { peer: relayPeer, probe: relayProbe },
      direct: { peer: this.#peerFacts(end), probe: end.probe },
      remotePath: end.remotePath,
    };
  }

  #peerFacts(end: End): PeerFacts | null {
    const { peer } = end;
    if (peer === null) return null;
    return peerFacts({ lastHandshake: peer.lastHandshake / 1000, receivedAt: peer.receivedAt, rxBytes: peer.rxBytes });
  }

  #learnHoles(end: End): void {
    end.knowsHoles = true;
    this.#decide(end);
  }

  #decide(end: End): void {
    const before = end.memory;
    const decision = decidePath(before, this.input(end));
    end.decisions.push(this.now);
    end.memory = decision.memory;
    end.lingers = decision.lingers;
    const keeps = wantsPeer(end.memory, this.now) || end.lingers;
    if (decision.memory.state !== before.state) {
      end.states.push({ at: this.now, state: decision.memory.state, reason: decision.memory.reason });
    }
    if (!keeps) this.#removePeer(end);
    for (const deed of decision.deeds) {
      if (deed.op === 'punch') {
        end.punches.push(deed.ttl);
        this.#sends(end);
      }
    }
    if (wantsPeer(end.memory, this.now) && end.peer === null) this.#addPeer(end);
    for (const deed of decision.deeds) {
      if (deed.op !== 're-add') continue;
      if (end.peer !== null) end.removals.push({ at: this.now, receivedAt: end.peer.receivedAt });
      end.reAdds.push(this.now);
      this.#addPeer(end);
    }
    const session = hasSession(this.#peerFacts(end), this.now);
    const wanted = end.isDirect || (wantsPeer(end.memory, this.now) && session);
    if (!wanted) end.probe = null;
    else if (end.probe?.generation !== end.memory.generation) {
      end.probe = probeFacts({ generation: end.memory.generation });
      end.outcomes = [];
    }
    if (decision.wakeAt <= this.now) throw new Error(`${end.name} wants to wake at ${decision.wakeAt - this.now} ms`);
    // One wake-up at a time, as the agent's loop has it.
    const wake = ++end.wakes;
    if (Number.isFinite(decision.wakeAt)) {
      this.#at(decision.wakeAt - this.now, () => end.wakes === wake && this.#decide(end));
    }
  }

  #addPeer(end: End): void {
    end.peer = {
      lastInitiation: 0,
      lastHandshake: 0,
      sessions: [],
      receivedAt: 0,
      sentAt: 0,
      learned: false,
      rxBytes: 0,
    };
    this.#initiate(end);
  }

  #removePeer(end: End): void {
    if (end.peer === null) return;
    end.removals.push({ at: this.now, receivedAt: end.peer.receivedAt });
    if (this.other(end).isDirect && this.#arrives(this.other(end), end)) end.abandoned += 1;
    end.peer = null;
  }

  /** What the kernel does by itself: initiations, keepalives. */
  #wireguard(end: End): void {
    const { peer } = end;
    if (peer === null) return;
    const fresh = peer.sessions.length > 0 && this.now - peer.lastHandshake < REKEY_AFTER;
    const heard = this.now - Math.max(peer.receivedAt, peer.lastHandshake) < NO_ANSWER;
    if ((!fresh || !heard) && this.now - peer.lastInitiation >= REKEY_TIMEOUT) this.#initiate(end);
    const quiet = this.now - Math.max(peer.receivedAt, peer.sentAt) < PERSISTENT_KEEPALIVE;
    if (peer.sessions.length > 0 && !(this.#options.idle && quiet)) this.#send(end, () => undefined, 'keepalive');
  }

  /** The probe of the relay plane says which path its sender is on. */
  #tellByRelay(end: End): void {
    const state = planeOf(end.memory);
    this.#at(RTT_MS, () => this.#hear(this.other(end), state));
  }

  #hear(end: End, state: 'relay' | 'direct'): void {
    if (end.firewalled || end.remotePath === state) return;
    end.remotePath = state;
    this.#decide(end);
  }

  #initiate(end: End): void {
    const { peer } = end;
    if (peer === null) return;
    peer.lastInitiation = this.now;
    this.#sends(end);
    const other = this.other(end);
    this.#at(RTT_MS / 2, () => {
      if (end.peer !== peer || other.peer === null || !this.#arrives(end, other)) return;
      const session = ++this.#sessions;
      const responder = other.peer;
      this.#sends(other);
      this.#received(responder, session);
      this.#at(RTT_MS / 2, () => {
        if (end.peer === peer && !this.cut) this.#received(peer, session);
      });
    });
  }

  #received(peer: Peer, session: number): void {
    peer.sessions = [session, ...peer.sessions].slice(0, 3);
    peer.lastHandshake = this.now;
    peer.receivedAt = this.now;
    peer.learned = true;
    peer.rxBytes += 148;
  }

  /** The own NAT maps what goes out; conntrack gives another port where a stranger's packet holds the right one. */
  #sends(end: End): void {
    if (end.flow !== null && this.now - end.flow.usedAt > CONNTRACK_MS) end.flow = null;
    end.flow ??= { good: this.now - end.strangerAt > CONNTRACK_MS, usedAt: this.now };
    end.flow.usedAt = this.now;
  }

  #arrives(from: End, to: End): boolean {
    if (this.cut) return false;
    const open = to.flow?.good === true && this.now - to.flow.usedAt <= CONNTRACK_MS;
    if (to.type !== FULL && !open) {
      if (this.#options.keepsStrangers && to.type === PORT) to.strangerAt = this.now;
      return false;
    }
    if (from.flow?.good === false && to.type !== FULL && to.type !== RESTRICTED) return false;
    // The published hole of a symmetric NAT is no way in; what it sends tells the right one.
    return to.type !== SYMMETRIC || from.peer?.learned === true;
  }

  /** A data packet; it is heard when both have the same session. */
  #send(end: End, heard: () => void, kind: 'data' | 'keepalive' = 'data'): void {
    const other = this.other(end);
    const session = end.peer?.sessions[0];
    this.#sends(end);
    if (end.peer !== null && session !== undefined) end.peer.sentAt = this.now;
    this.#at(RTT_MS / 2, () => {
      if (session === undefined || !other.peer?.sessions.includes(session) || !this.#arrives(end, other)) return;
      other.peer.receivedAt = this.now;
      other.peer.rxBytes += 64;
      heard();
      const { peer } = other;
      const came = this.now;
      this.#at(KEEPALIVE_TIMEOUT, () => {
        const owed = kind === 'data' && other.peer === peer && peer.sentAt < came;
        if (owed) this.#send(other, () => undefined, 'keepalive');
      });
    });
  }

  #sendProbe(end: End): void {
    const { probe, peer } = end;
    if (probe === null || peer === null) return;
    const { generation } = probe;
    const state = planeOf(end.memory);
    const full = end.memory.state !== 'direct';
    const other = this.other(end);
    let answered = false;
    this.#update(end, generation, (facts) => ({ sent: facts.sent + 1 }));
    this.#probes += 1;
    if (this.lossEvery === 0 || this.#probes % this.lossEvery !== 0) {
      this.#send(end, () => {
        if (full && this.#options.dropsFragments) return;
        if (other.firewalled) return;
        this.#hear(other, state);
        // Off the plane an end has no route for its answer there.
        if (!wantsPeer(other.memory, this.now)) return;
        this.#send(other, () => {
          answered = true;
          this.#update(end, generation, (facts) => ({
            received: facts.received + 1,
            answeredInRow: facts.answeredInRow + 1,
            lostInRow: 0,
            rttMs: RTT_MS,
          }));
        });
      });
    }
    this.#at(PROBE_TIMEOUT, () => {
      if (answered) return;
      this.#update(end, generation, (facts) => ({
        lost: facts.lost + 1,
        lostInRow: facts.lostInRow + 1,
        answeredInRow: 0,
      }));
      // The first lost one is followed quickly: the plane is dead a second later, not two.
      if (end.probe?.lostInRow === 1) for (const ms of [250, 500]) this.#at(ms, () => this.#sendProbe(end));
      if (end.probe !== null && end.probe.lostInRow >= LOST_IN_ROW) this.#decide(end);
    });
  }

  #update(end: End, generation: number, change: (facts: ProbeFacts) => Partial<ProbeFacts>): void {
    if (end.probe?.generation !== generation) return;
    const before = end.probe;
    const facts = { ...before, ...change(before) };
    // Of the latest 32, as the native prober has it.
    if (facts.lost > before.lost) end.outcomes.push(1);
    if (facts.received > before.received) end.outcomes.push(0);
    end.outcomes = end.outcomes.slice(-32);
    end.probe = {
      ...facts,
      loss: end.outcomes.reduce((sum, lost) => sum + lost, 0) / Math.max(1, end.outcomes.length),
    };
  }

  #every(end: End, ms: () => number, run: () => void): void {
    const again = () => {
      run();
      this.#at(ms(), again);
    };
    // Not in step with the other end.
    this.#at(end === this.a ? 7 : 31, again);
  }

  #at(ms: number, run: () => void): void {
    const event = { at: this.now + ms, order: ++this.#order, run };
    const index = this.#queue.findIndex((other) => other.at > event.at);
    if (index < 0) this.#queue.push(event);
    else this.#queue.splice(index, 0, event);
  }
}

/** A removal of a peer that the other end may be using. */
export function inUse({ at: when, receivedAt }: { at: number; receivedAt: number }): boolean {
  return receivedAt > 0 && when - receivedAt <= IN_USE_MS;
}
