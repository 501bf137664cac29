/**
 * The Containerfile, for want of a container engine: its build stage, line by line, in a chroot of plain Debian with
 * the Node that the image pins. What only an engine does stays untried: pulling the base, layers, the last stage.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { must, ROOT, run, START_ENGINE } from '../deploy/rootfs.js';

/** This machine's: it may reach the registries by a proxy of its own. */
const CERTIFICATES = 'etc/ssl/certs/ca-certificates.crt';

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** The instructions of each stage, by its name; the last one has none. */
export function stages(text: string): Map<string, Instruction[]> {
  const found = new Map<string, Instruction[]>();
  let stage: Instruction[] = [];
  for (const line of text.replace(/\\\n/g, ' ').split('\n')) {
    const match = /^([A-Z]+)\s+(.*)$/.exec(line.trim());
    if (match === null) continue;
    const [, word = '', rest = ''] = match;
    if (word !== 'FROM') stage.push({ word, rest });
    else {
      stage = [];
      found.set(/\sAS\s+(\S+)$/.exec(rest)?.[1] ?? 'last', stage);
    }
  }
  return found;
}

/** Plain Debian of this machine's release and mirror. */
function debian(root: string): void {
  const [, codename = ''] = /^VERSION_CODENAME=(\S+)$/m.exec(readFileSync('/etc/os-release', 'utf8')) ?? [];
  const [, mirror = ''] =
    /^\S+\s+(https?:\/\/\S+?)\/?\s/.exec(must('apt-get', 'indextargets', '--format', 'x $(SITE) ')) ?? [];
  assert.ok(codename !== '' && mirror !== '');
  must('debootstrap', '--variant=minbase', `--include=ca-certificates`, codename, root, mirror);
  for (const name of ['etc/resolv.conf', 'etc/apt/sources.list.d', 'etc/apt/sources.list', CERTIFICATES]) {
    if (existsSync(`/${name}`)) cpSync(`/${name}`, join(root, name), { recursive: true, dereference: true });
  }
  // Third parties' sources want keys that a plain Debian has not.
  for (const name of readdirSync(join(root, 'etc/apt/sources.list.d'))) {
    if (name !== 'debian.sources') rmSync(join(root, 'etc/apt/sources.list.d', name));
  }
}

/** What the official Node image has in /usr/local. */
function node(root: string): void {
  const folder = must('sh', 'scripts/node-binary.sh', must('dpkg', '--print-architecture'));
  for (const part of ['bin', 'include']) cpSync(join(folder, part), join(root, 'usr/local', part), { recursive: true });
  const npm = 'lib/node_modules/npm';
  cpSync(join(must('npm', 'root', '--global'), 'npm'), join(root, 'usr/local', npm), {
    recursive: true,
    dereference: true,
  });
  must('ln', '-s', `../${npm}/bin/npm-cli.js`, join(root, 'usr/local/bin/npm'));
}

describe('Containerfile', () => {
  const text = readFileSync(join(ROOT, 'deploy/image/Containerfile'), 'utf8');
  let folder: string;
  let base: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'corax-containerfile-'));
    base = join(folder, 'base');
    debian(base);
    node(base);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const architecture of ['amd64', 'arm64']) {
    test(`its build stage makes the root file system for ${architecture}`, (t) => {
      const root = join(folder, architecture);
      must('cp', '-a', base, root);
      const args = new Map([['TARGETARCH', architecture]]);
      let workdir = '/';
      const instructions = stages(text).get('build') ?? [];
      assert.ok(instructions.length > 10);
      for (const { word, rest } of instructions) {
        if (word === 'ARG') {
          const [name = '', value = ''] = rest.split('=');
          if (!args.has(name)) args.set(name, value);
        } else if (word === 'WORKDIR') {
          workdir = rest;
          mkdirSync(join(root, workdir), { recursive: true });
        } else if (word === 'COPY') copy(rest, root, workdir, architecture);
        else if (word === 'RUN') {
          const env = [...args].map(([name, value]) => `${name}=${value}`);
          const script = `cd ${workdir} && ${rest}`;
          const certificates = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS'].map((name) => `${name}=/${CERTIFICATES}`);
          const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
          const words = [
            '--mount',
            '--pid',
            '--fork',
            'sh',
            '-c',
            'mount -t proc proc "$1/proc"; mount --rbind /dev "$1/dev"; exec chroot "$@"',
          ];
          const { status, stdout, stderr } = spawnSync(
            'unshare',
            [
              ...words,
              'sh',
              root,
              '/usr/bin/env',
              '-i',
              path,
              'HOME=/root',
              ...certificates,
              ...env,
              '/bin/sh',
              '-c',
              script,
            ],
            { encoding: 'utf8', maxBuffer: 64 << 20 },
          );
          assert.equal(status, 0, `RUN ${rest}\n${stdout.slice(-2000)}\n${stderr.slice(-4000)}`);
          t.diagnostic(`RUN ${rest}`);
        } else assert.fail(`the test knows no ${word}`);
      }
      const rootfs = join(root, 'rootfs');
      const own = architecture === must('dpkg', '--print-architecture');
      const engine = own
        ? run('chroot', rootfs, '/usr/bin/node', '-e', START_ENGINE)
        : run(
            'qemu-aarch64-static',
            '-L',
            rootfs,
            join(rootfs, 'usr/bin/node'),
            '-e',
            START_ENGINE.replace('/opt/corax', join(rootfs, 'opt/corax')),
          );
      assert.equal(engine.status, 0, engine.stderr);
      assert.match(engine.stdout, / number$/m);
    });
  }

  test('its last stage takes that root file system as it is, and runs the command of it', () => {
    const last = stages(text).get('last') ?? [];
    const of = (name: string) => last.filter(({ word }) => word === name).map(({ rest }) => rest);
    assert.deepEqual(of('COPY'), ['--from=build /rootfs /']);
    assert.deepEqual(of('RUN'), []);
    const [command = ''] = JSON.parse(of('ENTRYPOINT')[0] ?? '[]') as string[];
    assert.equal(run('chroot', join(folder, 'amd64/rootfs'), command, '--help').status, 0);
  });
});

/** COPY as the Containerfile uses it: files and folders of the repository, or the target's node. */
function copy(rest: string, root: string, workdir: string, architecture: string): void {
  const words = rest.split(/\s+/);
  const target = words.pop() ?? '';
  const to = (name: string) => {
    const place = resolve(workdir, target);
    return join(root, target.endsWith('/') ? join(place, name) : place);
  };
  if (words[0] === '--from=node') {
    const place = to('node');
    mkdirSync(dirname(place), { recursive: true });
    cpSync(join(must('sh', 'scripts/node-binary.sh', architecture), 'bin/node'), place);
    return;
  }
  for (const source of words) {
    const place = to(source.split('/').at(-1) ?? '');
    mkdirSync(dirname(place), { recursive: true });
    cpSync(join(ROOT, source), place, { recursive: true });
  }
}
