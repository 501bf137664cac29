/**
 * An agent's part in a folder: `writer-child.ts FOLDER GATEWAY NODE COUNT` publishes COUNT keys, one after
 * another; with COUNT 0 it goes on until it is killed. Prints a line for each.
 */
import { DirectoryStore } from '#src/store/directory.js';

const [folder, gateway, nodeName, count] = process.argv.slice(2) as [string, string, string, string];
const store = new DirectoryStore(folder);
await store.start(() => {});
for (let key = 0; key < Number(count) || count === '0'; key += 1) {
  const config = count === '0' ? { last: `${key}` } : { [`k${key}`]: `${key}` };
  const result = await store.publish({ gateway, nodeName, set: { config } });
  process.stdout.write(`${key} ${result}\n`);
}
await store.stop();
