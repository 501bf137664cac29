/**
 * Makes docs/images anew: the status page in light, dark and on a phone, and `corax status` and `corax explain` on a
 * terminal, all of a made-up evening. Needs Debian's chromium.
 *
 *   node -C corax-source --import tsx scripts/screenshots.ts
 */
import { fileURLToPath } from 'node:url';
import { renderExplanation } from '#src/cli/explain.js';
import { renderStatus } from '#src/cli/status-view.js';
import { TRACE_LENGTH } from '#src/telemetry/page/client/state.js';
import { FEED_LIMITS } from '#src/telemetry/page/feed.js';
import { createPage } from '#src/telemetry/page/page.js';
import { serveHealth } from '#src/telemetry/server.js';
import { launch, openTab, until } from '../test/metrics/browser.js';
import { evening, world } from '../test/metrics/page-world.js';
import { explained, toHtml } from './terminal-pictures.js';

const folder = fileURLToPath(new URL('../docs/images/', import.meta.url));

const NO_ENGINE = { wireguardMessages: 0, wireguardPeers: 0, routeMessages: 0, nftTransactions: 0, probesSent: 0 };
const TERMINAL_STYLE = `
  body { margin: 0; background: #17191c; }
  pre { display: inline-block; margin: 0; padding: 24px 28px; min-width: 664px; box-sizing: border-box; background: #17191c;
    color: #d6d8db; font: 13px/1.5 ui-monospace, 'DejaVu Sans Mono', monospace; }
  i { font-style: normal; color: #7fb0ff; }
  .s1 { font-weight: bold; color: #fff; } .s2 { color: #8d939b; } .s31 { color: #f0827a; } .s32 { color: #5bc79c; } .s33 { color: #e0ab4b; }`;

const made = world(undefined, {
  errors: [
    {
      code: 'CORAX_GATEWAY',
      gateway: 'qingdao-kiosk-2',
      message: 'claims 10.244.12.0/24, which is of hangzhou-plant-2',
      since: Date.now() / 1000 - 760,
    },
  ],
});
const page = createPage(
  {
    ...made,
    head: () => {
      made.breathe();
      return made.head();
    },
  },
  console.error,
  { ...FEED_LIMITS, intervalMs: 40 },
);
const health = { live: () => null, ready: () => null };
const server = await serveHealth({ host: '127.0.0.1', port: 0 }, health, console.error, page);
const browser = await launch();
try {
  const url = `http://127.0.0.1:${server.where.port}/`;
  for (const [name, options] of [
    ['page-light', { colorScheme: 'light' }],
    ['page-dark', { colorScheme: 'dark' }],
    ['page-phone', { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 }],
  ] as const) {
    made.list.splice(0, made.list.length, ...evening());
    made.log.changes = [];
    const tab = await openTab(browser, url, options);
    await tab.page.locator('#rows tr').first().waitFor();
    const line = tab.page.locator('#rows tr:last-child .carries path');
    const points = async () => ((await line.getAttribute('d')) ?? '').split('L').length;
    await until('two minutes of round trips', async () => (await points()) >= TRACE_LENGTH - 1);
    made.change('xian-lab', 'punching', 'trying again after 2 failed tries');
    made.change('xian-lab', 'relayed', 'no handshake came through');
    made.change('wuhan-depot', 'punching', 'direct does not answer');
    made.change('wuhan-depot', 'direct', 'direct answers in 27.8 ms, relay in 52.3 ms');
    await tab.page.locator('#changes li').nth(3).waitFor();
    if (name !== 'page-phone') await tab.page.getByRole('button', { name: 'hangzhou-plant-2' }).click();
    await tab.page.screenshot({
      path: `${folder}${name}.png`,
      fullPage: name !== 'page-phone',
      animations: 'disabled',
    });
    if (tab.complaints.length > 0) console.error(name, tab.complaints);
    await tab.page.context().close();
  }
  const now = Date.now() / 1000;
  const status = { ...made.head(), engine: NO_ENGINE, peers: evening() };
  const terminal = { columns: 80, color: true };
  await shootTerminal('status', 'corax status', renderStatus(status, terminal, now));
  await shootTerminal('explain', 'corax explain hangzhou-plant-2', renderExplanation(explained(), terminal, now));
} finally {
  await browser.close();
  await server.close();
}

async function shootTerminal(name: string, command: string, text: string): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 720, height: 400 }, deviceScaleFactor: 1.5 });
  const tab = await context.newPage();
  await tab.setContent(`<style>${TERMINAL_STYLE}</style><pre><i>$ ${command}</i>\n${toHtml(text)}</pre>`);
  await tab.locator('pre').screenshot({ path: `${folder}${name}.png` });
  await context.close();
}
