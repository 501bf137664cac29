/** Tasks done in a guest, from the host's side. */
import { CoraxError } from '#src/errors.js';
import { chooseLane, runInside } from '../../lab/setting.js';
import { runInVm } from '../../lab/vm/run.js';
import { type Clock, type Figure, type Task, THERE } from '../model.js';
import { ROOT } from '../root.js';
import { parseEvent } from './events.js';

const TIMEOUT_MS = 3 * 3600 * 1000;

export interface Session {
  readonly clock: Extract<Clock, 'instructions' | 'wall'>;
  /** Paths, by contender. */
  readonly programs: Readonly<Record<string, string>>;
  readonly progress: (line: string) => void;
}

export interface Done {
  readonly figures: readonly Figure[];
  /** What could not be done, and why: a line each. */
  readonly failed: readonly string[];
}

/** Contenders without a program are left out of the tasks. */
export async function runTasks(tasks: readonly Task[], session: Session): Promise<Done> {
  const { clock, programs, progress } = session;
  const there = (who: string): boolean => who.startsWith('corax') || THERE.includes(who) || who in programs;
  const possible = inOrder(tasks)
    .filter(({ needs }) => needs === undefined || needs in programs)
    .map((task) => ({ ...task, who: task.who.filter(there) }));
  if (possible.length === 0) return { figures: [], failed: [] };
  const turns = possible.reduce((sum, task) => sum + task.rounds * task.who.length, 0);
  let turn = 0;
  const figures: Figure[] = [];
  const failed: string[] = [];
  const trouble: string[] = [];
  const onLine = (line: string): void => {
    const event = parseEvent(line);
    if (event === null) {
      trouble.push(line);
      return;
    }
    if (event.type === 'failed') {
      failed.push(
        `${event.task.case}: ${event.task.what}, ${event.task.scale.toLocaleString('en')}: ${withoutFolders(event.why)}`,
      );
      progress(`failed: ${failed.at(-1)}`);
      return;
    }
    const { task, who } = event;
    if (event.type === 'begin') {
      turn += 1;
      const what = `${task.what}, ${task.scale.toLocaleString('en')}: ${who}`;
      progress(`[${turn}/${turns}] ${what}${task.rounds > 1 ? `, round ${event.round} of ${task.rounds}` : ''}`);
    } else {
      const { what, scale } = task;
      figures.push({ case: task.case, what, scale, who, clock, unit: 'ms', values: event.values });
    }
  };
  const command = [process.execPath, '--expose-gc', 'dist/bench/guest/main.js'];
  const words = [...command, JSON.stringify(programs), JSON.stringify(possible)];
  const options = { cwd: ROOT, timeoutMs: TIMEOUT_MS, progress, onLine };
  const code =
    clock === 'instructions'
      ? await runInVm(words, { ...options, countInstructions: true })
      : await runInside(words, { ...options, lane: await chooseLane() });
  if (code !== 0) {
    const why = trouble.slice(-20).join('\n');
    if (figures.length === 0) throw new CoraxError('CORAX_LAB', `nothing was measured:\n${why}`);
    failed.push(`all after turn ${turn} of ${turns}: ${why}`);
  }
  return { figures, failed };
}

/** A device that was filled once serves all who need it so: filling it takes most of the time. */
function inOrder(tasks: readonly Task[]): Task[] {
  const rank = ({ what }: Task): number =>
    what === 'program new'
      ? 0
      : what === 'remove 1 %'
        ? 2
        : what === 'harvest'
          ? 3
          : what === 'edges appear'
            ? 4
            : what === 'agent starts'
              ? 5
              : 1;
  return [...tasks].sort((a, b) => a.scale - b.scale || rank(a) - rank(b));
}

/** Reports are kept with the project: whose machine it was, and where its folders are, is no matter there. */
function withoutFolders(why: string): string {
  return why.replace(/(?<=^|\s)\/(?:[^\s/]+\/)+/g, '');
}
