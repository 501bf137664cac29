import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { retryAfterMs } from '#src/store/kubernetes/api.js';
import { isLater } from '#src/store/kubernetes/gateways.js';
import { endpointChange, type PatchOperation, sameGround } from '#src/store/kubernetes/patch.js';

type Json = Record<string, unknown>;

/** RFC 6902, as far as it is used; undefined where a test fails or a path leads nowhere. */
function applyPatch(object: Json, operations: readonly PatchOperation[]): Json | undefined {
  const result = structuredClone(object);
  for (const { op, path, value } of operations) {
    const keys = path
      .split('/')
      .slice(1)
      .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = keys.pop() as string;
    const parent = keys.reduce<Json | null | undefined>((at, key) => at?.[key] as Json | null | undefined, result);
    if (typeof parent !== 'object' || parent === null) return undefined;
    const there = Object.hasOwn(parent, last);
    if (op === 'test' && !(there && isDeepStrictEqual(parent[last], value))) return undefined;
    if (op === 'replace' && !there) return undefined;
    if (op !== 'test') parent[last] = value;
  }
  return result;
}

const key = fc.constantFrom('publicKey', 'probeAddress', 'corax', 'a/b', 'a~1b', '~');
const config = fc.dictionary(key, fc.constantFrom('', 'x', 'y'), { maxKeys: 4, noNullPrototype: true });
const endpoint = fc.record(
  {
    nodeName: fc.constantFrom('n1', 'n2', 'n3'),
    type: fc.constantFrom('tunnel', 'proxy'),
    natType: fc.constantFrom('', 'Symmetric NAT'),
    publicIP: fc.constantFrom('192.0.2.1', '192.0.2.2'),
    publicPort: fc.constantFrom(0, 4500),
    config: fc.oneof(config, fc.constant(null)),
    ofOthers: fc.jsonValue(),
  },
  { requiredKeys: ['nodeName', 'type'], noNullPrototype: true },
);
const endpoints = fc.array(endpoint, { maxLength: 4 });
const set = fc.record(
  {
    natType: fc.constantFrom('Symmetric NAT', 'Full cone NAT'),
    publicIP: fc.constantFrom('192.0.2.1', '192.0.2.9'),
    publicPort: fc.constantFrom(4500, 4600),
    config,
  },
  { requiredKeys: [], noNullPrototype: true },
);
// biome-ignore lint/suspicious/noExplicitAny: plain text where the model has checked values
const change = (list: unknown, fields: unknown) => endpointChange(list, 'n1', fields as any);

/** What the endpoint must be afterwards. */
function expected(before: Json, { config: keys, ...fields }: Json): Json {
  const merged = { ...before, ...fields };
  if (Object.keys(keys ?? {}).length > 0) merged.config = { ...(before.config as Json | null), ...(keys as Json) };
  return merged;
}

const find = (list: readonly Json[]) => list.findIndex(({ nodeName, type }) => nodeName === 'n1' && type === 'tunnel');

test('the patch changes that endpoint as asked, and nothing else; where nothing changes there is none', () => {
  fc.assert(
    fc.property(endpoints, set, (list, fields) => {
      const index = find(list);
      const result = change(list, fields);
      if (index < 0) return assert.equal(result.kind, 'missing');
      const wanted = list.map((each, at) => (at === index ? expected(each, fields) : each));
      if (result.kind === 'unchanged') return assert.deepEqual(wanted, list);
      assert.ok(result.kind === 'patch');
      assert.notDeepEqual(wanted, list);
      const object = { metadata: { name: 'gw' }, spec: { endpoints: list, proxyConfig: 1 } };
      assert.deepEqual(applyPatch(object, result.operations), {
        metadata: { name: 'gw' },
        spec: { endpoints: wanted, proxyConfig: 1 },
      });
    }),
    { numRuns: 2000 },
  );
});

test('applied to anything that was changed meanwhile it loses none of it: it fails, or what it wrote over was the same', () => {
  fc.assert(
    fc.property(endpoints, endpoints, set, (list, later, fields) => {
      const result = change(list, fields);
      if (result.kind !== 'patch') return;
      const applied = applyPatch({ spec: { endpoints: later } }, result.operations);
      if (applied === undefined) return;
      const before = later[result.index] as Json;
      const seen = list[result.index] as Json;
      assert.deepEqual([before.nodeName, before.type], ['n1', 'tunnel'], 'another endpoint was written');
      for (const [name, value] of Object.entries(fields)) {
        if (name !== 'config' && seen[name] !== value) assert.deepEqual([name, before[name]], [name, seen[name]]);
      }
      const written = Object.keys((fields as { config?: Json }).config ?? {}).filter(
        (name) => (seen.config as Json | null)?.[name] !== (fields as { config: Json }).config[name],
      );
      for (const name of written) assert.equal((before.config as Json)?.[name], (seen.config as Json | null)?.[name]);
    }),
    { numRuns: 5000 },
  );
});

test('operations, in order', () => {
  const at = (name: string) => `/spec/endpoints/1/${name}`;
  const who: PatchOperation[] = [
    { op: 'test', path: at('nodeName'), value: 'n1' },
    { op: 'test', path: at('type'), value: 'tunnel' },
  ];
  const proxy = { nodeName: 'n1', type: 'proxy', publicPort: 1 };
  const own = { nodeName: 'n1', type: 'tunnel', publicPort: 1, config: { k: 'old', 'a/b~': 'same' } };
  const cases: Array<[object, object, PatchOperation[]]> = [
    [
      own,
      { publicPort: 2, config: { k: 'new', 'a/b~': 'same' } },
      [
        ...who,
        { op: 'test', path: at('publicPort'), value: 1 },
        { op: 'test', path: at('config/k'), value: 'old' },
        { op: 'replace', path: at('publicPort'), value: 2 },
        { op: 'replace', path: at('config/k'), value: 'new' },
      ],
    ],
    [
      own,
      { config: { 'x/y~z': 'v' } },
      [
        ...who,
        { op: 'test', path: '/spec/endpoints/1', value: own },
        { op: 'add', path: at('config/x~1y~0z'), value: 'v' },
      ],
    ],
    [
      { nodeName: 'n1', type: 'tunnel' },
      { natType: 'Symmetric NAT', config: { k: 'v' } },
      [
        ...who,
        { op: 'test', path: '/spec/endpoints/1', value: { nodeName: 'n1', type: 'tunnel' } },
        { op: 'add', path: at('natType'), value: 'Symmetric NAT' },
        { op: 'add', path: at('config'), value: { k: 'v' } },
      ],
    ],
  ];
  for (const [endpoint, fields, operations] of cases) {
    assert.deepEqual(change([proxy, endpoint], fields), { kind: 'patch', index: 1, operations });
  }
  for (const odd of [undefined, null, {}, 'x', [], [null, 5, 'n1'], [proxy]]) {
    assert.deepEqual(change(odd, { publicPort: 2 }), { kind: 'missing' });
  }
  for (const nothing of [{}, { config: {} }, { publicPort: 1 }, { config: { k: 'old' } }, { publicIP: undefined }]) {
    assert.deepEqual(change([proxy, own], nothing), { kind: 'unchanged' }, JSON.stringify(nothing));
  }
});

test('the ground of a patch is its endpoint, where it stands', () => {
  const [a, b] = [
    { nodeName: 'n1', type: 'tunnel' },
    { nodeName: 'n2', type: 'tunnel' },
  ];
  assert.ok(sameGround([a, b], [a, { ...b, publicPort: 1 }], 'n1'));
  assert.ok(!sameGround([a, b], [b, a], 'n1'));
  assert.ok(!sameGround([a, b], [{ ...a, publicPort: 1 }, b], 'n1'));
  assert.ok(!sameGround([a], undefined, 'n1'));
});

test('Retry-After: seconds or a date (RFC 9110 10.2.3)', () => {
  const now = Date.parse('2030-01-01T00:00:00Z');
  const cases: Array<[string | string[] | undefined, number | null]> = [
    ['0', 0],
    ['7', 7000],
    ['Tue, 01 Jan 2030 00:00:09 GMT', 9000],
    ['Mon, 31 Dec 2029 00:00:00 GMT', 0],
    [undefined, null],
    ['', null],
    ['-1e', null],
    ['soon', null],
    [['1', '2'], null],
  ];
  for (const [value, expected] of cases) assert.equal(retryAfterMs(value, now), expected, String(value));
});

test('resource versions', () => {
  const cases: Array<[string, string, boolean]> = [
    ['10', '9', true],
    ['9', '10', false],
    ['9', '9', false],
    ['9007199254740993', '9007199254740992', true],
    ['x', '9', true],
    ['9', '', true],
  ];
  for (const [version, than, expected] of cases) assert.equal(isLater(version, than), expected, `${version} ${than}`);
});
