import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newPath } from '#src/decide/path.js';
import { globalAddress, lanAddress, placesToTry, placeToTry } from '#src/decide/places.js';
import { decideRemote, pathInput } from '#src/decide/remote.js';
import { formatHostPort } from '#src/model/address.js';
import {
  asSite,
  at,
  type GatewayOptions,
  gateway,
  ip,
  peerFacts,
  relay,
  SYMMETRIC,
  siteFacts,
  UNSEEN,
} from './fixtures.js';

const T0 = 1_790_000_000_000;

function remoteAt(privateIp: string, options: GatewayOptions = {}) {
  const of = gateway(2, { hole: at('198.51.100.1', 4600), ...options });
  return asSite({ ...of, nodes: of.nodes.map((node) => ({ ...node, privateIp: ip(privateIp) })) });
}

describe('behind one public address', () => {
  const own = gateway(1);
  const site = siteFacts(own, [relay(1)]);

  for (const [what, remote, expected] of [
    ['the other end may be on the LAN', remoteAt('192.168.7.3'), '192.168.7.3:4500'],
    ['behind another it is not', remoteAt('192.168.7.3', { hole: at('198.51.100.9') }), null],
    ['with an address of this node it is elsewhere', remoteAt('192.168.7.2'), null],
    ['IPv6 is not tried', remoteAt('fd00::3'), null],
    ['nor what is no place to send to', remoteAt('224.0.0.1'), null],
    ['nor while its hole is not known', remoteAt('192.168.7.3', { hole: null, publicIp: null }), null],
  ] as const) {
    it(what, () => {
      const lan = lanAddress(site, remote);
      assert.equal(lan === null ? null : formatHostPort(lan), expected);
    });
  }

  it('libreswan does not turn from place to place', () => {
    assert.equal(lanAddress({ ...site, driver: 'libreswan' }, remoteAt('192.168.7.3')), null);
  });

  it('two symmetric ends may try too, and a private address that changes starts over', () => {
    const symmetric = siteFacts(gateway(1, { natType: SYMMETRIC }), [relay(1)]);
    const inputs = ['192.168.7.3', '192.168.7.4'].map((privateIp) =>
      pathInput(symmetric, remoteAt(privateIp, { natType: SYMMETRIC }), UNSEEN, T0),
    );
    assert.deepEqual(
      inputs.map(({ verdict }) => verdict.may),
      [true, true],
    );
    assert.notEqual(inputs[0]?.fingerprint, inputs[1]?.fingerprint);
    const policy = pathInput({ ...symmetric, direct: 'none' }, remoteAt('192.168.7.3'), UNSEEN, T0);
    assert.equal(policy.verdict.may, false);
  });

  it('the LAN is tried first, then the hole, turn by turn; a direct path is left where it is', () => {
    const [hole, lan] = [at('198.51.100.1', 4600), at('192.168.7.3')];
    const punching = { ...newPath(T0), state: 'punching', startedAt: T0 } as const;
    const places = [lan, hole];
    const tried = [0, 999, 1000, 2000, 3500].map((ms) => placeToTry(places, punching, T0 + ms) === lan);
    assert.deepEqual(tried, [true, true, false, true, false]);
    assert.equal(placeToTry(places, newPath(T0), T0 + 1500), lan);
    assert.equal(placeToTry(places, { ...punching, failures: 1 }, T0), hole, 'a try that failed began elsewhere');
    assert.equal(placeToTry(places, { ...punching, state: 'direct' }, T0), hole);
    assert.equal(placeToTry([hole], punching, T0), hole);
    assert.equal(placeToTry([], punching, T0), null);
  });
});

describe('where both have a global IPv6 address', () => {
  const [ours, theirs] = [at('2001:db8:1::2', 4501), at('2001:db8:2::2', 4501)];
  const site = siteFacts(gateway(1, { ipv6: ours }), [relay(1)]);
  const remote = asSite(gateway(2, { ipv6: theirs }));
  const places = (...args: Parameters<typeof placesToTry>) => placesToTry(...args).map(formatHostPort);

  it('it is tried twice before the hole is', () => {
    const six = '[2001:db8:2::2]:4501';
    assert.deepEqual(places(site, remote), [six, six, '198.51.100.2:4500']);
    const symmetric = { natType: SYMMETRIC };
    const [closed, far] = [
      siteFacts(gateway(1, { ipv6: ours, ...symmetric }), [relay(1)]),
      { ipv6: theirs, ...symmetric },
    ];
    assert.deepEqual(places(closed, asSite(gateway(2, far))), [six, six], 'and alone where no NAT lets anybody in');
  });

  for (const [what, own, other] of [
    ['this end has none', siteFacts(gateway(1), [relay(1)]), remote],
    ['the other has none', site, asSite(gateway(2))],
    ['both say the same', site, asSite(gateway(2, { ipv6: ours }))],
    ['pluto would have to follow', { ...site, driver: 'libreswan' } as const, remote],
  ] as const) {
    it(`not where ${what}`, () => assert.equal(globalAddress(own, other), null));
  }

  it('no hole is waited for, no type of NAT forbids it, and another address starts over', () => {
    const nowhere = { hole: null, publicIp: null, natType: SYMMETRIC };
    const closed = siteFacts(gateway(1, { ipv6: ours, ...nowhere }), [relay(1)]);
    const inputs = [theirs, at('2001:db8:2::3', 4501)].map((ipv6) =>
      pathInput(closed, asSite(gateway(2, { ipv6, ...nowhere })), UNSEEN, T0),
    );
    assert.deepEqual(
      inputs.map(({ verdict, waitingFor, target }) => [verdict.reason, waitingFor, target?.ip]),
      ['2001:db8:2::2', '2001:db8:2::3'].map((ip) => ['both have a global IPv6 address', null, ip]),
    );
    assert.notEqual(inputs[0]?.fingerprint, inputs[1]?.fingerprint);
  });

  it('the peer is added there, and the own NAT opened toward the hole meanwhile', () => {
    const { items, deeds } = decideRemote(site, remote.gateway, null, UNSEEN, T0);
    assert.deepEqual(
      deeds.map((deed) => deed.op === 'punch' && deed.to),
      [remote.endpoint.hole],
    );
    const late = decideRemote(
      site,
      remote.gateway,
      decideRemote(site, remote.gateway, null, UNSEEN, T0).path,
      UNSEEN,
      T0 + 600,
    );
    const peers = late.items.flatMap((item) =>
      item.kind === 'peer' && item.plane === 'direct' ? [item.endpoint] : [],
    );
    assert.deepEqual([items.some((item) => item.kind === 'peer' && item.plane === 'direct'), peers], [false, [theirs]]);
    const unseen = asSite(gateway(2, { ipv6: theirs, hole: null, publicIp: null }));
    assert.deepEqual(
      decideRemote(site, unseen.gateway, null, UNSEEN, T0).deeds,
      [],
      'without a hole there is nothing to open',
    );
  });

  it('a try that nobody answers goes from one to the other, and the next begins a turn later', () => {
    const silent = { ...UNSEEN, direct: { peer: peerFacts({ endpoint: theirs }), probe: null } };
    const first = decideRemote(site, remote.gateway, null, UNSEEN, T0);
    let path = first.path;
    const tries: string[][] = [[]];
    for (let now = T0 + 600; tries.length < 4; now += 100) {
      const decision = decideRemote(site, remote.gateway, path, silent, now);
      for (const deed of decision.deeds)
        if (deed.op === 're-add') tries.at(-1)?.push(deed.peer.endpoint?.port === theirs.port ? 'IPv6' : 'hole');
      if (path?.state === 'punching' && decision.path?.state === 'relayed') tries.push([]);
      path = decision.path;
    }
    for (const places of tries.slice(0, 3)) assert.deepEqual([...new Set(places)].sort(), ['IPv6', 'hole']);
    assert.deepEqual(
      tries.slice(0, 3).map(([place]) => place),
      ['IPv6', 'hole', 'IPv6'],
      'first of all each time',
    );
  });
});
