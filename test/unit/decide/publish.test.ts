import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { holeFields, ownFields } from '#src/decide/publish.js';
import type { HostPort } from '#src/model/address.js';
import type { SiteFacts } from '#src/model/facts.js';
import type { NatReport, NatType } from '#src/model/nat.js';
import type { EndpointFields } from '#src/model/step.js';
import {
  asSite,
  at,
  type GatewayOptions,
  gateway,
  ip,
  keyOf,
  PORT,
  relay,
  SYMMETRIC,
  siteFacts,
  UNDEFINED,
} from './fixtures.js';

function nat(type: NatType | null, publicIp: string | null = null): NatReport {
  return {
    type,
    mapping: null,
    filtering: null,
    underNat: true,
    publicAddress: publicIp === null ? null : at(publicIp, 50_000),
    udpBlocked: false,
    method: null,
    servers: [],
    measuredAtMs: 0,
  };
}

describe('what a node says of its own endpoint', () => {
  const told = { publicKey: keyOf(1), corax: '9', probeAddress: '10.0.1.1' };
  const FULL_CONE: NatType = 'Full cone NAT';
  const underlay = (...addresses: string[]) => ({
    device: 'eth0',
    mtu: 1500,
    addresses: addresses.map(ip),
    ipv6: null,
  });
  const found = (address: string) => ({ coraxPublicIP: address });
  /** A relay that once found its address by itself. */
  const placed = { config: { ...told, ...found('203.0.113.5') }, underNat: false, natType: UNDEFINED };
  const cases: [string, GatewayOptions, Partial<SiteFacts>, EndpointFields | null][] = [
    ['nothing when all is told', { config: told }, { nat: nat(PORT) }, null],
    ['all of config when none is there', {}, {}, { config: told }],
    ['only what differs', { config: { ...told, corax: '8', other: 'x' } }, {}, { config: { corax: '9' } }],
    ['that there is one plane', { config: told }, { onePlane: true }, { config: { corax: '9 one-plane' } }],
    ['another NAT type', { config: told }, { nat: nat(SYMMETRIC) }, { natType: SYMMETRIC }],
    ['no NAT type while none is known', { config: told, natType: null }, { nat: nat(null) }, null],
    ['that its probe address is none', { config: told }, { probeAddress: null }, { config: { probeAddress: '' } }],
    ['no probe address twice', { config: { ...told, probeAddress: '' } }, { probeAddress: null }, null],
    [
      'where its direct plane is reached by IPv6',
      { config: told },
      { underlay: { ...underlay('192.168.7.2'), ipv6: ip('2001:db8::2') } },
      { config: { coraxIPv6: '[2001:db8::2]:4501' } },
    ],
    [
      'that it is not any more',
      { config: { ...told, coraxIPv6: '[2001:db8::2]:4501' } },
      { underlay: underlay('192.168.7.2') },
      { config: { coraxIPv6: '' } },
    ],
    [
      'no IPv6 where there is no direct plane',
      { config: told },
      { underlay: { ...underlay('192.168.7.2'), ipv6: ip('2001:db8::2') }, direct: 'none' },
      null,
    ],
    ['no STUN hole while there is a relay', { config: told }, { stunHole: at('198.51.100.99') }, null],
    [
      'its STUN hole where there is no relay',
      { config: told },
      { stunHole: at('198.51.100.99', 61_000), relays: [] },
      { publicIP: ip('198.51.100.99'), publicPort: 61_000 },
    ],
    ['the same STUN hole not again', { config: told }, { stunHole: at('198.51.100.1'), relays: [] }, null],
    [
      'where a relay is, by its own public address',
      { config: told, underNat: false, natType: null, hole: null, publicIp: null },
      { underlay: underlay('192.168.7.2', '2001:db8::1', '203.0.113.9') },
      { natType: UNDEFINED, publicIP: ip('203.0.113.9'), publicPort: 4500, config: found('203.0.113.9') },
    ],
    [
      'where a relay is, by STUN',
      { config: told, underNat: false, natType: UNDEFINED, hole: null, publicIp: null },
      { nat: nat(null, '203.0.113.77') },
      { publicIP: ip('203.0.113.77'), publicPort: 4500, config: found('203.0.113.77') },
    ],
    [
      'only the port where the user gave the address',
      { config: told, underNat: false, natType: UNDEFINED, hole: null, publicIp: '203.0.113.5' },
      {},
      { publicPort: 4500 },
    ],
    [
      'only the address where the user gave the port',
      { config: told, underNat: false, natType: UNDEFINED, hole: null, publicIp: null, publicPort: 31_000 },
      { nat: nat(null, '203.0.113.77') },
      { publicIP: ip('203.0.113.77'), config: found('203.0.113.77') },
    ],
    [
      'nothing of where it is when it does not know',
      { config: told, underNat: false, natType: UNDEFINED, hole: null, publicIp: null },
      {},
      null,
    ],
    [
      'its new address over the one that it found before',
      { ...placed, hole: at('203.0.113.5', 4600) },
      { underlay: underlay('203.0.113.9') },
      { publicIP: ip('203.0.113.9'), config: found('203.0.113.9') },
    ],
    [
      'its new address by STUN',
      { ...placed, hole: at('203.0.113.5') },
      { nat: nat(null, '203.0.113.77') },
      { publicIP: ip('203.0.113.77'), config: found('203.0.113.77') },
    ],
    [
      'nothing while the node has the address that it found',
      { ...placed, hole: at('203.0.113.5') },
      { underlay: underlay('203.0.113.4', '203.0.113.5') },
      null,
    ],
    [
      'nothing while STUN still sees the address that it found',
      { ...placed, hole: at('203.0.113.5') },
      { underlay: underlay('203.0.113.4'), nat: nat(null, '203.0.113.5') },
      null,
    ],
    ['nothing new while none is known', { ...placed, hole: at('203.0.113.5') }, {}, null],
    ['nothing new without a network', { ...placed, hole: at('203.0.113.5') }, { underlay: null }, null],
    [
      'nothing over what the user put over what it found',
      { ...placed, hole: at('203.0.113.6') },
      { underlay: underlay('203.0.113.9') },
      null,
    ],
    [
      'nothing over what the user gave',
      { config: told, underNat: false, natType: UNDEFINED, hole: at('203.0.113.5', 4600) },
      { underlay: underlay('203.0.113.9') },
      null,
    ],
  ];
  const mappedTo = at('198.51.100.1', 50_000);
  const mappedConfig = { ...told, coraxPortMapping: '198.51.100.1:50000' };
  const raven = [relay(1, { corax: null })];
  cases.push(
    [
      'where its router maps it, and its NAT type for as long as that is not the hole',
      { config: told, natType: SYMMETRIC },
      { mapped: mappedTo, nat: nat(SYMMETRIC) },
      { config: { coraxPortMapping: '198.51.100.1:50000' } },
    ],
    [
      'that it is open to all once the mapping is the hole',
      { config: mappedConfig, natType: SYMMETRIC, hole: mappedTo, mapped: mappedTo },
      { mapped: mappedTo, nat: nat(SYMMETRIC) },
      { natType: FULL_CONE },
    ],
    [
      'what its NAT is by itself when the mapping is gone',
      { config: mappedConfig, natType: FULL_CONE, hole: mappedTo, mapped: mappedTo },
      { nat: nat(SYMMETRIC) },
      { natType: SYMMETRIC, config: { coraxPortMapping: '' } },
    ],
    [
      'nothing of its NAT that it does not know, while a mapping is about to be the hole',
      { config: mappedConfig, natType: SYMMETRIC, mapped: mappedTo },
      { mapped: mappedTo },
      null,
    ],
    [
      'that it does not know its NAT when the mapping is gone',
      { config: mappedConfig, natType: FULL_CONE, hole: mappedTo, mapped: mappedTo },
      {},
      { natType: UNDEFINED, config: { coraxPortMapping: '' } },
    ],
    [
      'nothing of a mapping that it need not have',
      { config: told, underNat: false, natType: UNDEFINED },
      { mapped: mappedTo },
      null,
    ],
    [
      'its mapping as its hole where the relay is raven, which tells of none',
      { config: mappedConfig, mapped: mappedTo },
      { mapped: mappedTo, relays: siteFacts(gateway(1), raven).relays },
      { publicIP: ip('198.51.100.1'), publicPort: 50_000 },
    ],
    [
      'its STUN hole where the router is behind another NAT',
      { config: { ...told, coraxPortMapping: '100.64.0.9:50000' } },
      { mapped: at('100.64.0.9', 50_000), stunHole: at('198.51.100.99', 61_000), relays: [] },
      { publicIP: ip('198.51.100.99'), publicPort: 61_000 },
    ],
    [
      'no private mapping where nobody saw it from outside',
      { config: { ...told, coraxPortMapping: '192.168.9.9:50000' } },
      { mapped: at('192.168.9.9', 50_000), relays: [] },
      null,
    ],
  );
  for (const [name, options, facts, fields] of cases) {
    it(name, () => {
      const own = gateway(1, options);
      assert.deepEqual(ownFields(siteFacts(own, [relay(1)], facts), own, '9'), fields);
    });
  }

  it('is nothing where the gateway has no endpoint of this node', () => {
    assert.equal(ownFields(siteFacts(gateway(1), []), gateway(2), '9'), null);
  });
});

describe('what the central relay says of edges', () => {
  const central = relay(2);
  const site = (more: Partial<SiteFacts> = {}) => siteFacts(central, [relay(1), central], more);
  const edge = asSite(gateway(5));
  const cases: [string, SiteFacts, HostPort | null, EndpointFields | null | RegExp][] = [
    ['a hole that moved', site(), at('198.51.100.5', 61_000), { publicIP: ip('198.51.100.5'), publicPort: 61_000 }],
    ['nothing of one that did not', site(), at('198.51.100.5'), null],
    ['nothing of one not seen', site(), null, null],
    ['no private address, being public itself', site(), at('192.168.9.9'), /private, and this relay is not/],
    ['no multicast address', site(), at('224.0.0.1'), /no place to send to/],
    ['no loopback address', site(), at('127.0.0.1'), /no place to send to/],
    [
      "not this node's own",
      site({ underlay: { device: 'e', mtu: 1500, addresses: [ip('203.0.113.50')], ipv6: null } }),
      at('203.0.113.50'),
      /own address/,
    ],
    ["not a relay's", site(), at('203.0.113.1'), /is a relay's/],
    [
      "one at a relay's address, another port: it is behind the same NAT",
      site(),
      at('203.0.113.1', 4600),
      { publicIP: ip('203.0.113.1'), publicPort: 4600 },
    ],
    [
      'nothing when another relay is central',
      siteFacts(relay(1), [relay(1), central]),
      at('198.51.100.5', 61_000),
      null,
    ],
    ['nothing as an edge', siteFacts(gateway(1), [relay(1)]), at('198.51.100.5', 61_000), null],
  ];
  for (const [name, facts, seen, expected] of cases) {
    it(name, () => {
      const fields = holeFields(facts, edge, seen);
      if (expected instanceof RegExp) assert.match(fields as string, expected);
      else assert.deepEqual(fields, expected);
    });
  }

  const mappedEdge = (mapped: HostPort, hole = at('198.51.100.5')) => asSite(gateway(5, { mapped, hole }));

  it('where its router maps an edge, at the address where it is seen', () => {
    const seen = at('198.51.100.5', 20_123);
    const mapped = at('198.51.100.5', 50_000);
    const fields = { publicIP: ip('198.51.100.5'), publicPort: 50_000 };
    assert.deepEqual(holeFields(site(), mappedEdge(mapped), seen), fields);
    assert.equal(holeFields(site(), mappedEdge(mapped, mapped), seen), null, 'what is seen is not put back');
    assert.equal(holeFields(site(), mappedEdge(mapped), null), null);
  });

  it('where an edge is seen, when it says that its router maps it elsewhere', () => {
    const fields = { publicIP: ip('198.51.100.5'), publicPort: 20_123 };
    for (const elsewhere of ['100.64.0.9', '192.0.2.66']) {
      assert.deepEqual(holeFields(site(), mappedEdge(at(elsewhere, 50_000)), at('198.51.100.5', 20_123)), fields);
    }
  });

  it('a private hole, being private itself: a lab, a private cloud', () => {
    const lab = relay(2, { hole: at('172.16.0.2') });
    assert.deepEqual(holeFields(siteFacts(lab, [lab]), edge, at('172.16.0.77')), {
      publicIP: ip('172.16.0.77'),
      publicPort: 4500,
    });
  });

  it('nothing of who is not under NAT', () => {
    assert.equal(holeFields(site(), asSite(relay(1)), at('203.0.113.1', 4600)), null);
  });
});
