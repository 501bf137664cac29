import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OPTION_KEYS, OPTIONS, splitHostPort } from '#src/config/options.js';

test('whatever the text, a setting is read or refused, and what was read is read again as the same', () => {
  const shaped = fc.oneof(
    fc.string(),
    fc.stringMatching(/^[a-z0-9.:[\]_-]{0,40}$/),
    fc.ipV4().map((ip) => `${ip}:80`),
    fc.ipV6().map((ip) => `[${ip}]:80`),
  );
  fc.assert(
    fc.property(shaped, fc.constantFrom(...OPTION_KEYS), (text, key) => {
      const { schema } = OPTIONS[key];
      const first = schema.safeParse(key === 'stun' ? [text] : text);
      if (!first.success || typeof first.data !== 'string') return;
      assert.deepEqual(schema.safeParse(first.data).data, first.data);
    }),
    { numRuns: 2000 },
  );
});

test('anything that is no text is refused, never thrown on', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...OPTION_KEYS), (value, key) => {
      const { success } = OPTIONS[key].schema.safeParse(value);
      if (typeof value !== 'string' && !Array.isArray(value)) assert.equal(success, false);
    }),
  );
});

test('host and port', () => {
  const cases: Array<[string, unknown]> = [
    ['a:1', { host: 'a', port: 1 }],
    [':65535', { host: '', port: 65535 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['[a]:80', undefined],
    ['[192.0.2.1]:80', undefined],
    ['[]:80', undefined],
    ['::1:80', undefined],
    ['a:0', undefined],
    ['a:65536', undefined],
    ['a:1e3', undefined],
    ['a', undefined],
    ['a:', undefined],
    ['a:1\n', undefined],
  ];
  for (const [text, expected] of cases) assert.deepEqual(splitHostPort(text), expected, text);
});
