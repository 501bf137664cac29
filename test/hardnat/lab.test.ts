/** NATs that let no packet in first, in the lab: lab/hardnat. CORAX_LAB_TESTS picks files by a part of their name. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT, runFiles } from '../lab/run-files.js';

const wanted = (process.env.CORAX_LAB_TESTS ?? '').split(/\s+/).filter((word) => word !== '');
const files = readdirSync(join(ROOT, 'lab/hardnat'))
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
  .sort()
  .map((file) => ({ source: `lab/hardnat/${file}`, built: `dist/lab/hardnat/${file.replace(/ts$/, 'js')}` }));

test('hard NATs in the lab', (t) => runFiles(t, files));
