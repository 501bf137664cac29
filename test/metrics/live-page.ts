/** The status page of an agent in the lab, in Chromium on the host: opened once, and looked at as things happen there. */
import assert from 'node:assert/strict';
import type { Browser, Page } from 'playwright-core';
import { launch, live, names, openTab, row, type Tab, textOf, until, withoutAway } from './browser.js';

/** An agent in emulation takes its time. */
const SEEN_MS = 120_000;

export class LivePage {
  readonly #url: string;
  readonly #peer: string;
  #browser: Browser | null = null;
  #tab: Tab | null = null;

  /** @param peer the gateway whose path changes */
  constructor(url: string, peer: string) {
    this.#url = url;
    this.#peer = peer;
  }

  async close(): Promise<void> {
    await this.#browser?.close();
  }

  async see(what: string): Promise<void> {
    const sights: Readonly<Record<string, () => Promise<void>>> = {
      relayed: () => this.#relayed(),
      direct: () => this.#direct(),
      cut: () => this.#cut(),
      lost: () => this.#until('the peer does not answer', async () => (await this.#attribute('urgency')) === 'silent'),
      back: () => this.#until('the peer answers', async () => (await this.#attribute('urgency')) !== 'silent'),
      'agent-gone': () => this.#gone(),
      'agent-back': () => this.#restarted(),
    };
    await (sights[what] ?? assert.fail(what))();
    assert.equal(await this.#page.evaluate('globalThis.stillTheSamePage'), true, 'it was not loaded anew');
    const complaints = this.#tab?.complaints ?? [];
    assert.deepEqual(what.startsWith('agent') ? withoutAway(complaints) : complaints, []);
  }

  async #relayed(): Promise<void> {
    this.#browser = await launch();
    this.#tab = await openTab(this.#browser, this.#url);
    await live(this.#page, SEEN_MS);
    await this.#page.evaluate('globalThis.stillTheSamePage = true');
    await this.#carries('Relay');
  }

  async #direct(): Promise<void> {
    await this.#carries('Direct');
    await this.#until('both round trips are shown, the direct one the shorter', async () => {
      const [relay, direct] = [await this.#ms('Relay'), await this.#ms('Direct')];
      return direct > 0 && direct < relay;
    });
    await this.#logged(/punching → direct/);
  }

  async #cut(): Promise<void> {
    await this.#carries('Relay');
    await this.#logged(/direct → (?:relayed|punching)/);
  }

  async #gone(): Promise<void> {
    await this.#page.getByText('The agent does not answer; shown is ').waitFor({ timeout: SEEN_MS });
    assert.ok((await names(this.#page)).includes(this.#peer), 'what was known stays in sight');
  }

  async #restarted(): Promise<void> {
    await live(this.#page, SEEN_MS);
    await this.#until("the log is the new agent's", async () => !(await this.#isLogged(/→ direct/)));
    await this.#carries('Relay');
  }

  get #page(): Page {
    return this.#tab?.page ?? assert.fail('no page is open');
  }

  #plane(label: string) {
    return row(this.#page, this.#peer).locator(`.plane[data-label=${label}]`);
  }

  #carries(label: string): Promise<void> {
    return this.#until(`${label} carries`, async () =>
      /\bcarries\b/.test((await this.#plane(label).getAttribute('class')) ?? ''),
    );
  }

  /** NaN while there is none. */
  async #ms(label: string): Promise<number> {
    return Number.parseFloat(await textOf(this.#plane(label).locator('.ms')));
  }

  async #attribute(name: string): Promise<string | null> {
    return row(this.#page, this.#peer).getAttribute(`data-${name}`);
  }

  #logged(change: RegExp): Promise<void> {
    return this.#until(`${change} is in the log`, () => this.#isLogged(change));
  }

  async #isLogged(change: RegExp): Promise<boolean> {
    const lines = await this.#page.locator('#changes li').filter({ hasText: this.#peer }).allTextContents();
    return lines.some((line) => change.test(line));
  }

  #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    return until(`status page: ${what}`, isSo, SEEN_MS);
  }
}
