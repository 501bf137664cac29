/**
 * kube-apiserver and etcd for the tests: from KUBEBUILDER_ASSETS, else from the cache, else built from Go
 * modules (go.mod and go.sum beside this file pin every one of them). No container engine is needed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoraxError } from '#src/errors.js';
import { exited, lineSplitter, run } from '../../lab/process.js';
import { cacheDirectory } from '../../lab/vm/kernel.js';

export interface KubeAssets {
  /** Absolute paths of the programs. */
  readonly apiServer: string;
  readonly etcd: string;
}

const here = fileURLToPath(new URL('.', import.meta.url));
const main = join(here, 'main.ts');

/** Where the versions are: nothing else needs changing for new ones (then "go mod tidy", see README.md). */
export function pinnedVersions(): { readonly kubernetes: string; readonly etcd: string; readonly go: string } {
  const text = readFileSync(join(here, 'go.mod'), 'utf8');
  const find = (pattern: RegExp) => {
    const version = pattern.exec(text)?.[1];
    if (version === undefined) throw new CoraxError('CORAX_LAB', `scripts/kube/go.mod does not say ${pattern}`);
    return version;
  };
  return {
    kubernetes: find(/^\s*(?:require )?k8s\.io\/kubernetes v(\S+)/m),
    etcd: find(/^\s*go\.etcd\.io\/etcd\/server\/v3 v(\S+)/m),
    go: find(/^go (\S+)/m),
  };
}

function assetsAt(folder: string): KubeAssets {
  return { apiServer: join(folder, 'kube-apiserver'), etcd: join(folder, 'etcd') };
}

function cached(): { readonly folder: string; readonly assets: KubeAssets } {
  const { kubernetes, etcd } = pinnedVersions();
  const name = `kubernetes-${kubernetes}-etcd-${etcd}-${process.platform}-${process.arch}`;
  const folder = join(cacheDirectory(), 'kube', name);
  return { folder, assets: assetsAt(folder) };
}

function given(folder: string): KubeAssets {
  const assets = assetsAt(folder);
  for (const path of [assets.apiServer, assets.etcd]) {
    try {
      accessSync(path, constants.X_OK);
    } catch {
      throw new CoraxError('CORAX_LAB', `KUBEBUILDER_ASSETS is ${folder}, but ${path} cannot be run`);
    }
  }
  return assets;
}

/** @param progress is told what takes time: one line each */
export async function kubeAssets(progress: (line: string) => void): Promise<KubeAssets> {
  const override = process.env.KUBEBUILDER_ASSETS;
  if (override !== undefined && override !== '') return given(override);
  const { folder, assets } = cached();
  if (existsSync(folder)) return assets;
  await mkdir(join(folder, '..'), { recursive: true });
  // One builds, the others wait for it: test files run side by side. The lock goes with the process.
  progress('kube-apiserver and etcd are not in the cache yet');
  const command = ['flock', '--no-fork', `${folder}.lock`, process.execPath, ...process.execArgv, main, 'build'];
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
  const last = await follow(child, progress);
  if (!existsSync(folder)) throw new CoraxError('CORAX_LAB', last === '' ? 'kube-apiserver was not built' : last);
  return assets;
}

async function follow(child: ChildProcess, onLine: (line: string) => void): Promise<string> {
  let last = '';
  const split = lineSplitter((line) => {
    last = line;
    onLine(line);
  });
  child.stderr?.on('data', (chunk: Buffer) => split(chunk));
  await exited(child);
  split(null);
  return last;
}

/** Builds both into the cache; returns at once where they are there. */
export async function buildAssets(progress: (line: string) => void): Promise<void> {
  const { folder } = cached();
  if (existsSync(folder)) return;
  await checkGo();
  // Built aside and renamed whole: a build that is killed half-way leaves nothing that looks complete.
  const aside = await mkdtemp(join(folder, '../.new-'));
  try {
    const { kubernetes, etcd } = pinnedVersions();
    progress(`building kube-apiserver ${kubernetes} and etcd ${etcd}: minutes the first time, seconds afterwards`);
    await goBuild(join(aside, 'kube-apiserver'), 'k8s.io/kubernetes/cmd/kube-apiserver', progress);
    await goBuild(join(aside, 'etcd'), 'go.etcd.io/etcd/server/v3', progress);
    await rename(aside, folder);
    progress(`kube-apiserver and etcd are in ${folder}`);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function checkGo(): Promise<void> {
  const { go } = pinnedVersions();
  const advice =
    `Go ${go} or later is needed to build kube-apiserver and etcd for the tests: install it (go.dev/doc/install), ` +
    'or set KUBEBUILDER_ASSETS to a folder that has both programs (setup-envtest gets one, where it can be reached)';
  const version = await run(['go', 'env', 'GOVERSION'], { cwd: here }).catch((error: unknown) => {
    throw new CoraxError('CORAX_LAB', advice, { cause: error });
  });
  // With GOTOOLCHAIN=auto an older Go fetches the right one by itself; then it says that one's version here.
  const [major = 0, minor = 0] = version.stdout.trim().replace(/^go/, '').split('.').map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = go.split('.').map(Number);
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    throw new CoraxError('CORAX_LAB', `${advice} (this is ${version.stdout.trim()})`);
  }
}

/** Without the version /version lies, and feature gates go by it. */
function linkerFlags(): string {
  const { kubernetes } = pinnedVersions();
  const [major, minor] = kubernetes.split('.');
  const variables = { gitVersion: `v${kubernetes}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' };
  const packages = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'];
  const settings = packages.flatMap((name) =>
    Object.entries(variables).map(([key, value]) => `-X ${name}.${key}=${value}`),
  );
  return `-s -w ${settings.join(' ')}`;
}

const TELL_EVERY_MS = 15_000;

async function goBuild(output: string, target: string, progress: (line: string) => void): Promise<void> {
  const args = ['build', '-v', '-trimpath', '-mod=readonly', '-ldflags', linkerFlags(), '-o', output, target];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'nice', '-n', '10', 'go', ...args], {
    cwd: here,
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const tail: string[] = [];
  let downloaded = 0;
  let compiled = 0;
  const split = lineSplitter((line) => {
    tail.push(line);
    if (tail.length > 20) tail.shift();
    if (line.startsWith('go: downloading ')) downloaded += 1;
    else compiled += 1;
  });
  child.stderr?.on('data', (chunk: Buffer) => split(chunk));
  const timer = setInterval(() => {
    progress(`${target}: ${downloaded} modules downloaded, ${compiled} packages compiled`);
  }, TELL_EVERY_MS);
  const code = await exited(child);
  clearInterval(timer);
  split(null);
  if (code !== 0) throw new CoraxError('CORAX_LAB', `go build ${target} failed:\n${tail.join('\n')}`);
}
