import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GATEWAY_LIMITS, type Gateway, parseGateway } from '#src/model/gateway.js';
import { parsePublicKey, publicKeyFromBytes, publicKeyToBytes } from '#src/model/key.js';

const KEY = Buffer.alloc(32, 7).toString('base64');

/** A Gateway as YAML or JSON would give it; tests change one thing in a copy. */
function sample() {
  return {
    apiVersion: 'raven.openyurt.io/v1beta1',
    kind: 'Gateway',
    metadata: { name: 'gw-a', labels: { region: 'north' } } as Record<string, unknown>,
    spec: {
      exposeType: 'PublicIP',
      endpoints: [
        {
          nodeName: 'edge-a',
          type: 'tunnel',
          port: 4500,
          underNAT: true,
          natType: 'Full cone NAT',
          publicIP: '203.0.113.10',
          publicPort: 4500,
          config: { publicKey: KEY, probeAddress: '10.244.1.1', corax: '0.1.0 direct', other: 'kept' },
        } as Record<string, unknown>,
      ] as Record<string, unknown>[],
    } as Record<string, unknown> | null,
    status: {
      nodes: [
        { nodeName: 'edge-a', privateIP: '192.168.1.2', subnets: ['10.244.1.0/24'] } as Record<string, unknown>,
      ] as Record<string, unknown>[],
      activeEndpoints: [{ nodeName: 'edge-a', type: 'tunnel' }] as Record<string, unknown>[] | null,
    } as Record<string, unknown> | null,
  };
}

type Sample = ReturnType<typeof sample>;
type Change = (gateway: Sample) => void;
const endpoint = (gateway: Sample, index = 0) =>
  ((gateway.spec as { endpoints: Record<string, unknown>[] }).endpoints[index] ?? {}) as Record<string, unknown>;
const config = (gateway: Sample) => endpoint(gateway).config as Record<string, unknown>;
const node = (gateway: Sample) =>
  (gateway.status as { nodes: Record<string, unknown>[] }).nodes[0] as Record<string, unknown>;
const withField =
  (field: string, value: unknown): Change =>
  (gateway) => {
    endpoint(gateway)[field] = value;
  };
const withConfig =
  (field: string, value: unknown): Change =>
  (gateway) => {
    config(gateway)[field] = value;
  };
const withSubnets =
  (...subnets: unknown[]): Change =>
  (gateway) => {
    node(gateway).subnets = subnets;
  };

function accept(change: Change = () => {}): Gateway {
  const input = sample();
  change(input);
  const parsed = parseGateway(input);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.reason);
  return parsed.gateway;
}

describe('a Gateway that is believed', () => {
  test('all of it', () => {
    assert.deepEqual(accept(), {
      name: 'gw-a',
      uid: null,
      created: null,
      resourceVersion: null,
      labels: { region: 'north' },
      endpoints: [
        {
          nodeName: 'edge-a',
          underNat: true,
          natType: 'Full cone NAT',
          hole: { ip: '203.0.113.10', port: 4500 },
          publicIp: '203.0.113.10',
          publicPort: 4500,
          publicKey: KEY,
          probeAddress: '10.244.1.1',
          mapped: null,
          corax: '0.1.0 direct',
          onePlane: false,
          ipv6: null,
          config: { publicKey: KEY, probeAddress: '10.244.1.1', corax: '0.1.0 direct', other: 'kept' },
        },
      ],
      activeNodes: ['edge-a'],
      active: accept().endpoints[0],
      nodes: [{ nodeName: 'edge-a', privateIp: '192.168.1.2', subnets: ['10.244.1.0/24'] }],
      subnets: ['10.244.1.0/24'],
    });
  });

  test('metadata of the API', () => {
    const gateway = accept((input) => {
      Object.assign(input.metadata, { uid: 'u-1', resourceVersion: '42', creationTimestamp: '2024-01-02T03:04:05Z' });
    });
    assert.deepEqual(
      [gateway.uid, gateway.resourceVersion, gateway.created],
      ['u-1', '42', Date.UTC(2024, 0, 2, 3, 4, 5)],
    );
  });

  test('where the direct plane is reached by IPv6', () => {
    const gateway = accept((input) => {
      config(input).coraxIPv6 = '[2001:db8::2]:4501';
    });
    assert.deepEqual(gateway.active?.ipv6, { ip: '2001:db8::2', port: 4501 });
  });

  test('an agent whose kernel leaves it one plane says so among the words of its version', () => {
    for (const [corax, expected] of [
      ['0.1.0 libreswan one-plane', true],
      ['0.1.0 libreswan', false],
      ['0.1.0 not-one-plane', false],
      [undefined, false],
    ] as const) {
      const gateway = accept((input) => {
        config(input).corax = corax;
      });
      assert.equal(gateway.active?.onePlane, expected, corax);
    }
  });

  test('what is absent, null or empty text is unset, not refused', () => {
    for (const value of [undefined, null, '']) {
      const gateway = accept((input) => {
        for (const field of ['natType', 'publicIP']) endpoint(input)[field] = value;
        for (const field of ['publicKey', 'probeAddress', 'corax', 'coraxIPv6']) config(input)[field] = value;
        input.metadata.creationTimestamp = value;
      });
      const { natType, publicIp, hole, publicKey, probeAddress, corax, ipv6 } = gateway.endpoints[0] ?? assert.fail();
      assert.deepEqual([natType, publicIp, hole, publicKey, probeAddress, corax, ipv6], Array(7).fill(null));
    }
    for (const value of [undefined, null]) {
      const gateway = accept((input) => {
        for (const field of ['underNAT', 'publicPort', 'config', 'port']) endpoint(input)[field] = value;
      });
      assert.deepEqual(gateway.endpoints[0]?.config, {});
      assert.equal(gateway.endpoints[0]?.underNat, false);
      assert.equal(gateway.endpoints[0]?.hole, null);
      assert.equal(gateway.endpoints[0]?.publicIp, '203.0.113.10');
    }
    assert.deepEqual(accept((input) => Object.assign(input, { spec: null })).endpoints, []);
  });

  test('unknown fields and proxy endpoints are let through and do not count', () => {
    const gateway = accept((input) => {
      Object.assign(input, { surprise: [1] });
      const endpoints = [
        { nodeName: 'edge-a', type: 'proxy', publicPort: 10443, publicIP: 'nonsense' },
        endpoint(input),
      ];
      input.spec = { endpoints, proxyConfig: { Replicas: 1 } };
    });
    assert.deepEqual(
      gateway.endpoints.map((entry) => entry.nodeName),
      ['edge-a'],
    );
  });

  test('canonical forms', () => {
    const gateway = accept((input) => {
      withSubnets('10.244.1.5/24', '2001:DB8:0::/48')(input);
      node(input).privateIP = '::ffff:192.168.1.2';
      endpoint(input).publicIP = '2001:DB8::0:1';
    });
    assert.deepEqual(gateway.subnets, ['10.244.1.0/24', '2001:db8::/48']);
    assert.equal(gateway.nodes[0]?.privateIp, '192.168.1.2');
    assert.equal(gateway.active?.publicIp, '2001:db8::1');
  });

  test('subnets of all nodes are merged and sorted', () => {
    const gateway = accept((input) => {
      const nodes = [['10.244.3.0/24'], ['10.244.9.0/24', 'fd00:2::/64'], null, ['10.244.2.0/24', '10.244.9.128/25']];
      const entries = nodes.map((subnets, index) => ({ nodeName: `n${index}`, privateIP: '192.168.1.2', subnets }));
      input.status = { nodes: entries };
      config(input).probeAddress = undefined;
    });
    assert.deepEqual(gateway.subnets, ['10.244.2.0/23', '10.244.9.0/24', 'fd00:2::/64']);
    assert.deepEqual(gateway.nodes[2]?.subnets, []);
  });

  const tunnel = (nodeName: string) => ({ nodeName, type: 'tunnel' });
  const activeTable: [string, Record<string, unknown>[] | null | undefined, string[], string | null][] = [
    ['no list: the first tunnel endpoint', undefined, ['b'], 'b'],
    ['null is no list', null, ['b'], 'b'],
    ['an empty list: nobody', [], [], null],
    ['in the order of status', [tunnel('a'), tunnel('b')], ['a', 'b'], 'a'],
    ['proxies do not count', [{ nodeName: 'b', type: 'proxy' }, tunnel('a')], ['a'], 'a'],
    ['only a proxy: nobody', [{ nodeName: 'b', type: 'proxy' }], [], null],
    ['one that spec does not have is passed over', [tunnel('gone'), tunnel('a')], ['gone', 'a'], 'a'],
    ['none that spec has', [tunnel('gone')], ['gone'], null],
    ['named twice', [tunnel('a'), tunnel('a')], ['a'], 'a'],
  ];
  for (const [title, activeEndpoints, names, carrier] of activeTable) {
    test(`active: ${title}`, () => {
      const gateway = accept((input) => {
        input.spec = { endpoints: [{ nodeName: 'p', type: 'proxy' }, tunnel('b'), tunnel('a')] };
        Object.assign(input.status as object, { activeEndpoints });
      });
      assert.deepEqual(gateway.activeNodes, names);
      assert.equal(gateway.active?.nodeName ?? null, carrier);
    });
  }

  test('what status says of an active endpoint is not believed', () => {
    const gateway = accept((input) => {
      input.status = { ...input.status, activeEndpoints: [{ ...tunnel('edge-a'), publicIP: '198.51.100.9' }] };
    });
    assert.equal(gateway.active?.publicIp, '203.0.113.10');
  });

  test('a config key named __proto__ is a key like any other', () => {
    const raw = JSON.parse(JSON.stringify(sample()).replace('"other":"kept"', '"__proto__":"x","other":"kept"'));
    const parsed = parseGateway(raw);
    assert.ok(parsed.ok);
    assert.equal(Object.getPrototypeOf(parsed.gateway.active?.config), Object.prototype);
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });
});

describe('a Gateway that is refused', () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => index);
  const table: [string, Change, RegExp][] = [
    [
      'publicIP that is no address',
      withField('publicIP', 'relay.example.org'),
      /^spec\.endpoints\[0\]\.publicIP "relay\.example\.org": is not a unicast/,
    ],
    ['publicIP multicast', withField('publicIP', '224.0.0.1'), /publicIP "224\.0\.0\.1": is not a unicast/],
    ['publicIP loopback', withField('publicIP', '127.0.0.1'), /is not a unicast/],
    ['publicIP broadcast', withField('publicIP', '255.255.255.255'), /is not a unicast/],
    ['publicIP unspecified', withField('publicIP', '0.0.0.0'), /is not a unicast/],
    ['publicIP IPv6 link-local', withField('publicIP', 'fe80::1'), /is not a unicast/],
    ['publicIP loopback in disguise', withField('publicIP', '::ffff:127.0.0.1'), /is not a unicast/],
    ['publicPort 0', withField('publicPort', 0), /publicPort 0: is not a port/],
    ['publicPort 70000', withField('publicPort', 70000), /publicPort 70000: is not a port/],
    ['publicPort negative', withField('publicPort', -1), /publicPort -1: is not a port/],
    ['publicPort as text (v1alpha1)', withField('publicPort', '4500'), /publicPort "4500": must be an integer/],
    ['publicPort fraction', withField('publicPort', 4500.5), /publicPort 4500\.5: must be an integer/],
    ['publicPort NaN', withField('publicPort', Number.NaN), /publicPort NaN: must be an integer/],
    ['natType unknown', withField('natType', 'full cone nat'), /natType "full cone nat": is no NAT type/],
    ['underNAT as text', withField('underNAT', 'yes'), /underNAT "yes": must be true or false/],
    [
      'key too short',
      withConfig('publicKey', Buffer.alloc(31, 7).toString('base64')),
      /config\.publicKey .*is not a WireGuard/,
    ],
    ['key all zero', withConfig('publicKey', Buffer.alloc(32).toString('base64')), /not all zero/],
    ['key with a stray bit', withConfig('publicKey', `${KEY.slice(0, 42)}9=`), /is not a WireGuard/],
    [
      'key in the URL alphabet',
      withConfig('publicKey', Buffer.alloc(32, 0xff).toString('base64').replaceAll('/', '_')),
      /is not a WireGuard/,
    ],
    ['key with a line end', withConfig('publicKey', `${KEY}\n`), /is not a WireGuard/],
    [
      'probe address elsewhere',
      withConfig('probeAddress', '10.244.2.1'),
      /probeAddress "10\.244\.2\.1": is not an IPv4 address inside/,
    ],
    [
      'direct plane at an address of the site alone',
      withConfig('coraxIPv6', '[fd00::2]:4501'),
      /coraxIPv6 "\[fd00::2\]:4501": is not a global IPv6 address with a port/,
    ],
    ['direct plane without a port', withConfig('coraxIPv6', '2001:db8::2'), /coraxIPv6 "2001:db8::2"/],
    ['direct plane by IPv4', withConfig('coraxIPv6', '203.0.113.9:4501'), /coraxIPv6 "203/],
    ['probe address that is none', withConfig('probeAddress', 'cni0'), /probeAddress "cni0"/],
    [
      'abilities with a control character',
      withConfig('corax', '1\u001b[2J'),
      /corax "1\\u001b\[2J": must be printable/,
    ],
    [
      'a mapping without a port',
      withConfig('coraxPortMapping', '203.0.113.10'),
      /coraxPortMapping .* unicast IPv4 address and port/,
    ],
    ['a mapping to port 0', withConfig('coraxPortMapping', '203.0.113.10:0'), /coraxPortMapping/],
    ['a mapping to everybody', withConfig('coraxPortMapping', '224.0.0.1:4500'), /coraxPortMapping/],
    ['abilities too long', withConfig('corax', 'x'.repeat(257)), /corax "x{64}…": must be printable/],
    ['config that is no text', withConfig('other', 5), /config\.other 5: must be text/],
    ['config that is a list', withField('config', []), /config a list of 0: must be a map/],
    ['no subnets', withSubnets(), /^status\.nodes: must name at least one subnet/],
    ['no status', (input) => Object.assign(input, { status: null }), /must name at least one subnet/],
    ['subnet that is none', withSubnets('10.244.1.0'), /subnets\[0\] "10\.244\.1\.0": is not a prefix/],
    ['subnet with a bad length', withSubnets('10.244.1.0/33'), /is not a prefix/],
    ['default route', withSubnets('10.244.1.0/24', '0.0.0.0/0'), /subnets\[1\] "0\.0\.0\.0\/0": is the default route/],
    ['default route, IPv6', withSubnets('::/0'), /is the default route/],
    ['default route in disguise', withSubnets('::ffff:0:0/96'), /is the default route/],
    ['half of everything', withSubnets('128.0.0.0/1'), /is shorter than \/8/],
    ['too short', withSubnets('10.0.0.0/7'), /is shorter than \/8/],
    ['too short, IPv6', withSubnets('2000::/3'), /is shorter than \/16/],
    ['loopback', withSubnets('127.0.0.0/24'), /overlaps 127\.0\.0\.0\/8/],
    ['multicast', withSubnets('224.0.1.0/24'), /overlaps 224\.0\.0\.0\/4/],
    ['link-local', withSubnets('169.254.1.0/24'), /overlaps 169\.254\.0\.0\/16/],
    ['link-local, IPv6', withSubnets('fe80::/64'), /overlaps fe80::\/10/],
    ['multicast, IPv6', withSubnets('ff02::/16'), /overlaps ff00::\/8/],
    ['loopback inside, IPv6', withSubnets('::/16'), /overlaps ::/],
    ['subnets that are no list', (input) => Object.assign(node(input), { subnets: '10.0.0.0/24' }), /must be a list/],
    [
      'privateIP that is none',
      (input) => Object.assign(node(input), { privateIP: '' }),
      /privateIP "": is not an IP address/,
    ],
    [
      'privateIP with a zone',
      (input) => Object.assign(node(input), { privateIP: 'fe80::1%eth0' }),
      /is not an IP address/,
    ],
    ['no privateIP', (input) => Object.assign(node(input), { privateIP: undefined }), /privateIP: must be text/],
    [
      'two tunnel endpoints of one node',
      (input) => Object.assign(input, { spec: { endpoints: [endpoint(input), endpoint(input)] } }),
      /endpoints\[1\]\.nodeName "edge-a": has a tunnel endpoint already/,
    ],
    ['no name', (input) => Object.assign(input, { metadata: {} }), /^metadata\.name: must be text/],
    ['no metadata', (input) => Object.assign(input, { metadata: undefined }), /^metadata: must be a map/],
    [
      'a name with a path',
      (input) => Object.assign(input.metadata, { name: '../etc' }),
      /metadata\.name "\.\.\/etc": is not a DNS-1123/,
    ],
    ['a name too long', (input) => Object.assign(input.metadata, { name: 'a'.repeat(254) }), /is not a DNS-1123/],
    ['a node name in capitals', withField('nodeName', 'Edge'), /nodeName "Edge": is not a DNS-1123/],
    [
      'an active node name with a line end',
      (input) => Object.assign(input.status as object, { activeEndpoints: [{ nodeName: 'a\n', type: 'tunnel' }] }),
      /nodeName "a\\n": is not a DNS-1123/,
    ],
    ['an endpoint without type', withField('type', undefined), /endpoints\[0\]\.type: must be text/],
    ['an endpoint of empty type', withField('type', ''), /endpoints\[0\]\.type "": must be tunnel or proxy/],
    ['another kind', (input) => Object.assign(input, { kind: 'Pod' }), /^kind "Pod": must be Gateway/],
    [
      'another version',
      (input) => Object.assign(input, { apiVersion: 'raven.openyurt.io/v1alpha1' }),
      /^apiVersion .*must be raven/,
    ],
    [
      'a date that is none',
      (input) => Object.assign(input.metadata, { creationTimestamp: 'yesterday' }),
      /creationTimestamp "yesterday"/,
    ],
    [
      'too many endpoints',
      (input) =>
        Object.assign(input, {
          spec: { endpoints: many(GATEWAY_LIMITS.endpoints + 1).map((i) => ({ nodeName: `n${i}`, type: 'tunnel' })) },
        }),
      /spec\.endpoints a list of 257: must have at most 256/,
    ],
    [
      'too many nodes',
      (input) =>
        Object.assign(input, {
          status: { nodes: many(5001).map((i) => ({ nodeName: `n${i}`, privateIP: '192.168.1.1' })) },
        }),
      /status\.nodes a list of 5001: must have at most 5000/,
    ],
    [
      'too many subnets',
      withSubnets(...many(5001).map((i) => `10.${i >> 8}.${i & 255}.0/24`)),
      /at most 5000 subnets, has 5001/,
    ],
  ];
  for (const [title, change, reason] of table) {
    test(title, () => {
      const input = sample();
      change(input);
      const parsed = parseGateway(input, 'from-file');
      assert.ok(!parsed.ok);
      assert.match(parsed.reason, reason);
      assert.match(parsed.name, /^(gw-a|from-file)$/);
    });
  }

  for (const input of [null, undefined, 5, 'text', [], [sample()]]) {
    test(`a document that is ${JSON.stringify(input)?.slice(0, 12)}`, () => {
      const parsed = parseGateway(input);
      assert.ok(!parsed.ok);
      assert.equal(parsed.name, '(unnamed)');
      assert.match(parsed.reason, /^the document.*: must be a map$/);
    });
  }

  test('a reason is one bounded printable line, whatever was in the field', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
        // An own "__proto__", which JSON can hold, is no key to zod: it is dropped.
        fc.string({ unit: 'binary' }).filter((key) => key !== '__proto__'),
        (value, key) => {
          const input = sample();
          endpoint(input).natType = value;
          const parsed = parseGateway(input);
          assert.ok(!parsed.ok);
          assert.match(parsed.reason, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]{1,500}$/u);
          const other = sample();
          config(other)[key] = 5;
          const refused = parseGateway(other);
          assert.ok(!refused.ok);
          assert.match(refused.reason, /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]{1,500}$/u);
        },
      ),
    );
  });

  test('never throws', () => {
    const anything = fc.anything({ maxDepth: 4, withNullPrototype: true });
    fc.assert(
      fc.property(anything, anything, anything, (spec, status, metadata) => {
        parseGateway({ ...sample(), spec });
        parseGateway({ ...sample(), status });
        parseGateway({ ...sample(), metadata });
        parseGateway(spec);
      }),
    );
  });
});

describe('keys', () => {
  test('32 bytes there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const key = publicKeyFromBytes(bytes);
        if (bytes.every((byte) => byte === 0)) return assert.equal(key, null);
        assert.ok(key !== null);
        assert.equal(parsePublicKey(key), key);
        assert.deepEqual(publicKeyToBytes(key), bytes);
      }),
    );
    assert.equal(publicKeyFromBytes(new Uint8Array(31).fill(1)), null);
  });

  test('text that is a key is the only text of that key', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9+/]{43}=$/), (text) => {
        const key = parsePublicKey(text);
        const canonical = Buffer.from(text, 'base64').toString('base64') === text;
        assert.equal(key !== null, canonical && !/^A{43}=$/.test(text));
      }),
    );
  });
});
