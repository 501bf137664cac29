/** Every test of lab/cluster: whole gateways, of several nodes. CORAX_LAB_TESTS="moves" picks files as it does for the lab. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, runFiles } from '../lab/run-files.js';

const wanted = (process.env.CORAX_LAB_TESTS ?? '').split(/\s+/).filter((word) => word !== '');
const files = readdirSync(join(ROOT, 'lab/cluster'))
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
  .sort()
  .map((file) => ({ source: `lab/cluster/${file}`, built: `dist/lab/cluster/${file.replace(/ts$/, 'js')}` }));

// Who picks others has none here.
if (files.length > 0) test('cluster', (t) => runFiles(t, files));
