import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acceptsGzip, chooseFormat, escapeLabel, type Format, formatValue } from '#src/telemetry/format.js';

const PROMETHEUS =
  'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';

const ACCEPTS: ReadonlyArray<readonly [string | undefined, Format]> = [
  [undefined, 'text'],
  ['', 'text'],
  ['*/*', 'text'],
  ['text/html, */*;q=0.8', 'text'],
  [PROMETHEUS, 'openmetrics'],
  ['application/openmetrics-text', 'openmetrics'],
  ['Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', 'openmetrics'],
  ['application/openmetrics-text;version=0.0.1', 'text'],
  ['application/openmetrics-text;version=1.0.0;q=0.2,text/plain;version=0.0.4;q=0.9', 'text'],
  ['application/openmetrics-text;version=1.0.0;q=0', 'text'],
  ['application/openmetrics-text;version=1.0.0;q=yes', 'text'],
  ['text/plain, application/openmetrics-text;version=1.0.0', 'openmetrics'],
];

test('the form that is asked for', () => {
  for (const [accept, format] of ACCEPTS) assert.equal(chooseFormat(accept), format, `${accept}`);
});

test('gzip only for who says so', () => {
  const cases: ReadonlyArray<readonly [string | undefined, boolean]> = [
    [undefined, false],
    ['gzip', true],
    ['br, GZIP;q=0.5', true],
    ['gzip;q=0', false],
    ['identity', false],
    ['*', false],
    ['xgzip', false],
  ];
  for (const [accepts, yes] of cases) assert.equal(acceptsGzip(accepts), yes, `${accepts}`);
});

test('no header makes them throw', () => {
  fc.assert(
    fc.property(fc.string(), (header) => {
      assert.ok(['text', 'openmetrics'].includes(chooseFormat(header)));
      assert.equal(typeof acceptsGzip(header), 'boolean');
    }),
  );
});

test('label values are escaped', () => {
  assert.equal(escapeLabel('a"b\\c\nd é 🐦'), 'a\\"b\\\\c\\nd é 🐦');
});

test('values as Prometheus reads them', () => {
  const cases: ReadonlyArray<readonly [number, string]> = [
    [0, '0'],
    [1.5, '1.5'],
    [1e21, '1e+21'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, '+Inf'],
    [Number.NEGATIVE_INFINITY, '-Inf'],
  ];
  for (const [value, text] of cases) assert.equal(formatValue(value), text);
});
