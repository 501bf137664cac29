/** `corax lab`: the lab is a program of its own, beside the agent; this finds it and hands the words on. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { CoraxError } from '../errors.js';

/** What lab/main.ts exports. It does its own --help and its own signals, for it has to clean up. */
interface LabModule {
  /** `words` are what follows "corax lab"; resolves to the exit code. */
  main(words: readonly string[]): Promise<number>;
}

/** As seen from the bundle (dist/main.js), from dist/cli/lab.js and from src/cli/lab.ts. */
const LAB_ENTRIES = ['./lab/main.js', '../lab/main.js', '../../lab/main.ts'];

export function labCommand(): Command {
  return new Command('lab')
    .description('build NATs, relays and edges in network namespaces, and watch paths go direct (corax lab --help)')
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (words: string[]) => {
      process.exitCode = await (await loadLab()).main(words);
    });
}

async function loadLab(): Promise<LabModule> {
  const url = LAB_ENTRIES.map((path) => new URL(path, import.meta.url)).find((at) => existsSync(fileURLToPath(at)));
  if (url === undefined) {
    throw new CoraxError(
      'CORAX_LAB',
      'the lab is not part of this installation: run "npm run build" in a clone of corax',
    );
  }
  return (await import(url.href)) as LabModule;
}
