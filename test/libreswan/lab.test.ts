/** Agents with Debian's pluto: every test of lab/libreswan. CORAX_LAB_TESTS picks files by a part of their name. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LabTestFile, ROOT, runFiles } from '../lab/run-files.js';

const FOLDER = 'lab/libreswan';

function testFiles(): LabTestFile[] {
  const wanted = (process.env.CORAX_LAB_TESTS ?? '').split(/\s+/).filter((word) => word !== '');
  return readdirSync(join(ROOT, FOLDER))
    .filter((file) => file.endsWith('.test.ts'))
    .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
    .sort()
    .map((file) => ({ source: `${FOLDER}/${file}`, built: `dist/${FOLDER}/${file.replace(/ts$/, 'js')}` }));
}

test('libreswan in the lab', (t) => runFiles(t, testFiles(), { driver: 'libreswan' }));
