/** `corax lab demo`: the person's side; what it shows happens where labs can be built. */
import { writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoraxError } from '#src/errors.js';
import type { DriverName } from '#src/model/names.js';
import type { NatKind } from '../net/nat.js';
import { chooseLane, runInside } from '../setting.js';
import { type PairResult, parseDemoEvent } from './events.js';
import { DemoView } from './view.js';

const INSIDE = join(dirname(fileURLToPath(import.meta.url)), 'inside.js');
/** Whatever happens, it does not hang for ever; --keep stays as long as the person does. */
const TIMEOUT_MS = 15 * 60_000;

export interface DemoOptions {
  readonly natA: NatKind;
  readonly natB: NatKind;
  readonly keep: boolean;
  readonly driver: DriverName;
  /** Where the report goes. */
  readonly json: string | null;
}

/** Exit code 0: the path went direct, or these NATs allow none and the relay carries the traffic. */
export async function demoCommand({ natA, natB, keep, json, driver }: DemoOptions): Promise<number> {
  // Found out before minutes have gone into it.
  if (json !== null) writeReport(json, []);
  const lane = await chooseLane(driver);
  const view = new DemoView();
  view.begin(natA, natB);
  let result: PairResult | null = null;
  let code = 1;
  try {
    view.step(
      lane === 'vm'
        ? 'this kernel lacks WireGuard or netem: starting the micro-VM'
        : 'starting in namespaces of its own',
    );
    const command = [process.execPath, INSIDE, natA, natB, driver, ...(keep ? ['keep'] : [])];
    code = await runInside(command, {
      lane,
      terminal: keep,
      ...(keep ? {} : { timeoutMs: TIMEOUT_MS }),
      progress: (line) => view.step(line),
      onLine: (line) => {
        const event = parseDemoEvent(line);
        if (event === null) {
          if (line !== '') view.note(line);
          return;
        }
        view.take(event);
        if (event.type === 'result') result = event.result;
      },
    });
  } finally {
    view.end(result !== null);
  }
  const pair = result as PairResult | null;
  if (json !== null && pair !== null) writeReport(json, [pair]);
  if (pair === null) return code === 0 ? 1 : code;
  return pair.path === (pair.allowed ? 'direct' : 'relay') ? code : 1;
}

function writeReport(file: string, pairs: readonly PairResult[]): void {
  try {
    writeFileSync(resolve(file), `${JSON.stringify({ pairs }, null, 2)}\n`);
  } catch (error) {
    throw new CoraxError('CORAX_LAB', `The report cannot be written: ${(error as Error).message}`);
  }
}
