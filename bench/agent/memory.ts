/** Prints what a relay's agent with so many edges keeps, in KiB. Needs --expose-gc. Argument: how many. */
import { relayWith } from './work.js';

declare const gc: () => void;

function kept(): number {
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1024;
}

const edges = Number(process.argv[2]);
// What is loaded and compiled anyway is not the edges'.
await (await relayWith(10)).stop();
const before = kept();
const rig = await relayWith(edges);
process.stdout.write(`${kept() - before}\n`);
await rig.stop();
