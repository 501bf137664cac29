import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { parseIp } from '#src/model/address.js';
import { DocumentError } from '#src/store/document.js';
import { editDocument } from '#src/store/edit.js';
import type { EndpointPatch } from '#src/store/store.js';
import { type GatewayFile, gatewayFile } from './recorder.js';

const publicIP = parseIp('203.0.113.1') ?? assert.fail();
const patch = (set: EndpointPatch['set']): EndpointPatch => ({ gateway: 'g', nodeName: 'a', set });

function edited(text: string, set: EndpointPatch['set']): string | null {
  const result = editDocument(text, 'yaml', patch(set));
  assert.ok(result.found);
  return result.text;
}

const head = 'apiVersion: raven.openyurt.io/v1beta1\nkind: Gateway\nmetadata: {name: g}\n';
const lines = (...more: string[]) => head + more.map((line) => `${line}\n`).join('');

describe('editing in place', () => {
  const set = {
    natType: 'Full cone NAT',
    publicPort: 4500,
    config: { publicKey: 'AA+/=', corax: '0.1: x, {y}' },
  } as const;
  const table: [string, string[], string[]][] = [
    [
      'values replaced in their quotes, the comments stay',
      [
        'spec:',
        '  endpoints:  # ours',
        '    - nodeName: a # a',
        '      type: tunnel',
        `      natType: ''   # unknown`,
        '      publicPort: 1 # one',
        '      config: # c',
        `        "publicKey": "x" # k`,
        '        corax: old',
        '    # end',
      ],
      [
        'spec:',
        '  endpoints:  # ours',
        '    - nodeName: a # a',
        '      type: tunnel',
        `      natType: 'Full cone NAT'   # unknown`,
        '      publicPort: 4500 # one',
        '      config: # c',
        `        "publicKey": "AA+/=" # k`,
        '        corax: "0.1: x, {y}"',
        '    # end',
      ],
    ],
    [
      'new lines at the right depth, lists not indented, config first',
      [
        'spec:',
        '  endpoints:',
        '  - config:',
        '      other: 1x   # o',
        '    nodeName: a',
        '    type: tunnel',
        '',
        '  - nodeName: b',
        '    type: tunnel',
      ],
      [
        'spec:',
        '  endpoints:',
        '  - config:',
        '      other: 1x   # o',
        '      publicKey: AA+/=',
        '      corax: "0.1: x, {y}"',
        '    nodeName: a',
        '    type: tunnel',
        '    natType: Full cone NAT',
        '    publicPort: 4500',
        '',
        '  - nodeName: b',
        '    type: tunnel',
      ],
    ],
    [
      'keys that have no value yet',
      [
        'spec:',
        '  endpoints:',
        '    - nodeName: a',
        '      natType:',
        '      type: tunnel',
        '      publicPort:   # later',
        '      config:   # later',
      ],
      [
        'spec:',
        '  endpoints:',
        '    - nodeName: a',
        '      natType: Full cone NAT',
        '      type: tunnel',
        '      publicPort: 4500   # later',
        '      config:   # later',
        '        publicKey: AA+/=',
        '        corax: "0.1: x, {y}"',
      ],
    ],
    [
      'maps in braces',
      [
        'spec: {endpoints: [{nodeName: a, type: proxy}, {nodeName: a, type: tunnel, config: {}}, {nodeName: b, type: tunnel}]}',
      ],
      [
        'spec: {endpoints: [{nodeName: a, type: proxy}, {nodeName: a, type: tunnel, config: { publicKey: AA+/=, corax: "0.1: x, {y}" }, natType: Full cone NAT, publicPort: 4500}, {nodeName: b, type: tunnel}]}',
      ],
    ],
    [
      'braces without config',
      ['spec:', '  endpoints:', '    - {nodeName: a, type: tunnel}   # short'],
      [
        'spec:',
        '  endpoints:',
        '    - {nodeName: a, type: tunnel, natType: Full cone NAT, publicPort: 4500, config: { publicKey: AA+/=, corax: "0.1: x, {y}" }}   # short',
      ],
    ],
  ];
  for (const [title, before, after] of table) {
    test(title, () => {
      assert.equal(edited(lines(...before), set), lines(...after));
      const dos = (text: string) => text.replaceAll('\n', '\r\n');
      assert.equal(edited(dos(lines(...before)), set), dos(lines(...after)));
      // Once more there is nothing to do.
      assert.equal(edited(lines(...after), set), null);
    });
  }

  test('no line end at the end of the file', () => {
    const text = lines('spec:', '  endpoints:', '    - nodeName: a', '      type: tunnel').trimEnd();
    assert.equal(edited(text, { publicPort: 4500 }), `${text}\n      publicPort: 4500`);
  });

  test('a byte order mark stays', () => {
    const text = `\ufeff${lines('spec:', '  endpoints:', '    - nodeName: a', '      type: tunnel')}`;
    assert.equal(edited(text, { publicPort: 4500 }), `${text}      publicPort: 4500\n`);
  });

  test('keys that mean something in JavaScript', () => {
    const text = lines('spec:', '  endpoints:', '    - nodeName: a', '      type: tunnel');
    const config = JSON.parse('{"__proto__": "x", "constructor": "y", "null": "z", "1": "one"}');
    const result = edited(text, { config }) ?? assert.fail();
    assert.match(result, /__proto__: x\n/);
    assert.equal(edited(result, { config }), null);
  });
});

describe('editing what cannot be edited in place', () => {
  test('block text and tags are printed anew, comments and order kept', () => {
    const text = lines(
      '# top',
      'spec:',
      '  endpoints:',
      '    # the only one',
      '    - type: tunnel',
      '      nodeName: a',
      '      natType: >-',
      '        Symmetric',
      '        NAT',
      '  exposeType: PublicIP # so',
    );
    const result = edited(text, { natType: 'Full cone NAT', publicPort: 4500 }) ?? assert.fail();
    assert.deepEqual(result.match(/#.*$/gm), ['# top', '# the only one', '# so']);
    assert.deepEqual(parse(result).spec, {
      endpoints: [{ type: 'tunnel', nodeName: 'a', natType: 'Full cone NAT', publicPort: 4500 }],
      exposeType: 'PublicIP',
    });
  });

  for (const [title, endpoints] of [
    [
      'a config that others share',
      ['    - {nodeName: a, type: tunnel, config: &c {k: v}}', '    - {nodeName: b, type: tunnel, config: *c}'],
    ],
    ['an endpoint that is shared', ['    - &e {nodeName: a, type: tunnel}', 'other: *e']],
  ] as const) {
    test(`${title} is left alone, with a reason`, () => {
      assert.throws(
        () => edited(lines('spec:', '  endpoints:', ...endpoints), { config: { k: 'w' } }),
        /anchors, aliases/,
      );
    });
  }

  test('a config that is an alias becomes a map of its own', () => {
    const shared = [
      '    - {nodeName: b, type: tunnel, config: &c {k: v, l: m}}',
      '    - {nodeName: a, type: tunnel, config: *c}',
    ];
    const result = edited(lines('spec:', '  endpoints:', ...shared), { config: { k: 'w' } }) ?? assert.fail();
    const configs = parse(result).spec.endpoints.map(({ config }: { config: object }) => config);
    assert.deepEqual(configs, [
      { k: 'v', l: 'm' },
      { k: 'w', l: 'm' },
    ]);
  });

  test('an alias elsewhere is no bar', () => {
    const text = lines('x: &x {k: v}', 'y: *x', 'spec:', '  endpoints:', '    - {nodeName: a, type: tunnel}');
    assert.match(edited(text, { publicPort: 1 }) ?? '', /y: \*x\n(?:.|\n)*publicPort: 1/);
  });

  test('broken text', () => {
    assert.throws(() => edited('a: [', {}), DocumentError);
    assert.throws(() => editDocument('{', 'json', patch({})), DocumentError);
  });

  for (const text of [
    'hello',
    '- a',
    'metadata: {name: g}',
    lines('spec: 5'),
    lines('spec: {endpoints: [null, 5, {nodeName: b, type: tunnel}]}'),
    lines('spec: {endpoints: [{nodeName: a, type: proxy}]}'),
    lines('spec: {endpoints: [{nodeName: a, type: tunnel}]}').replace('name: g', 'name: h'),
  ]) {
    test(`no such endpoint: ${JSON.stringify(text.slice(-60))}`, () => {
      assert.deepEqual(editDocument(text, 'yaml', patch({ publicPort: 1 })), { found: false });
    });
  }
});

describe('editing anything', () => {
  const scalar = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 12 }),
    fc.constantFrom('', 'yes', '1', 'null', '~', 'a: b', '#', "it's", '"', '- x', '0x10', '|', 'a\nb'),
  );
  const key = fc.oneof(fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9./-]{0,8}$/), fc.constantFrom('__proto__', 'other'));
  const config = fc.dictionary(key, scalar, { maxKeys: 4, noNullPrototype: true });
  const set = fc.record(
    {
      natType: fc.constantFrom('Symmetric NAT' as const, 'Undefined' as const),
      publicIP: fc.constant(publicIP),
      publicPort: fc.integer({ min: 1, max: 65535 }),
      config,
    },
    { requiredKeys: [] },
  );
  const endpoint = fc.record(
    {
      port: fc.nat(65535),
      natType: fc.constantFrom('', 'Symmetric NAT'),
      config: fc.option(config),
      publicIP: scalar,
      weird: scalar,
    },
    { requiredKeys: [] },
  );
  const style = fc.record({
    indent: fc.constantFrom(2, 4),
    indentSeq: fc.boolean(),
    collectionStyle: fc.constantFrom('any' as const, 'block' as const, 'flow' as const),
    defaultStringType: fc.constantFrom('PLAIN' as const, 'QUOTE_DOUBLE' as const, 'QUOTE_SINGLE' as const),
  });

  test('sets these fields of this endpoint, and nothing else changes', () => {
    fc.assert(
      fc.property(
        set,
        fc.array(endpoint, { minLength: 1, maxLength: 3 }),
        style,
        fc.constantFrom('yaml', 'json') as fc.Arbitrary<'yaml' | 'json'>,
        (fields, endpoints, options, format) => {
          const gateway: GatewayFile = gatewayFile('g', 1);
          gateway.spec.endpoints = endpoints.map((rest, index) => ({
            nodeName: 'abc'[index],
            type: 'tunnel',
            ...rest,
          }));
          const text = format === 'json' ? JSON.stringify(gateway, null, options.indent) : stringify(gateway, options);
          const expected = structuredClone(gateway);
          const target = expected.spec.endpoints[0] as Record<string, unknown>;
          const { config: keys = {}, ...plain } = fields;
          Object.assign(target, plain);
          if (Object.keys(keys).length > 0) target.config = { ...(target.config as object | null), ...keys };
          const result = editDocument(text, format, patch(fields));
          assert.ok(result.found);
          const after = parse(result.text ?? text);
          assert.deepEqual(after, JSON.parse(JSON.stringify(expected)));
          assert.equal(result.text === null, JSON.stringify(expected) === JSON.stringify(gateway));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
