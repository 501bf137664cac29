/** The image's root file system for this machine's architecture, built by the script that the Containerfile runs. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { must, ROOT, run, START_ENGINE } from './rootfs.js';

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

describe('the root file system', () => {
  let folder: string;
  let root: string;
  const inside = (...words: readonly string[]) => run('chroot', root, ...words);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'corax-image-'));
    root = join(folder, 'rootfs');
    const architecture = ARCHITECTURES[process.arch];
    assert.ok(architecture, `there is an image for ${process.arch}`);
    must('sh', 'deploy/image/build-rootfs.sh', architecture, root, process.execPath);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('the command runs in it', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    assert.equal(inside('/usr/bin/corax', '--version').stdout.trim(), version);
    const help = inside('/usr/bin/corax', 'agent', '--help');
    assert.equal(help.status, 0, help.stderr);
    assert.match(help.stdout, /--psk-file/);
    const idle = inside('/usr/bin/corax', 'status');
    assert.equal(idle.status, 1);
    assert.match(idle.stderr, /^corax: no agent answers on \/run\/corax\/agent\.sock/);
  });

  test('the addon loads, with all of its libraries from there', () => {
    const { status, stdout, stderr } = inside('/usr/bin/node', '-e', START_ENGINE);
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trim(), `${process.arch} number`);
  });

  test('an agent without a key says what to do, and starts nothing', () => {
    const { status, stderr } = inside('/usr/bin/corax', 'agent', '--node', 'edge-a', '--gateways', '/tmp');
    assert.equal(status, 1);
    assert.match(stderr, /there is no pre-shared key: give the cluster's pre-shared key in a file/);
  });

  test('modprobe runs, for the step that loads modules', () => {
    assert.match(inside('/sbin/modprobe', '--version').stdout, /^kmod version/);
  });

  test('it is small, and holds no shell, package manager, setuid file, source map or key', () => {
    const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
    assert.ok(bytes < 170 << 20, `${bytes >> 20} MiB`);
    for (const { parentPath, name } of files) {
      const path = join(parentPath, name);
      assert.equal(statSync(path).mode & 0o7022, 0, `${path}: setuid, or writable by others`);
      assert.doesNotMatch(name, /^(?:ba|da|z)?sh$|^busybox|^apt|^dpkg$|\.map$|\.key$|\.pem$/, path);
    }
    for (const name of ['bin/sh', 'usr/bin/env']) assert.equal(existsSync(join(root, name)), false, name);
  });

  test('it says what it is made of, and under which licences', () => {
    const packages = readFileSync(join(root, 'usr/share/doc/packages'), 'utf8').trim().split('\n');
    const names = packages.map((line) => line.split(' ')[0] ?? '');
    for (const name of ['libc6', 'libnftables1', 'libstdc++6']) assert.ok(names.includes(name), name);
    for (const name of names) {
      assert.ok(existsSync(join(root, 'usr/share/doc', name)), `copyright of ${name}`);
      assert.match(
        readFileSync(join(root, 'var/lib/dpkg/status.d', name), 'utf8'),
        new RegExp(`^Package: ${name.replaceAll('+', '\\+')}$`, 'm'),
      );
    }
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    for (const name of Object.keys(dependencies)) {
      assert.ok(readdirSync(join(root, 'usr/share/doc/corax', name)).length > 0, `licence of ${name}`);
    }
  });
});
