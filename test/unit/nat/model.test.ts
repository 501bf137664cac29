import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type HostPort, parseIp } from '#src/model/address.js';
import { type Filtering, type Mapping, NAT_TYPES, type NatType, natTypeOf, parseNatType } from '#src/model/nat.js';
import {
  type ChangeResult,
  filteringFromTests,
  mappingFromTests,
  mappingFromViews,
  outsideViews,
} from '#src/nat/classify.js';

const EI = 'endpoint-independent';
const AD = 'address-dependent';
const APD = 'address-and-port-dependent';

describe('NAT types', () => {
  const types: Array<[Mapping | null, Filtering | null, NatType]> = [
    [EI, EI, 'Full cone NAT'],
    [EI, AD, 'Restricted cone NAT'],
    [EI, APD, 'Port Restricted cone NAT'],
    [EI, null, 'Port Restricted cone NAT'],
    [AD, EI, 'Symmetric NAT'],
    [AD, APD, 'Symmetric NAT'],
    [APD, EI, 'Symmetric NAT'],
    [APD, null, 'Symmetric NAT'],
    [null, EI, 'Undefined'],
    [null, null, 'Undefined'],
  ];
  for (const [mapping, filtering, type] of types) {
    it(`mapping ${mapping}, filtering ${filtering}: ${type}`, () => {
      assert.equal(natTypeOf(mapping, filtering), type);
    });
  }

  it('reads the exact strings and nothing else', () => {
    for (const type of NAT_TYPES) assert.equal(parseNatType(type), type);
    for (const text of ['', 'full cone nat', 'Symmetric NAT ', 'Symmetric', 'constructor', 'undefined']) {
      assert.equal(parseNatType(text), null);
    }
  });
});

const at = (ip: string, port: number): HostPort => ({ ip: parseIp(ip) as HostPort['ip'], port });
const [seen, otherPort, thirdPort] = [at('203.0.113.1', 1000), at('203.0.113.1', 1001), at('203.0.113.1', 1002)];

describe('RFC 5780 4.3 and 4.4', () => {
  const mappings: Array<[HostPort, HostPort | null, Mapping | null]> = [
    [seen, null, EI],
    [otherPort, otherPort, AD],
    [otherPort, thirdPort, APD],
    [otherPort, seen, APD],
    [at('203.0.113.2', 1000), at('203.0.113.2', 1000), AD],
    [otherPort, null, null],
  ];
  for (const [ii, iii, mapping] of mappings) {
    it(`II ${ii.port}, III ${iii?.port}: ${mapping}`, () => assert.equal(mappingFromTests(seen, ii, iii), mapping));
  }

  const filterings: Array<[ChangeResult, ChangeResult, Filtering | null]> = [
    ['answered', 'answered', EI],
    ['answered', 'silent', EI],
    ['answered', 'unclear', EI],
    ['silent', 'answered', AD],
    ['silent', 'silent', APD],
    ['unclear', 'answered', null],
    ['silent', 'unclear', null],
    ['unclear', 'unclear', null],
  ];
  for (const [both, port, filtering] of filterings) {
    it(`both ${both}, port ${port}: ${filtering}`, () => assert.equal(filteringFromTests(both, port), filtering));
  }
});

describe('views of several servers', () => {
  const view = (server: string, port: number, mapped: HostPort) => ({ server: at(server, port), mapped });
  const cases: Array<[string, ReturnType<typeof view>[], Mapping | null, boolean]> = [
    ['none', [], null, false],
    ['one', [view('1.1.1.1', 1, seen)], null, false],
    ['two addresses agree', [view('1.1.1.1', 1, seen), view('2.2.2.2', 1, seen)], EI, false],
    ['two addresses differ', [view('1.1.1.1', 1, seen), view('2.2.2.2', 1, otherPort)], null, true],
    ['two ports agree', [view('1.1.1.1', 1, seen), view('1.1.1.1', 2, seen)], null, false],
    ['two ports differ', [view('1.1.1.1', 1, seen), view('1.1.1.1', 2, otherPort)], APD, true],
    [
      'two ports agree, another address differs',
      [view('1.1.1.1', 1, seen), view('1.1.1.1', 2, seen), view('2.2.2.2', 1, otherPort)],
      null,
      true,
    ],
    [
      'the third differs',
      [view('1.1.1.1', 1, seen), view('2.2.2.2', 2, seen), view('3.3.3.3', 1, otherPort)],
      null,
      true,
    ],
  ];
  for (const [what, views, mapping, varies] of cases) {
    it(what, () => assert.deepEqual(mappingFromViews(views), { mapping, varies }));
  }

  it('leaves out a server inside the own network, unless there is no other', () => {
    const local = new Set([at('10.0.0.2', 1).ip]);
    const inside = view('10.0.0.1', 1, at('10.0.0.2', 5000));
    const outside = view('198.51.100.1', 1, seen);
    assert.deepEqual(outsideViews([inside, outside], local), [outside]);
    assert.deepEqual(outsideViews([inside], local), [inside]);
    assert.deepEqual(outsideViews([inside, outside], null), [inside, outside]);
  });
});
