/** status --watch: what it says, and the command itself on a real terminal and on a pipe. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { heard, notHeard, notice, renderFrame } from '#src/cli/watch.js';
import { serveControl } from '#src/telemetry/control.js';
import { edgeStatus, NOW, peerStatus } from './fixtures.js';

const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'corax-watch-'));
const socket = path.join(folder, 'agent.sock');
after(() => rmSync(folder, { recursive: true, force: true }));

const answer = (status = edgeStatus()) => ({ value: status, raw: status });

test('what is told of an agent that goes and comes again', () => {
  const first = heard(null, answer(), NOW);
  assert.equal(notice(first, NOW), null);
  const gone = notHeard(
    notHeard(first, new Error('no agent\u001b[2J answers'), NOW + 1),
    new Error('still none'),
    NOW + 2,
  );
  assert.match(
    notice(gone, NOW + 3) ?? '',
    /^the agent does not answer since [\d:]{8} \(still none\); what it said at/,
  );
  assert.equal(gone.lost?.since, NOW + 1, 'since the first time');
  const back = heard(gone, answer(), NOW + 4);
  assert.equal(notice(back, NOW + 4), null, 'it only was slow');
  const restarted = heard(gone, answer(edgeStatus({ startedAt: NOW + 3 })), NOW + 5);
  assert.match(notice(restarted, NOW + 5) ?? '', /^the agent was restarted: noticed at [\d:]{8}, up 2 s$/);
  assert.equal(notice(restarted, NOW + 300), null, 'old news');
  assert.ok(!(notice(notHeard(first, new Error('\u001b[2J'), NOW), NOW) ?? '').includes('\u001b'));
});

test('a page is cut where the terminal ends, and says so', () => {
  const peers = Array.from({ length: 50 }, (_, index) => peerStatus({ gateway: `gw-${index}` }));
  const known = heard(null, answer(edgeStatus({ peers })), NOW);
  const lines = renderFrame(known, { columns: 80, color: false }, 20, 1000, NOW);
  assert.equal(lines.length, 20);
  assert.match(lines.at(-1) ?? '', /^… \d+ more lines/);
  const all = renderFrame(known, { columns: 80, color: false }, 500, 1000, NOW);
  assert.ok(!all.some((line) => line.startsWith('…')));
});

let startedAt = NOW - 7200;
const serve = () =>
  serveControl(socket, { status: () => edgeStatus({ startedAt }), explain: () => null }, (error) =>
    assert.fail(String(error)),
  );

/** Collects what is written, and lets wait for it. */
function reading(stream: NodeJS.ReadableStream) {
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    text += chunk;
  });
  return {
    get text() {
      return text;
    },
    async until(pattern: RegExp): Promise<void> {
      while (!pattern.test(text)) await once(stream, 'data');
    },
  };
}

const words = ['-C', 'corax-source', '--import', 'tsx', main, 'status', '--watch', '0.1', '--socket', socket];

async function restartAgent(server: Awaited<ReturnType<typeof serve>>, away: () => Promise<void>) {
  await server.close();
  await away();
  startedAt += 3600;
  return serve();
}

async function ended(child: ChildProcess): Promise<[number | null, NodeJS.Signals | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  return [child.exitCode, child.signalCode];
}

test('on a pipe: page after page, one line while the agent is away, 130 on SIGINT', async () => {
  let server = await serve();
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const out = reading(child.stdout);
  await out.until(/(?:^--- [\d-]+T[\d:.]+Z\nnode {3}edge-a[\s\S]*){2}/m);
  server = await restartAgent(server, () => out.until(/^--- \S+ the agent does not answer since/m));
  await out.until(/^--- \S+ the agent was restarted: noticed at .*\nnode {3}edge-a/m);
  child.kill('SIGINT');
  assert.deepEqual(await ended(child), [130, null]);
  assert.equal(out.text.match(/does not answer/g)?.length, 1);
  assert.ok(!out.text.includes('\u001b'));
  await server.close();
});

test('as JSON: a document a line, and news on standard error', async () => {
  let server = await serve();
  const child = spawn(process.execPath, [...words, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = [reading(child.stdout), reading(child.stderr)];
  await out.until(/\n.*\n/);
  server = await restartAgent(server, () => err.until(/the agent does not answer/));
  await err.until(/corax: the agent was restarted/);
  child.kill('SIGTERM');
  assert.deepEqual(await ended(child), [143, null]);
  for (const line of out.text.trimEnd().split('\n')) assert.equal(JSON.parse(line).node, 'edge-a');
  await server.close();
});

test('on a terminal: drawn in place, and put back on Ctrl-C', async () => {
  let server = await serve();
  const command = [process.execPath, ...words].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const out = reading(child.stdout);
  await out.until(/\[\?1049h[\s\S]*(?:\[H[\s\S]*edge-a[\s\S]*){2}/);
  server = await restartAgent(server, () => out.until(/the agent does not answer since/));
  await out.until(/the agent was restarted/);
  // The terminal's line discipline makes a SIGINT of it
  child.stdin.write('\u0003');
  assert.deepEqual(await ended(child), [130, null]);
  const [, left = ''] = out.text.split('\u001b[?1049l');
  assert.ok(out.text.includes('\u001b[?25h'), 'the cursor is back');
  assert.match(stripVTControlCharacters(left), /^node {3}edge-a, edge of gw-a/m, 'what was seen last stays');
  assert.ok(!left.includes('\u001b[H'));
  await server.close();
});

test('nobody there, or what does not go together: 1', async () => {
  const cases: Array<[string[], RegExp]> = [
    [words, /no agent answers on/],
    [[...words, '--check'], /'--watch \[seconds\]' cannot be used with option '--check'/],
    [[...words.slice(0, -3), '0', '--socket', socket], /expected seconds, from 0\.1 to 3600/],
  ];
  for (const [args, message] of cases) {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const err = reading(child.stderr);
    assert.equal((await ended(child))[0], 1);
    assert.match(err.text, message);
  }
});
