#!/usr/bin/env node
import { run } from './cli/program.js';
/** Parse, wire, run, exit code. */
import { codeOf } from './errors.js';

// `corax status | head -1` closes the pipe: that is no error, and nothing more can be said there
process.stdout.on('error', (error) => {
  if (codeOf(error) === 'EPIPE') process.exit();
  throw error;
});

await run(process.argv.slice(2));
