/**
 * Every test of lab/test. CORAX_LAB_TESTS="agent pairs" picks files by a part of their name; CORAX_LAB_LOGS keeps
 * the agents' logs.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type LabTestFile, ROOT, runFiles } from './run-files.js';

/** Sources and what they are built to. */
function testFiles(): LabTestFile[] {
  const wanted = (process.env.CORAX_LAB_TESTS ?? '').split(/\s+/).filter((word) => word !== '');
  const list = (folder: string, ending: string, built: string): LabTestFile[] =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith(ending))
      .filter((file) => wanted.length === 0 || wanted.some((word) => file.includes(word)))
      .sort()
      .map((file) => ({ source: `${folder}/${file}`, built: `${built}/${file.replace(/ts$/, 'js')}` }));
  return [
    ...list('test/native', '.kernel.test.ts', 'dist/lab/kernel-tests'),
    ...list('lab/test', '.test.ts', 'dist/lab/test'),
  ];
}

test('lab', (t) => runFiles(t, testFiles()));
