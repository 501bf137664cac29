/** `npm run demo` as a person runs it: what it reports, and that a kill leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { PairResult } from '../../lab/demo/events.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HANGS = { timeout: 20 * 60_000 };

function demo(...words: string[]) {
  const child = spawn('npm', ['run', 'demo', '--silent', '--', ...words], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  const told = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      told.text += text;
    });
  }
  return { child, told };
}

/** Descendants are told by a mark in their environment, wherever they hang by now. */
async function withMark(mark: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (!environment.includes(mark)) continue;
    found.push((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').slice(0, 120));
  }
  return found.filter((line) => line !== '');
}

test('the demo goes direct, loses nothing, and says so as JSON', HANGS, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'corax-demo-'));
  try {
    const report = join(folder, 'report.json');
    const { child, told } = demo('--json', report);
    const [code] = (await once(child, 'close')) as [number | null];
    t.diagnostic(told.text.trim().split('\n').slice(-12).join('\n'));
    assert.equal(code, 0, told.text);
    const { pairs } = JSON.parse(readFileSync(report, 'utf8')) as { pairs: PairResult[] };
    assert.equal(pairs.length, 1);
    const [pair] = pairs;
    assert.ok(pair);
    assert.deepEqual([pair.natA, pair.natB, pair.path, pair.lost], ['port-restricted', 'restricted-cone', 'direct', 0]);
    assert.ok(pair.sent > 100);
    assert.ok((pair.rttDirectMs ?? Infinity) < (pair.rttRelayMs ?? 0), `${pair.rttDirectMs} < ${pair.rttRelayMs}`);
    assert.match(told.text, /NAT type .*Port Restricted cone NAT/);
    assert.match(told.text, /hole .*which the relay|hole .*to the relay/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

for (const [how, signal, whom] of [
  ['Ctrl-C', 'SIGINT', 'everybody'],
  ['kill -9 of npm', 'SIGKILL', 'npm'],
] as const) {
  test(`${how} in the middle of it leaves nothing behind`, HANGS, async () => {
    const mark = `CORAX_DEMO_MARK=${process.pid}-${signal}`;
    process.env.CORAX_DEMO_MARK = mark.split('=')[1];
    const child = spawn('npm', ['run', 'demo', '--silent'], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    let text = '';
    const built = new Promise<void>((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          if (text.includes('starting an agent on each node')) resolve();
        });
      }
      child.once('close', () => reject(new Error(`the demo ended by itself:\n${text}`)));
    });
    await built;
    assert.ok((await withMark(mark)).length > 2, 'the demo runs');
    // A terminal's Ctrl-C goes to the whole group.
    process.kill(whom === 'everybody' ? -(child.pid as number) : (child.pid as number), signal);
    let left: string[] = [];
    for (let tries = 0; tries < 300; tries += 1) {
      left = await withMark(mark);
      if (left.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.deepEqual(left, []);
  });
}
