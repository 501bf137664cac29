/** Debian's Chromium, as a person would have it, and all that it complains of. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

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

/** Asks again until it is so. The page's policy forbids Playwright's own way, which evaluates text. */
export async function until(what: string, isSo: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
