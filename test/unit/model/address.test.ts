import assert from 'node:assert/strict';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  contains,
  formatHostPort,
  hostPrefix,
  type Ip,
  ipFromBytes,
  ipToBytes,
  isGlobalIpv6,
  isIpv4,
  isPort,
  isPrivate,
  isUnicast,
  nonUnicastPart,
  overlaps,
  type Prefix,
  parseHostPort,
  parseIp,
  parsePrefix,
  prefixAddress,
  prefixLength,
  sameHostPort,
} from '#src/model/address.js';
import { mergePrefixes } from '#src/model/subnets.js';

const ip = (text: string): Ip => parseIp(text) ?? assert.fail(`${text} is no address`);
const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(`${text} is no prefix`);

/** Few enough distinct bytes that zero runs, mapped forms and neighbours come up often. */
const byte = fc.oneof(fc.constantFrom(0, 0, 0, 255), fc.nat(255));
const bytes4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const bytes16 = fc.array(byte, { minLength: 16, maxLength: 16 }).map((bytes) => Uint8Array.from(bytes));
const anyIp = fc.oneof(bytes4, bytes16).map((bytes) => ipFromBytes(bytes));
const anyPrefix = anyIp.chain((address) =>
  fc.nat(isIpv4(address) ? 32 : 128).map((length) => prefix(`${address}/${length}`)),
);

describe('addresses', () => {
  const table: [string, string | null][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['192.0.2.256', null],
    ['192.0.2.01', null],
    ['192.0.2', null],
    ['192.0.2.1.', null],
    ['192.0.2.1 ', null],
    ['192.0.2.1\n', null],
    ['1234', null],
    ['', null],
    ['::', '::'],
    ['::1', '::1'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['0000:0000:0000:0000:0000:0000:0000:0001', '::1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    // Look mapped, are not: the ffff is elsewhere.
    ['::ffff:1', '::ffff:1'],
    ['::ffff', '::ffff'],
    ['::ffff:1:2:3', '::ffff:1:2:3'],
    ['::ffff:0:192.0.2.1', '::ffff:0:c000:201'],
    ['::192.0.2.1', '::c000:201'],
    ['::ffff:192.0.2.256', null],
    ['::ffff:192.0.2.01', null],
    ['fe80::1%eth0', null],
    ['[::1]', null],
    ['::1/128', null],
    ['1::2::3', null],
    [':::', null],
    [':', null],
    ['1:2:3:4:5:6:7', null],
    ['1:2:3:4:5:6:7:8:9', null],
    ['12345::', null],
    ['g::', null],
    ['::1\u0000', null],
    ['192.0.2.1:4500', null],
    ['localhost', null],
    ['١٩٢.0.2.1', null],
  ];
  for (const [text, expected] of table) {
    test(`${JSON.stringify(text)} → ${expected}`, () => assert.equal(parseIp(text), expected));
  }

  test('bytes there and back; text is canonical; node agrees', () => {
    fc.assert(
      fc.property(fc.oneof(bytes4, bytes16), (bytes) => {
        const address = ipFromBytes(bytes);
        assert.equal(parseIp(address), address);
        assert.ok(isIpv4(address) ? isIPv4(address) : isIPv6(address));
        const back = ipToBytes(address);
        assert.deepEqual(back, back.length === bytes.length ? bytes : bytes.subarray(12));
        if (isIpv4(address)) return;
        // WHATWG URLs print IPv6 as RFC 5952 has it.
        assert.equal(new URL(`http://[${address}]/`).hostname, `[${address}]`);
      }),
      { numRuns: 2000 },
    );
  });

  test('parseIp takes what node takes, but for zones', () => {
    const noise = fc.stringMatching(/^[0-9a-fA-F:.%/]{0,46}$/);
    const near = fc
      .tuple(anyIp, fc.nat(40), fc.constantFrom('', ':', '.', '0', 'f', '::', '1.2.3.4'))
      .map(([address, at, extra]) => {
        return address.slice(0, at) + extra + address.slice(at);
      });
    fc.assert(
      fc.property(fc.oneof(noise, near), (text) => {
        const node = (isIPv4(text) || isIPv6(text)) && !text.includes('%') && text.length <= 45;
        assert.equal(parseIp(text) !== null, node, text);
      }),
      { numRuns: 3000 },
    );
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        parseIp(text);
        parsePrefix(text);
      }),
    );
  });
});

describe('prefixes', () => {
  const table: [string, string | null][] = [
    ['10.0.0.0/24', '10.0.0.0/24'],
    ['10.0.0.77/24', '10.0.0.0/24'],
    ['10.255.255.255/9', '10.128.0.0/9'],
    ['10.0.0.1/32', '10.0.0.1/32'],
    ['10.0.0.1/0', '0.0.0.0/0'],
    ['2001:db8::1/64', '2001:db8::/64'],
    ['2001:db8::1/128', '2001:db8::1/128'],
    ['::ffff:10.0.0.77/120', '10.0.0.0/24'],
    ['::ffff:0:0/96', '0.0.0.0/0'],
    // Not 10.0.0.0/24, and more than IPv4.
    ['::ffff:10.0.0.0/24', '::/24'],
    ['::ffff:10.0.0.0/95', '::fffe:0:0/95'],
    ['10.0.0.0/33', null],
    ['::/129', null],
    ['10.0.0.0', null],
    ['10.0.0.0/', null],
    ['10.0.0.0/024', null],
    ['10.0.0.0/-1', null],
    ['10.0.0.0/24/24', null],
    ['10.0.0.0/255.255.255.0', null],
    ['10.0.0.0/ 24', null],
    ['/24', null],
    ['', null],
  ];
  for (const [text, expected] of table) {
    test(`${JSON.stringify(text)} → ${expected}`, () => assert.equal(parsePrefix(text), expected));
  }

  test('canonical, host bits zero', () => {
    fc.assert(
      fc.property(anyPrefix, (value) => {
        assert.equal(parsePrefix(value), value);
        assert.ok(contains(value, prefixAddress(value)));
        assert.equal(parseIp(prefixAddress(value)), prefixAddress(value));
      }),
    );
  });

  test("contains and overlaps agree with node's block list", () => {
    const pair = fc.oneof(
      fc.tuple(anyPrefix, anyIp),
      // Near the prefix's edge, one bit flipped.
      anyPrefix.chain((value) => {
        const bytes = ipToBytes(prefixAddress(value));
        return fc.nat(bytes.length * 8 - 1).map((bit): [Prefix, Ip] => {
          const flipped = Uint8Array.from(bytes);
          flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (0x80 >> (bit & 7));
          return [value, ipFromBytes(flipped)];
        });
      }),
    );
    fc.assert(
      fc.property(pair, ([value, address]) => {
        const list = new BlockList();
        const family = isIpv4(value) ? 'ipv4' : 'ipv6';
        if (prefixLength(value) > 0) list.addSubnet(prefixAddress(value), prefixLength(value), family);
        const same = isIpv4(value) === isIpv4(address);
        const expected = same && (prefixLength(value) === 0 || list.check(address, family));
        assert.equal(contains(value, address), expected, `${value} ${address}`);
        assert.equal(overlaps(value, hostPrefix(address)), expected);
        assert.equal(overlaps(hostPrefix(address), value), expected);
      }),
      { numRuns: 1000 },
    );
  });

  test('overlapping prefixes contain one another', () => {
    fc.assert(
      fc.property(anyPrefix, anyPrefix, (a, b) => {
        assert.equal(overlaps(a, b), contains(a, prefixAddress(b)) || contains(b, prefixAddress(a)));
      }),
    );
  });
});

describe('kinds of addresses', () => {
  const table: [string, 'never' | 'private' | 'public'][] = [
    ['0.0.0.0', 'never'],
    ['0.1.2.3', 'never'],
    ['127.0.0.53', 'never'],
    ['169.254.169.254', 'never'],
    ['223.255.255.255', 'public'],
    ['224.0.0.1', 'never'],
    ['240.0.0.1', 'never'],
    ['255.255.255.255', 'never'],
    ['::', 'never'],
    ['::1', 'never'],
    ['::2', 'public'],
    ['fe80::1', 'never'],
    ['febf::1', 'never'],
    ['ff02::1', 'never'],
    ['10.1.2.3', 'private'],
    ['172.15.255.255', 'public'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'public'],
    ['192.168.0.1', 'private'],
    ['100.63.255.255', 'public'],
    ['100.64.0.1', 'private'],
    ['100.127.255.255', 'private'],
    ['fd00::1', 'private'],
    ['fe00::1', 'public'],
    ['203.0.113.1', 'public'],
    ['2001:db8::1', 'public'],
  ];
  for (const [text, kind] of table) {
    test(`${text} is ${kind}`, () => {
      assert.equal(isUnicast(ip(text)), kind !== 'never');
      assert.equal(isPrivate(ip(text)), kind === 'private');
      assert.equal(nonUnicastPart(hostPrefix(ip(text))) !== null, kind === 'never');
    });
  }

  test('global IPv6', () => {
    for (const text of ['2000::', '2001:db8::1', '3fff::1']) assert.ok(isGlobalIpv6(ip(text)), text);
    for (const text of ['fd00::1', 'fe80::1', 'ff0e::1', '64:ff9b::1', '::1', '203.0.113.1'])
      assert.ok(!isGlobalIpv6(ip(text)), text);
  });

  test('a prefix around a block that is not unicast', () => {
    assert.equal(nonUnicastPart(prefix('126.0.0.0/7')), '127.0.0.0/8');
    assert.equal(nonUnicastPart(prefix('10.0.0.0/8')), null);
  });
});

describe('transport addresses', () => {
  test('ports', () => {
    for (const port of [1, 4500, 65535]) assert.ok(isPort(port));
    for (const port of [0, -1, 65536, 70000, 1.5, Number.NaN, Infinity, '4500', null, undefined, 4500n]) {
      assert.ok(!isPort(port));
    }
  });

  test('text is read back, and nothing else is', () => {
    fc.assert(
      fc.property(anyIp, fc.integer({ min: 1, max: 65535 }), (address, port) => {
        const at = { ip: address, port };
        assert.deepEqual(parseHostPort(formatHostPort(at)), at);
      }),
    );
    for (const text of [
      '',
      ':4500',
      '192.0.2.1',
      '2001:db8::1:4500',
      '[192.0.2.1]:1',
      '[::1]',
      '[::1]:0',
      'a:1',
      '[::1]:1 ',
    ])
      assert.equal(parseHostPort(text), null, text);
  });

  test('text and equality', () => {
    assert.equal(formatHostPort({ ip: ip('192.0.2.1'), port: 4500 }), '192.0.2.1:4500');
    assert.equal(formatHostPort({ ip: ip('2001:db8::1'), port: 4500 }), '[2001:db8::1]:4500');
    const a = { ip: ip('192.0.2.1'), port: 4500 };
    assert.ok(sameHostPort(a, { ...a }));
    assert.ok(!sameHostPort(a, { ...a, port: 4501 }));
    assert.ok(!sameHostPort(a, null));
    assert.ok(sameHostPort(null, null));
  });
});

describe('merging prefixes', () => {
  const table: [string[], string[]][] = [
    [[], []],
    [['10.0.1.0/24', '10.0.0.0/24'], ['10.0.0.0/23']],
    // Adjacent, but not the halves of one prefix.
    [
      ['10.0.1.0/24', '10.0.2.0/24'],
      ['10.0.1.0/24', '10.0.2.0/24'],
    ],
    [['10.0.3.0/24', '10.0.1.0/24', '10.0.2.0/24', '10.0.0.0/24'], ['10.0.0.0/22']],
    [['10.0.0.0/24', '10.0.0.0/24', '10.0.0.128/25'], ['10.0.0.0/24']],
    [['10.0.0.0/25', '10.0.0.128/26', '10.0.0.192/26', '10.0.1.0/24'], ['10.0.0.0/23']],
    [
      ['fd00:0:0:1::/64', 'fd00::/64', '9.0.0.0/8', '10.0.0.0/8'],
      ['9.0.0.0/8', '10.0.0.0/8', 'fd00::/63'],
    ],
    [['255.255.255.255/32', '255.255.255.254/32'], ['255.255.255.254/31']],
    [['0.0.0.0/1', '128.0.0.0/1'], ['0.0.0.0/0']],
  ];
  for (const [input, expected] of table) {
    test(`${input.join(' ')} → ${expected.join(' ')}`, () => {
      assert.deepEqual(mergePrefixes(input.map(prefix)), expected);
    });
  }

  test('the same addresses, the fewest prefixes, whatever the order', () => {
    // Eight-address space, so that everything can be counted.
    const small = fc
      .tuple(fc.nat(15), fc.integer({ min: 28, max: 32 }))
      .map(([low, length]) => prefix(`10.0.0.${low}/${length}`));
    const covered = (prefixes: readonly Prefix[]) =>
      Array.from({ length: 16 }, (_, low) => prefixes.some((value) => contains(value, ip(`10.0.0.${low}`))));
    fc.assert(
      fc.property(fc.array(small, { maxLength: 12 }), (prefixes) => {
        const merged = mergePrefixes(prefixes);
        assert.deepEqual(covered(merged), covered(prefixes));
        assert.deepEqual(mergePrefixes([...prefixes].reverse()), merged);
        assert.deepEqual(mergePrefixes(merged), merged);
        for (const [index, a] of merged.entries()) {
          for (const b of merged.slice(index + 1)) {
            assert.ok(!overlaps(a, b));
            const parent = prefix(`${prefixAddress(a)}/${prefixLength(a) - 1}`);
            assert.ok(
              prefixLength(a) !== prefixLength(b) || !contains(parent, prefixAddress(b)),
              `${a} ${b} could be one`,
            );
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
