import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_OPENING } from '#src/decide/opening-input.js';
import { newPath, type PathMemory } from '#src/decide/path.js';
import { decideRemote, pathInput } from '#src/decide/remote.js';
import type { RemoteFacts, SiteFacts } from '#src/model/facts.js';
import type { OpeningEvent, OpeningMemory } from '#src/model/opening.js';
import { asSite, at, gateway, PORT, peerFacts, probeFacts, relay, SYMMETRIC, siteFacts, UNSEEN } from './fixtures.js';

const T0 = 1_800_000_000_000;
const TOKEN = '0123456789abcdef';
const RELAYED = { ...UNSEEN, relay: { peer: null, probe: probeFacts({ rttMs: 55 }) } };

const hard = (more: Partial<SiteFacts> = {}) => siteFacts(gateway(1, { natType: SYMMETRIC }), [relay(1)], more);
const easy = (more: Partial<SiteFacts> = {}) => siteFacts(gateway(1, { natType: PORT }), [relay(1)], more);
const easyRemote = gateway(2, { natType: PORT });
const hardRemote = gateway(2, { natType: SYMMETRIC });

function knowing(
  memory: OpeningMemory,
  events: readonly OpeningEvent[] = [],
  more: Partial<RemoteFacts> = {},
): RemoteFacts {
  const allowance = { probes: 8_192, busy: false };
  return { ...RELAYED, ...more, opening: { memory, events, allowance, token: TOKEN } };
}

const fanned = {
  ...NO_OPENING,
  phase: 'fanned',
  token: TOKEN,
  since: T0,
  saidAt: T0,
  aim: at('198.51.100.2'),
} as const;
const hit: OpeningEvent = { type: 'fan', id: 0x01234567, localPort: 40_001, outsidePort: 50_002 };
const ops = (deeds: ReadonlyArray<{ op: string }>) => deeds.map(({ op }) => op);

describe('a pair that no hole gets through', () => {
  it('asks its other end, by its probe address, and says so', () => {
    const { deeds, path, opening } = decideRemote(hard({ scale: 1 }), easyRemote, null, knowing(NO_OPENING), T0);
    assert.deepEqual(deeds, [
      {
        op: 'say',
        gateway: 'gw-2',
        to: '10.0.2.1',
        message: { kind: 'ask', token: TOKEN, sockets: 256 },
      },
    ]);
    assert.equal(opening?.phase, 'asking');
    assert.match(path?.reason ?? '', /behind a Symmetric NAT, .* probes find a way in 98\.3 % of tries; trying now/);
  });

  it('goes by what was hit at once: the rule of its port, and the peer, without a punch of its own', () => {
    const { items, deeds, path } = decideRemote(hard(), easyRemote, newPath(T0), knowing(fanned, [hit]), T0);
    assert.equal(path?.state, 'punching');
    assert.deepEqual(
      items.filter(({ kind }) => kind === 'outside-port'),
      [{ kind: 'outside-port', remote: at('198.51.100.2'), localPort: 40_001 }],
    );
    const peers = items.flatMap((item) => (item.kind === 'peer' && item.plane === 'direct' ? [item.endpoint] : []));
    assert.deepEqual(peers, [at('198.51.100.2')]);
    assert.deepEqual(ops(deeds), ['end-opening', 'say']);
  });

  it("stays within a carrier's block of ports: a smaller fan, and probes nowhere else", () => {
    const portBlock = { first: 40_000, last: 40_511 };
    const asking = { ...NO_OPENING, phase: 'asking', token: TOKEN, saidAt: T0, said: 1 } as const;
    const message = { kind: 'ready', token: TOKEN, hole: at('198.51.100.2'), probes: 1_024 } as const;
    const { deeds } = decideRemote(
      hard({ portBlock }),
      easyRemote,
      null,
      knowing(asking, [{ type: 'message', message }]),
      T0,
    );
    assert.ok(deeds.some((deed) => deed.op === 'fan' && deed.sockets === 128));
    assert.ok(
      deeds.some((deed) => deed.op === 'say' && deed.message.kind === 'open' && deed.message.ports === portBlock),
    );
  });

  it('has at the other end the port that was hit for its endpoint, and no rule', () => {
    const spraying = { ...NO_OPENING, phase: 'spraying', token: TOKEN, since: T0 } as const;
    const told: OpeningEvent = { type: 'message', message: { kind: 'hit', token: TOKEN, port: 50_002 } };
    const { items, path } = decideRemote(easy(), hardRemote, newPath(T0), knowing(spraying, [told]), T0);
    assert.equal(path?.state, 'punching');
    assert.deepEqual(
      items.filter(({ kind }) => kind === 'outside-port'),
      [],
    );
    const peers = items.flatMap((item) => (item.kind === 'peer' && item.plane === 'direct' ? [item.endpoint] : []));
    assert.deepEqual(peers, [at('198.51.100.2', 50_002)]);
  });

  it('keeps the rule for as long as the direct peer is heard, and no longer', () => {
    const opened = { target: at('198.51.100.2'), localPort: 40_001 };
    const closing = { ...NO_OPENING, phase: 'closing', opened, nextTryAt: T0 + 60_000 } as const;
    const decide = (receivedAt: number) => {
      const direct = { peer: peerFacts({ receivedAt, lastHandshake: T0 / 1000 - 9 }), probe: null };
      const memory: PathMemory = { ...newPath(T0), since: T0 };
      return decideRemote(hard(), easyRemote, memory, knowing(closing, [], { direct, remotePath: 'direct' }), T0).items;
    };
    assert.equal(decide(T0 - 1_000).filter(({ kind }) => kind === 'outside-port').length, 1);
    assert.deepEqual(
      decide(T0 - 20_000).filter(
        (item) => item.kind === 'outside-port' || (item.kind === 'peer' && item.plane === 'direct'),
      ),
      [],
    );
  });

  it('that is direct by an opening which this agent does not know stays direct while its probes are answered', () => {
    const now = T0 + 60_000;
    const direct: PathMemory = { ...newPath(T0), state: 'direct', adopted: true, proven: true, pings: 'answered' };
    const alive = {
      direct: {
        peer: peerFacts({ receivedAt: now, lastHandshake: now / 1000 }),
        probe: probeFacts({ rttMs: 37, received: 9 }),
      },
      relay: {
        peer: peerFacts({ receivedAt: now, lastHandshake: now / 1000 }),
        probe: probeFacts({ rttMs: 55, received: 9 }),
      },
    };
    const decide = (facts: Partial<RemoteFacts>) =>
      decideRemote(easy(), hardRemote, direct, knowing(NO_OPENING, [], facts), now).path;
    assert.equal(decide(alive)?.state, 'direct');
    const dead = { ...alive.direct, probe: probeFacts({ rttMs: 37, received: 9, lostInRow: 3 }) };
    // Not tried again by the hole, which cannot work: it is opened anew.
    assert.equal(decide({ ...alive, direct: dead })?.state, 'relayed');
  });

  for (const [what, site, remote, words] of [
    ['is switched off', hard({ hardNat: false }), easyRemote, /switched off \(--hard-nat off\)/],
    ['is with raven', hard(), gateway(2, { natType: PORT, corax: null }), /no corax with a probe address/],
    ['has no probe address', hard({ probeAddress: null }), easyRemote, /this end has no probe address/],
    ['has no relay', { ...hard(), relays: [] }, easyRemote, /no relay to agree by/],
    ['is symmetric at both ends', hard(), hardRemote, /both ends are behind a Symmetric NAT.*0\.025 %/],
    ['has no direct plane', hard({ direct: 'none' }), easyRemote, /--direct none/],
  ] as const) {
    it(`that ${what} says nothing to the other end, and why in its reason`, () => {
      const { deeds, path } = decideRemote(site, remote, null, knowing(NO_OPENING), T0);
      assert.deepEqual(deeds, []);
      assert.equal(path?.state, 'relayed');
      assert.match(path?.reason ?? '', words);
    });
  }

  it('leaves the relay alone that is as good', () => {
    const near = { ...RELAYED, relay: { peer: null, probe: probeFacts({ rttMs: 4 }) } };
    const { deeds, path } = decideRemote(hard(), easyRemote, null, knowing(NO_OPENING, [], near), T0);
    assert.deepEqual(deeds, []);
    assert.match(path?.reason ?? '', /the relay is as good/);
  });

  it('is stopped when it needs no opening any more: the other NAT turned out to be another', () => {
    const cone = gateway(2, { natType: 'Full cone NAT' });
    const { deeds, opening } = decideRemote(hard(), cone, newPath(T0), knowing(fanned), T0);
    assert.ok(ops(deeds).includes('end-opening'));
    assert.equal(opening?.phase, 'idle');
  });

  it('may be direct only while something is open, and says that it is by an opening', () => {
    const input = (memory: OpeningMemory) => pathInput(hard(), asSite(easyRemote), knowing(memory), T0).verdict;
    const opened = { target: at('198.51.100.2'), localPort: 40_001 };
    const open = { ...NO_OPENING, phase: 'opened', opened } as const;
    assert.deepEqual(
      [input(NO_OPENING), input(open)].map(({ may, byOpening }) => [may, byOpening]),
      [
        [false, true],
        [true, true],
      ],
    );
  });
});
