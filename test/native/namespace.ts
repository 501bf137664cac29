/** Runs a test file again in network and mount namespaces of its own, so that it may do to the network what it likes. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MARK = 'CORAX_TEST_NAMESPACE';

/** What `ip netns add` makes is seen, and stays, only there. */
const PREPARE = 'mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && exec "$@"';
/** Ends with this process, however that ends; with the last process in them go the namespaces. */
const BOUND = ['--pdeathsig', 'KILL', 'unshare', '--net', '--mount', 'sh', '-c', PREPARE, 'sh'];

/** True inside the namespace. Outside, the file runs there as a child, its output and exit code passed on. */
export function inOwnNamespace(file: string): boolean {
  if (process.env[MARK] === file) return true;
  const child = spawnSync('setpriv', [...BOUND, process.execPath, ...process.execArgv, fileURLToPath(file)], {
    stdio: 'inherit',
    env: { ...process.env, [MARK]: file },
  });
  if (child.error) throw child.error;
  process.exitCode = child.status ?? 1;
  return false;
}

/** Runs a command; throws with what it printed where it fails. */
export function command(...words: readonly string[]): string {
  const [name = '', ...rest] = words;
  const { status, stdout, stderr, error } = spawnSync(name, rest, { encoding: 'utf8' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr.trim()}`);
  return stdout;
}
