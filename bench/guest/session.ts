/** Tasks done in a guest, from the host's side. */
import { CoraxError, messageOf } from '#src/errors.js';
import { chooseLane, runInside } from '../../lab/setting.js';
import { runInVm } from '../../lab/vm/run.js';
import { type Clock, type Failure, type Figure, type Task, THERE } from '../model.js';
import { ROOT } from '../root.js';
import { parseEvent } from './events.js';

export interface Session {
  readonly clock: Extract<Clock, 'instructions' | 'wall'>;
  /** Paths, by contender. */
  readonly programs: Readonly<Record<string, string>>;
  readonly progress: (line: string) => void;
  /** What was not done by then is left undone. */
  readonly timeoutMs: number;
}

export interface Done {
  readonly figures: readonly Figure[];
  readonly failed: readonly Failure[];
}

/** Contenders without a program are left out of the tasks. */
export async function runTasks(tasks: readonly Task[], session: Session): Promise<Done> {
  const { clock, programs, progress, timeoutMs } = session;
  const there = (who: string): boolean => who.startsWith('corax') || THERE.includes(who) || who in programs;
  const possible = inOrder(tasks)
    .filter(({ needs }) => needs === undefined || needs in programs)
    .map((task) => ({ ...task, who: task.who.filter(there) }));
  if (possible.length === 0) return { figures: [], failed: [] };
  const turns = possible.reduce((sum, task) => sum + task.rounds * task.who.length, 0);
  let turn = 0;
  const figures = new Map<string, Figure>();
  const failed: Failure[] = [];
  const left = new Set(possible.map(nameOf));
  const trouble: string[] = [];
  const onLine = (line: string): void => {
    const event = parseEvent(line);
    if (event === null) {
      trouble.push(line);
      return;
    }
    const { task } = event;
    if (event.type === 'done' || event.type === 'failed') {
      left.delete(nameOf(task));
      if (event.type === 'done') return;
      failed.push(failureOf(task, clock, event.why));
      progress(`failed: ${event.why}`);
      return;
    }
    const { who } = event;
    if (event.type === 'begin') {
      turn += 1;
      const what = `${task.what}, ${task.scale.toLocaleString('en')}: ${who}`;
      progress(`[${turn}/${turns}] ${what}${task.rounds > 1 ? `, round ${event.round} of ${task.rounds}` : ''}`);
    } else {
      const key = `${nameOf(task)}: ${who}`;
      const { what, scale } = task;
      const values = [...(figures.get(key)?.values ?? []), ...event.values];
      figures.set(key, { case: task.case, what, scale, who, clock, unit: 'ms', values });
    }
  };
  const command = [process.execPath, '--expose-gc', 'dist/bench/guest/main.js'];
  const words = [...command, JSON.stringify(programs), JSON.stringify(possible)];
  const options = { cwd: ROOT, timeoutMs, progress, onLine };
  const ended =
    clock === 'instructions'
      ? runInVm(words, { ...options, countInstructions: true })
      : runInside(words, { ...options, lane: await chooseLane() });
  // What the guest said before it came to grief, or its time was up, holds.
  const why = await ended.then((code) => (code === 0 ? null : trouble.slice(-20).join('\n')), messageOf);
  if (why !== null) {
    progress(why);
    if (figures.size === 0 && failed.length === 0) throw new CoraxError('CORAX_LAB', `nothing was measured:\n${why}`);
    failed.push(...possible.filter((task) => left.has(nameOf(task))).map((task) => failureOf(task, clock, why)));
  }
  return { figures: [...figures.values()], failed };
}

function nameOf({ case: name, what, scale }: Task): string {
  return `${name}, ${what}, ${scale}`;
}

function failureOf({ case: name, what, scale }: Task, clock: Clock, why: string): Failure {
  return { case: name, task: { what, scale, clock }, why: withoutFolders(why) };
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
