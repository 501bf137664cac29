/** What is written for pluto and read of it, as text. */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { codeOf } from '#src/errors.js';
import { Secret } from '#src/model/secret.js';
import type { NativeError, PlutoCommand } from '#src/native.js';
import { readBook, writeBook } from '#src/tunnel/libreswan/book.js';
import { deviceFailure } from '#src/tunnel/libreswan/devices.js';
import { LogWatch, refusedIn } from '#src/tunnel/libreswan/log-watch.js';
import { refusalIn } from '#src/tunnel/libreswan/pluto-client.js';
import { plutoFiles, secretsText } from '#src/tunnel/libreswan/pluto-files.js';
import { parseLines, whackArguments } from '#src/tunnel/libreswan/whack.js';

const LINE =
  'Nov 25 03:32:29.187430: "w"[1] 203.0.113.20 #9: responding to IKE_AUTH message (ID 1) from 203.0.113.20:22863 with encrypted notification AUTHENTICATION_FAILED\n';

const ADD: PlutoCommand = {
  op: 'connection',
  name: 'n',
  delete: true,
  add: {
    local: { id: '@a', host: '192.0.2.1', ikePort: null, client: '10.1.0.0/24' },
    remote: { id: '@b', host: null, ikePort: 4500, client: '10.2.0.0/24' },
    dpdDelayS: 5,
    dpdAction: 'clear',
    retransmitTimeoutS: 10,
    retransmitIntervalMs: 500,
    ifId: 4500,
    reqid: 7,
    ike: null,
    esp: null,
  },
  route: true,
  initiate: true,
};

test("the key's file: raven's one line; what it cannot hold is refused", () => {
  assert.equal(secretsText(new Secret("it's a key")), '%any %any : PSK "it\'s a key"\n');
  for (const text of ['a"b', 'a\nb', 'a\rb']) {
    assert.throws(
      () => secretsText(new Secret(text)),
      (error) => codeOf(error) === 'CORAX_PSK',
    );
  }
});

test('a state folder too deep for a socket is told at the start', () => {
  assert.throws(() => plutoFiles(`/${'x'.repeat(100)}`), /too long a path/);
  assert.equal(plutoFiles('/var/lib/corax').socket, '/var/lib/corax/pluto/run/pluto.ctl');
});

test('a kernel that cannot have the devices: what it lacks is said', () => {
  const failure = (errnoName: string) => Object.assign(new Error('RTM_NEWLINK'), { errnoName }) as NativeError;
  assert.match(
    deviceFailure(failure('EOPNOTSUPP')).message,
    /neither XFRM interfaces .* nor dummy devices .*--driver libreswan/,
  );
  assert.equal(deviceFailure(failure('EPERM')).message, 'RTM_NEWLINK');
});

test("whack's words for a command, one call a step, before 5.0 and since", () => {
  const calls = whackArguments('4.15', ADD);
  assert.deepEqual(
    calls.map(([first]) => first),
    ['--delete', '--forceencaps', '--route', '--initiate'],
  );
  assert.ok(
    calls.every((words) => words.join(' ').includes('--name n')),
    'never one without a name',
  );
  const add = calls[1]?.join(' ') ?? '';
  assert.match(
    add,
    /--dpdaction clear .*--host 192.0.2.1 .* --to --id @b --host %any --client 10.2.0.0\/24 --ikeport 4500/,
  );
  const since5 = whackArguments('5.3', ADD)[1]?.join(' ') ?? '';
  assert.ok(since5.includes('--encapsulation=yes') && !since5.includes('--dpdaction'));
  assert.deepEqual(whackArguments('5.3', { op: 'listen' }), [['--listen']]);
});

test('replies: lines with a code; a refusal is one of 20–99, but for nothing to delete', () => {
  const lines = parseLines(
    '002 "n": added IKEv2 connection\nwhack: something\n021 no connection named "n"\n181 going\n',
  );
  assert.deepEqual(
    lines.map(({ code }) => code),
    [2, 21, 181],
  );
  assert.equal(refusalIn({ lines }), null);
  assert.equal(refusalIn({ lines: [...lines, { code: 36, text: 'failed to add' }] }), 'failed to add');
});

test('who was refused, out of the log', async (t) => {
  assert.deepEqual(refusedIn(`x\n${LINE}${LINE.replaceAll('203.0.113.20:', '2001:db8::1:')}y`), [
    '203.0.113.20',
    '2001:db8::1',
  ]);
  assert.deepEqual(refusedIn(''), []);

  const folder = await mkdtemp(join(tmpdir(), 'corax-log-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'log');
  const watch = new LogWatch(path);
  await watch.look(1);
  await writeFile(path, LINE);
  await watch.look(2);
  await appendFile(path, LINE + LINE);
  await watch.look(3);
  await watch.look(4);
  assert.deepEqual([...watch.rogues], [{ from: '203.0.113.20', times: 3, since: 2 }]);
  // Hosts are many, and the table of them is not.
  await appendFile(
    path,
    Array.from({ length: 100 }, (_, n) => LINE.replace('from 203.0.113.20', `from 192.0.2.${n}`)).join(''),
  );
  await watch.look(5);
  assert.equal([...watch.rogues].find(({ from }) => from === 'others')?.times, 100 - 63);
  assert.equal(watch.times, 103);
  await appendFile(path, 'x'.repeat(9 * 1024 * 1024));
  await watch.look(6);
  assert.equal((await stat(path)).size, 0, 'it does not grow for ever');

  const before = new LogWatch(path);
  await writeFile(path, LINE);
  await before.look(1);
  assert.deepEqual([...before.rogues], [], 'what was there before does not count');
});

test('the book: what was written is read; what is none is nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'corax-book-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'connections.json');
  assert.equal(await readBook(path), null);
  const book = { pluto: 'boot 7 1', peers: [], carries: [], standing: [], pending: ['n'] };
  await writeBook(path, book);
  assert.deepEqual(await readBook(path), { version: 1, ...book });
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  for (const text of [
    '',
    '{',
    '[]',
    '{"version":2}',
    JSON.stringify({ ...book, version: 1, standing: [{ reqid: 0 }] }),
  ]) {
    await writeFile(path, text);
    assert.equal(await readBook(path), null, text);
  }
});
