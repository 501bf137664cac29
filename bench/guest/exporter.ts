/** A scrape from the kernel's device to text: by corax's own parts, and by prometheus_wireguard_exporter over HTTP. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '#src/native.js';
import { run, spawnBound, stopProcess } from '../../lab/process.js';
import { byCorax, scrapedPeer } from '../agent/scraped.js';
import { timed } from './contender.js';
import { DEVICE } from './device.js';

const PORT = 9586;
const PATIENCE_MS = 60_000;

/** The agent reads the device once a second, and a scrape only renders; here both count. */
export async function scrapeByCorax(engine: Engine, peers: number, times: number): Promise<number[]> {
  const render = byCorax(Array.from({ length: peers }, (_, index) => scrapedPeer(`gw-${index}`, index)));
  return timed(times, async () => {
    const { count } = await engine.wgSnapshot(DEVICE);
    if (count !== peers) throw new Error(`${count} peers of ${peers}`);
    await render();
  });
}

export async function scrapeByExporter(program: string, peers: number, times: number): Promise<number[]> {
  await run(['ip', 'link', 'set', 'lo', 'up']);
  const exporter = spawnBound([program, '-l', '127.0.0.1', '-p', String(PORT), '-i', DEVICE], { stdio: 'ignore' });
  try {
    await listening();
    return await timed(times, async () => {
      const text = await (await fetch(`http://127.0.0.1:${PORT}/metrics`)).text();
      const series = text.split('\n').filter((line) => line.startsWith('wireguard_sent_bytes_total{')).length;
      if (series !== peers) throw new Error(`${series} series of ${peers}: ${text.slice(0, 200)}`);
    });
  } finally {
    await stopProcess(exporter, 10_000);
  }
}

async function listening(): Promise<void> {
  const started = performance.now();
  while (performance.now() - started < PATIENCE_MS) {
    const there = await fetch(`http://127.0.0.1:${PORT}/`).then(
      () => true,
      () => false,
    );
    if (there) return;
    await delay(100);
  }
  throw new Error('the exporter does not listen');
}
