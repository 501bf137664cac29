/**
 * Scrapes many peers, and prints a line for each time: milliseconds of the process's CPU, milliseconds for which the
 * event loop was held, series. Arguments: who (corax, prom-client), how many peers, how often.
 */
import { byCorax, byPromClient, costOf, scrapedPeer } from './scraped.js';

const [who, peers, times] = process.argv.slice(2);
const all = Array.from({ length: Number(peers) }, (_, index) => scrapedPeer(`gw-${index}`, index));
const scrape = who === 'corax' ? byCorax(all) : byPromClient(all);
for (let time = 0; time < Number(times); time++) {
  let text = '';
  const { cpuMs, heldMs } = await costOf(async () => {
    text = await scrape();
  });
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  process.stdout.write(`${cpuMs} ${heldMs} ${series}\n`);
}
process.exit();
