/** arm64 on this amd64 machine: the core's tests, and the image's root file system, in QEMU's user emulation. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { must, run, START_ENGINE } from '../deploy/rootfs.js';

test("native/core passes its tests, but for those of the kernel's that the emulator lacks", (t) => {
  const { status, stdout, stderr } = run('sh', 'scripts/arm64.sh');
  assert.equal(status, 0, `${stdout}\n${stderr.slice(-4000)}`);
  for (const line of stdout.trim().split('\n')) t.diagnostic(line);
});

test('the root file system runs: the command, the addon, its engine', () => {
  const folder = mkdtempSync(join(tmpdir(), 'corax-arm64-'));
  try {
    const root = join(folder, 'rootfs');
    const node = must('sh', 'scripts/node-binary.sh', 'arm64');
    must('sh', 'deploy/image/build-rootfs.sh', 'arm64', root, `${node}/bin/node`);
    const emulated = (...words: readonly string[]) =>
      must('qemu-aarch64-static', '-L', root, join(root, 'usr/bin/node'), ...words);
    assert.match(emulated(join(root, 'opt/corax/bin/corax.js'), '--version'), /^\d+\.\d+\.\d+$/);
    assert.match(emulated(join(root, 'opt/corax/bin/corax.js'), 'agent', '--help'), /--psk-file/);
    const engine = START_ENGINE.replace('/opt/corax', join(root, 'opt/corax'));
    assert.equal(emulated('-e', engine), 'arm64 number');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
