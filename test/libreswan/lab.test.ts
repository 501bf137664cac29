/** Agents with Debian's pluto: every test of lab/libreswan. CORAX_LAB_TESTS picks files by a part of their name. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chooseLane } from '../../lab/setting.js';
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

const lane = await chooseLane('libreswan');
const files = testFiles();
/** Takes a module out of the kernel: never out of the host's. */
const apart = lane === 'vm' ? [] : files.filter(({ source }) => source.endsWith('/one-plane.test.ts'));
const rest = files.filter((file) => !apart.includes(file));

if (rest.length > 0 || apart.length === 0) test('libreswan in the lab', (t) => runFiles(t, rest, { lane }));
if (apart.length > 0) test('libreswan in the micro-VM', (t) => runFiles(t, apart, { lane: 'vm' }));
