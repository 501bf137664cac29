/** Debian's Chromium, as a person would have it, and all that it complains of. */
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';

export async function launch(): Promise<Browser> {
  // As root, where these tests run, Chromium has no sandbox
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
}

export interface Tab {
  readonly page: Page;
  /** Errors of the console and faults of scripts. */
  readonly complaints: string[];
}

export async function openTab(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return { page, complaints };
}

/** What Chromium itself says of an agent that is away; no script can keep it from that. */
const AWAY =
  /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|CONNECTION_CLOSED|INCOMPLETE_CHUNKED_ENCODING|EMPTY_RESPONSE|ABORTED)/;

export const withoutAway = (complaints: readonly string[]): string[] => complaints.filter((text) => !AWAY.test(text));

/** A gateway's row of the status page. */
export const row = (page: Page, gateway: string): Locator =>
  page.getByRole('row').filter({ has: page.getByRole('button', { name: gateway, exact: true }) });

export const textOf = async (locator: Locator): Promise<string> => (await locator.textContent()) ?? '';

/** The gateways of the status page from its top. */
export const names = (page: Page): Promise<string[]> => page.locator('#rows .name').allTextContents();

/** Resolves when what is shown comes from the agent as it happens. */
export const live = (page: Page, timeoutMs = 30_000): Promise<void> =>
  page.locator('#link[data-state=live]').waitFor({ timeout: timeoutMs });

/** Asks again until it is so. The page's policy forbids Playwright's own way, which evaluates text. */
export async function until(what: string, isSo: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
