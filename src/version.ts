/** corax's own version, as package.json has it: the file lies one level above src/ and dist/ alike. */
import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../package.json') as { version: string };

export const VERSION = manifest.version;
