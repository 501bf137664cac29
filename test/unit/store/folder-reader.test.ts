import assert from 'node:assert/strict';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { Catalogue } from '#src/store/catalogue.js';
import { type ReadDocument, readDocument } from '#src/store/document.js';
import { DocumentThread } from '#src/store/document-thread.js';
import { FolderReader } from '#src/store/folder-reader.js';
import { gatewayFile } from './recorder.js';

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'corax-reader-'));
  t.after(() => rm(folder, { recursive: true }));
  const catalogue = new Catalogue();
  const state = { failing: true, reads: 0 };
  const thread = {
    read: async (text: string): Promise<ReadDocument> => {
      state.reads += 1;
      if (!state.failing) return readDocument(text, 'yaml', 'a');
      return { ok: false, name: 'a', reason: 'the thread that reads big files ended', line: null, passing: true };
    },
  };
  const reader = new FolderReader(folder, catalogue, thread as unknown as DocumentThread);
  const put = async (site: number) => {
    const path = join(folder, 'a.yaml');
    await writeFile(path, stringify(gatewayFile('gw-a', site)));
    // Long ago, so that its signature counts.
    await utimes(path, site, site);
  };
  const look = () => reader.look(['a.yaml'], new Set(), () => false);
  return { catalogue, state, put, look };
}

test('what failed for no fault of the file is read again, and is good when it works', async (t) => {
  const { catalogue, state, put, look } = await open(t);
  await put(1);
  await look();
  assert.match(catalogue.take().refused[0]?.reason ?? '', /thread/);
  state.failing = false;
  await look();
  assert.equal(catalogue.take().upserted[0]?.name, 'gw-a');
  await look();
  assert.equal(state.reads, 2, 'and then not again');
});

test('a file whose reading never ends is not read for ever, but when it changes', async (t) => {
  const { catalogue, state, put, look } = await open(t);
  await put(1);
  for (let times = 0; times < 10; times++) await look();
  assert.equal(state.reads, 3);
  assert.equal(catalogue.take().refused.length, 1);
  await put(2);
  for (let times = 0; times < 10; times++) await look();
  assert.equal(state.reads, 6);
  state.failing = false;
  await put(3);
  await look();
  assert.equal(catalogue.take().upserted[0]?.subnets[0], '10.64.3.0/24');
});

test('a reading that did not come to its end is told from a bad document', async (t) => {
  const thread = new DocumentThread(1);
  t.after(() => thread.close());
  const text = stringify(gatewayFile('gw-a', 1)).padEnd(20_000, '\n# long');
  const late = await thread.read(text, 'yaml', 'a');
  assert.deepEqual([late.ok, !late.ok && late.passing], [false, true]);
  const patient = new DocumentThread();
  t.after(() => patient.close());
  const bad = await patient.read(`${text}\nkind: [`, 'yaml', 'a');
  assert.deepEqual([bad.ok, !bad.ok && (bad.passing ?? false)], [false, false]);
});
