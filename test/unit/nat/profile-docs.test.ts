/** docs/netcheck.md lists what a profile has, and nothing else. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { statusJsonSchema } from '#src/model/status.js';
import { profileOf } from '#src/nat/profile.js';

test('docs/netcheck.md names every key of a profile, and status has them all but the latest mapping', () => {
  const page = readFileSync(new URL('../../../docs/netcheck.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name ?? '').sort();
  assert.deepEqual(listed, Object.keys(profileOf([])).sort());
  const schema = JSON.stringify(statusJsonSchema());
  for (const key of listed) assert.equal(schema.includes(`"${key}":`), key !== 'latest', key);
});
