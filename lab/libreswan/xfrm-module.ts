/** The kernel's XFRM interfaces, taken away and given back: for all namespaces alike, so only where the kernel is ours. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CoraxError } from '#src/errors.js';
import type { Lab } from '../lab.js';
import { run } from '../process.js';
import { requireInside } from '../setting.js';
import { LONG_MS } from '../test/agents.js';

const MODULE = 'xfrm_interface';
/** Where modprobe looks too, and which is the micro-VM's own (modprobe.d(5)). */
const FOLDER = '/run/modprobe.d';
const FILE = join(FOLDER, 'corax-lab.conf');

/** The kernel would load it as soon as somebody asks for an interface. */
export async function takeAwayXfrmInterfaces(lab: Lab): Promise<void> {
  if (requireInside() !== 'vm') throw new CoraxError('CORAX_LAB', `${MODULE} is not taken from a kernel of others'`);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(FILE, `install ${MODULE} /bin/false\n`);
  // Namespaces of a lab before may hold it for a moment more.
  await lab.waitFor(
    async () => {
      await run(['modprobe', '--remove', MODULE]);
      return true;
    },
    { what: `${MODULE} goes`, timeoutMs: LONG_MS },
  );
}

export function giveBackXfrmInterfaces(): void {
  rmSync(FILE, { force: true });
}
