/** `corax netcheck` alone, for a network namespace of its own: `node … netcheck-main.ts --stun … --json`. */
import { netcheckCommand } from '#src/cli/netcheck.js';

await netcheckCommand().parseAsync();
