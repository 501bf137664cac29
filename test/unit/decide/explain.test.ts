/** What is said of a path is what the rules say of it: each case is decided and explained from the same facts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainRemote } from '#src/decide/explain.js';
import { choosePlane } from '#src/decide/health.js';
import { NO_OPENING } from '#src/decide/opening-input.js';
import { currentHealths, decidePath, newPath, type PathMemory, planeOf } from '#src/decide/path.js';
import { pathInput } from '#src/decide/remote.js';
import { LOST_IN_ROW } from '#src/decide/timing.js';
import { wouldChange } from '#src/decide/would-change.js';
import type { ProbeFacts, RemoteFacts, SiteFacts } from '#src/model/facts.js';
import type { Gateway } from '#src/model/gateway.js';
import type { ExplainedSection } from '#src/model/status.js';
import {
  asSite,
  at,
  FULL,
  gateway,
  peerFacts,
  probeFacts,
  RESTRICTED,
  relay,
  SYMMETRIC,
  siteFacts,
  UNSEEN,
} from './fixtures.js';

const NOW = 1_790_000_000_000;
const own = gateway(1);
const theirs = gateway(2);
const site = siteFacts(own, [relay(1)]);
const peer = peerFacts({ endpoint: at('203.0.113.1'), lastHandshake: NOW / 1000 - 40, receivedAt: NOW - 900 });

function facts(direct: Partial<ProbeFacts> = {}, rttMs = 54.7): RemoteFacts {
  const answered = { sent: 300, received: 299, lost: 1, loss: 0, answeredInRow: 9 };
  return {
    relay: { peer, probe: probeFacts({ ...answered, rttMs }) },
    direct: { peer, probe: probeFacts({ ...answered, rttMs: 37.4, generation: 3, ...direct }) },
    remotePath: 'direct',
  };
}

function path(more: Partial<PathMemory>): PathMemory {
  return { ...newPath(NOW - 60_000), pings: 'answered', generation: 3, startedAt: NOW - 2_000, ...more };
}

const section = (sections: readonly ExplainedSection[], title: string) =>
  sections.find((candidate) => candidate.title === title);
const factOf = (sections: readonly ExplainedSection[], title: string, label: string) =>
  section(sections, title)?.facts.find((fact) => fact.label === label);

test('direct: each comparison with the bound that it is held to, and what would end it', () => {
  const memory = path({ state: 'direct' });
  const sections = explainRemote(site, theirs, memory, facts(), NOW);
  assert.deepEqual(
    sections.map(({ title, verdict }) => [title, verdict]),
    [
      ['Who', null],
      ['May it be direct?', 'yes'],
      ['Relay plane', 'alive'],
      ['Direct plane', 'alive'],
      ['Which is better?', 'direct'],
      ['Tries', null],
    ],
  );
  assert.deepEqual(factOf(sections, 'Which is better?', 'round trips'), {
    label: 'round trips',
    value: 'direct 37.4 ms, relay 54.7 ms',
    rule: 'direct at most 159.4 ms: 2 × relay + 50 ms',
    verdict: 'good',
  });
  assert.equal(factOf(sections, 'Direct plane', 'lost in a row')?.rule, '3 make it dead');
  assert.deepEqual(wouldChange(site, theirs, memory, facts(), NOW), [
    '3 direct probes lost in a row (now 0), while the relay answers',
    'a direct round trip over 159.4 ms (now 37.4 ms)',
    'direct loss over 30 % (now 0 %)',
  ]);
});

test('the bound that is told is the one that decides: at it direct stays, over it it goes', () => {
  for (const state of ['direct', 'punching'] as const) {
    const memory = path({ state });
    const rule = factOf(explainRemote(site, theirs, memory, facts(), NOW), 'Which is better?', 'round trips')?.rule;
    const most = Number(/at most ([\d.]+) ms/.exec(rule ?? '')?.[1]);
    for (const [rttMs, plane] of [
      [most - 0.1, 'direct'],
      [most + 0.1, 'relay'],
    ] as const) {
      const input = pathInput(site, asSite(theirs), facts({ rttMs }), NOW);
      const { relay, direct } = currentHealths(memory, input);
      assert.equal(choosePlane(relay, direct, planeOf(memory)).plane, plane, `${state} ${rttMs}`);
      const judged = factOf(
        explainRemote(site, theirs, memory, facts({ rttMs }), NOW),
        'Which is better?',
        'round trips',
      );
      assert.equal(judged?.verdict, plane === 'direct' ? 'good' : 'bad');
    }
  }
});

test('so many lost probes as are told make the plane dead, and not one less', () => {
  for (const [lostInRow, verdict, state] of [
    [LOST_IN_ROW - 1, 'alive', 'direct'],
    [LOST_IN_ROW, 'does not answer', 'punching'],
  ] as const) {
    const memory = path({ state: 'direct' });
    assert.equal(
      section(explainRemote(site, theirs, memory, facts({ lostInRow }), NOW), 'Direct plane')?.verdict,
      verdict,
    );
    const input = { ...pathInput(site, asSite(theirs), facts({ lostInRow }), NOW) };
    assert.equal(decidePath(memory, input).memory.state, state);
  }
});

test('punching: how many answers it takes is what it takes', () => {
  const memory = path({ state: 'punching', trustMs: 4000, fingerprint: 'x' });
  const alone = (answeredInRow: number): RemoteFacts => ({ ...facts({ answeredInRow }), remotePath: null });
  const told = factOf(explainRemote(site, theirs, memory, alone(1), NOW), 'Which is better?', 'answered in a row');
  assert.match(told?.rule ?? '', /^6 make it trusted, of which 4 s because it has failed$/);
  assert.match(wouldChange(site, theirs, memory, alone(1), NOW)[0] ?? '', /^6 full-size .* \(now 1\)$/);
  for (const [answers, state] of [
    [5, 'punching'],
    [6, 'direct'],
  ] as const) {
    const input = { ...pathInput(site, asSite(theirs), alone(answers), NOW), fingerprint: 'x' };
    assert.equal(decidePath(memory, input).memory.state, state);
  }
});

/** What it is, own node, the other, what would change it */
const refusals: Array<[string, Partial<SiteFacts>, Gateway, RegExp[]]> = [
  [
    'symmetric at both ends',
    { self: asSite(gateway(1, { natType: SYMMETRIC })) },
    gateway(2, { natType: SYMMETRIC }),
    [
      new RegExp(`^this end behind a ${FULL} or a ${RESTRICTED}$`),
      new RegExp(`^the other end behind a ${FULL} or a ${RESTRICTED}$`),
      /^a global IPv6 address at both ends$/,
      /^a public address/,
    ],
  ],
  ['switched off', { direct: 'none' }, theirs, [/^--direct auto or all, on this node$/]],
];

for (const [what, more, other, changes] of refusals) {
  test(`where it may not be direct (${what}) nothing is compared, and it says what would help`, () => {
    const here = siteFacts(own, [relay(1)], more);
    const sections = explainRemote(here, other, path({}), { ...facts(), direct: UNSEEN.direct }, NOW);
    assert.equal(section(sections, 'May it be direct?')?.verdict, 'no');
    assert.equal(factOf(sections, 'May it be direct?', 'rule')?.verdict, 'bad');
    assert.equal(section(sections, 'Which is better?'), undefined);
    const told = wouldChange(here, other, path({}), facts(), NOW);
    assert.equal(told.length, changes.length, told.join('; '));
    changes.forEach((pattern, index) => {
      assert.match(told[index] ?? '', pattern);
    });
  });
}

for (const [how, more, otherwise] of [
  ['--direct demand', { direct: 'demand' }, /^--direct all, on this node$/],
  ['too many', { crowded: true }, /^--direct all, or at most 100 remote edges, on this node$/],
] as const) {
  test(`on demand (${how}): it may be direct, and waits for traffic`, () => {
    const here = siteFacts(own, [relay(1)], more);
    const traffic = (seen: RemoteFacts) => {
      const sections = explainRemote(here, theirs, path({}), seen, NOW);
      const told = factOf(sections, 'May it be direct?', 'traffic');
      return [section(sections, 'May it be direct?')?.verdict, told?.value, told?.verdict];
    };
    const quiet = { ...facts(), direct: UNSEEN.direct };
    assert.deepEqual(traffic(quiet), ['yes, not yet', 'none seen', 'open']);
    assert.deepEqual(traffic({ ...quiet, trafficAt: NOW - 2_000 }), ['yes', '2 s ago', 'good']);
    const told = wouldChange(here, theirs, path({}), quiet, NOW);
    assert.match(told[0] ?? '', /^traffic with it/);
    assert.match(told[1] ?? '', otherwise);
  });
}

test('by an opening only: it may be direct, not yet, and what opens it', () => {
  const hard = gateway(2, { natType: SYMMETRIC });
  const opening = { memory: NO_OPENING, events: [], allowance: { probes: 0, busy: false }, token: '' };
  const shut = { ...facts(), direct: UNSEEN.direct, opening };
  const sections = explainRemote(site, hard, path({}), shut, NOW);
  assert.equal(section(sections, 'May it be direct?')?.verdict, 'yes');
  assert.equal(factOf(sections, 'May it be direct?', 'rule')?.verdict, 'open');
  assert.match(wouldChange(site, hard, path({}), shut, NOW).join(), /^a probe that hits one of the mappings/);
  const paused = { ...opening, memory: { ...NO_OPENING, nextTryAt: NOW + 60_000 } };
  assert.equal(wouldChange(site, hard, path({}), { ...shut, opening: paused }, NOW)[0], 'the next try, in 60 s');
  assert.deepEqual(wouldChange({ ...site, hardNat: false }, hard, path({}), shut, NOW), [
    '--hard-nat on, on this node',
  ]);
});

test('IPv6 is spoken of where an end has it: both ends have to', () => {
  const [mine, its] = [at('2001:db8:1::2', 4501), at('2001:db8:2::2', 4501)];
  const [here, there] = [gateway(1, { ipv6: mine }), gateway(2, { natType: SYMMETRIC })];
  const half = explainRemote(siteFacts(here, [relay(1)]), there, path({}), UNSEEN, NOW);
  assert.equal(factOf(half, 'May it be direct?', 'own IPv6')?.value, '[2001:db8:1::2]:4501');
  assert.equal(factOf(half, 'May it be direct?', 'its IPv6')?.value, 'none');
  const told = wouldChange(siteFacts(here, [relay(1)]), there, path({}), UNSEEN, NOW);
  assert.ok(told.includes('a global IPv6 address at the other end'), told.join('; '));
  const both = gateway(2, { natType: SYMMETRIC, ipv6: its });
  const sections = explainRemote(siteFacts(here, [relay(1)]), both, path({}), UNSEEN, NOW);
  assert.equal(section(sections, 'May it be direct?')?.verdict, 'yes');
  const neither = explainRemote(site, theirs, path({}), UNSEEN, NOW);
  assert.equal(factOf(neither, 'May it be direct?', 'own IPv6'), undefined);
});

test('relayed: what is waited for, or when it is tried again', () => {
  const holeless = gateway(2, { hole: null });
  const waiting = explainRemote(site, holeless, path({}), facts(), NOW);
  assert.equal(section(waiting, 'May it be direct?')?.verdict, 'yes, not yet');
  assert.match(factOf(waiting, 'May it be direct?', 'waiting for')?.value ?? '', /relay has not published it yet/);
  assert.match(wouldChange(site, holeless, path({}), facts(), NOW).join(), /^the other end's hole/);
  const resting = path({ failures: 3, nextTryAt: NOW + 76_500, reason: 'no handshake came through' });
  const told = explainRemote(site, theirs, resting, facts(), NOW);
  assert.equal(factOf(told, 'Tries', 'next try')?.value, 'in 77 s');
  assert.equal(factOf(told, 'Tries', 'failed tries')?.value, '3');
  assert.equal(wouldChange(site, theirs, resting, facts(), NOW)[0], 'the next try, in 77 s');
});

test('a remote without probes is judged by WireGuard, and it says why', () => {
  const raven = gateway(2, { corax: null });
  const sections = explainRemote(site, raven, path({ state: 'direct', pings: 'unknown' }), facts(), NOW);
  assert.match(factOf(sections, 'Relay plane', 'no probes')?.value ?? '', /^raven answers by its own path/);
  assert.match(factOf(sections, 'Direct plane', 'heard')?.rule ?? '', /^owed within 12 s/);
  const mute = explainRemote(site, theirs, path({ state: 'direct', pings: 'unanswered' }), facts(), NOW);
  assert.match(factOf(mute, 'Relay plane', 'no probes')?.value ?? '', /answers no ping on the relay plane/);
});

test('a relay has one tunnel; one that cannot be reached has none, and says why', () => {
  const there = explainRemote(site, relay(1), null, facts(), NOW);
  assert.deepEqual(
    there.map(({ title }) => title),
    ['Who', 'Its tunnel'],
  );
  const idle = gateway(2, { active: false });
  const none = explainRemote(site, idle, null, UNSEEN, NOW);
  assert.deepEqual([none.length, factOf(none, 'Who', 'relation')?.verdict], [1, 'bad']);
  assert.match(wouldChange(site, idle, null, UNSEEN, NOW).join(), /no active tunnel endpoint/);
});

test('before anything was decided or seen there is an explanation, too', () => {
  const sections = explainRemote(site, theirs, null, UNSEEN, NOW);
  assert.equal(section(sections, 'Direct plane')?.verdict, 'not there');
  assert.ok(
    sections.every(({ facts }) => facts.every(({ value }) => value !== '' && !/undefined|null|NaN/.test(value))),
  );
});
