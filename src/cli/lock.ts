/**
 * One agent a node and a state folder. Node has no flock(2), so:
 * - an abstract unix socket (unix(7)) is the lock of the node. Its name belongs to the network namespace,
 *   as do the devices that two agents would fight over, and the kernel frees it however the agent dies.
 * - a file in the state folder names the process that uses it: the same folder in two network namespaces.
 *   A process id is used again sooner or later, so its start time stands beside it, and the boot's id.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import * as path from 'node:path';
import { CoraxError, codeOf, messageOf } from '../errors.js';

const NODE_LOCK = '\0corax-agent';
const PID_FILE = 'agent.pid';

export interface Lock {
  release(): Promise<void>;
}

/** Throws CORAX_LOCKED where another agent runs. */
export async function acquireLock(stateDir: string, name = NODE_LOCK): Promise<Lock> {
  const server = await holdName(name);
  try {
    const file = path.join(stateDir, PID_FILE);
    claimFile(file, identity(process.pid) ?? '');
    return {
      async release() {
        rmSync(file, { force: true });
        await closed(server);
      },
    };
  } catch (error) {
    await closed(server);
    throw error;
  }
}

function holdName(name: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once('error', (error) => {
      const message =
        codeOf(error) === 'EADDRINUSE'
          ? 'another corax agent runs on this node (in this network namespace): stop it first'
          : `the lock of the node cannot be taken: ${messageOf(error)}`;
      reject(new CoraxError('CORAX_LOCKED', message, { cause: error }));
    });
    server.listen(name, () => {
      server.unref();
      resolve(server);
    });
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** "pid starttime boot-id", or null where there is no such process. */
export function identity(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Field 22, counted after the command's name, which may hold spaces and parentheses (proc(5))
    const startTime = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${pid} ${startTime} ${boot}`;
  } catch {
    return null;
  }
}

/** The file appears whole or not at all (link(2)); one that a dead process left behind is replaced. */
export function claimFile(file: string, mine: string): void {
  const draft = `${file}.${process.pid}`;
  try {
    writeFileSync(draft, `${mine}\n`, { mode: 0o600 });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        linkSync(draft, file);
        return;
      } catch (error) {
        if (codeOf(error) !== 'EEXIST') throw error;
      }
      const holder = readHolder(file);
      const pid = Number(/^\d+/.exec(holder)?.[0] ?? 0);
      if (pid > 0 && holder === identity(pid)) {
        throw new CoraxError(
          'CORAX_LOCKED',
          `another corax agent (process ${pid}) uses ${path.dirname(file)}: stop it first`,
        );
      }
      rmSync(file, { force: true });
    }
    throw new CoraxError('CORAX_LOCKED', `other agents are starting on ${path.dirname(file)} at the same moment`);
  } catch (error) {
    if (error instanceof CoraxError) throw error;
    throw new CoraxError('CORAX_LOCKED', `${file} cannot be written: ${messageOf(error)}`, { cause: error });
  } finally {
    rmSync(draft, { force: true });
  }
}

function readHolder(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
