import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lanAddress, placeToTry } from '#src/decide/lan.js';
import { newPath } from '#src/decide/path.js';
import { pathInput } from '#src/decide/remote.js';
import { formatHostPort } from '#src/model/address.js';
import { asSite, at, type GatewayOptions, gateway, ip, relay, SYMMETRIC, siteFacts, UNSEEN } from './fixtures.js';

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
    const tried = [0, 999, 1000, 2000, 3500].map((ms) => placeToTry(hole, lan, punching, T0 + ms) === lan);
    assert.deepEqual(tried, [true, true, false, true, false]);
    assert.equal(placeToTry(hole, lan, newPath(T0), T0 + 1500), lan);
    assert.equal(placeToTry(hole, lan, { ...punching, state: 'direct' }, T0), hole);
    assert.equal(placeToTry(hole, null, punching, T0), hole);
  });
});
