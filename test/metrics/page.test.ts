/** The status page in Debian's Chromium, as a person with a mouse, a keyboard, a phone or a screen reader has it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { FEED_LIMITS } from '#src/telemetry/page/feed.js';
import { createPage } from '#src/telemetry/page/page.js';
import { type RunningServer, serveHealth } from '#src/telemetry/server.js';
import { launch, live, names, openTab, row, type Tab, textOf, until, withoutAway } from './browser.js';
import { peer, type World, world } from './page-world.js';

const LIMITS = { ...FEED_LIMITS, intervalMs: 100 };
const health = { live: () => null, ready: () => null };

let browser: Browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

const noErrors = (error: unknown) => assert.fail(String(error));

function serve(of: World, port = 0): Promise<RunningServer> {
  return serveHealth({ host: '127.0.0.1', port }, health, noErrors, createPage(of, noErrors, LIMITS));
}

/** A page of a world, in a tab; whatever was complained of fails the test. */
async function withTab(of: World, options: BrowserContextOptions, act: (tab: Tab, url: string) => Promise<void>) {
  const server = await serve(of);
  const url = `http://127.0.0.1:${server.where.port}/`;
  const tab = await openTab(browser, url, options);
  try {
    await live(tab.page);
    await act(tab, url);
    assert.deepEqual(tab.complaints, []);
  } finally {
    await tab.page.context().close();
    await server.close();
  }
}

test('a path change shows without a reload: in its row, in the log, and said aloud', async () => {
  const of = world();
  await withTab(of, {}, async ({ page }) => {
    assert.match(await textOf(row(page, 'nanjing-line-4')), /punching[\s\S]*both holes are known/);
    await page.evaluate('globalThis.stillTheSamePage = true');
    of.change('nanjing-line-4', 'direct', 'direct answers in 21.4 ms, relay in 49.5 ms');
    await row(page, 'nanjing-line-4').getByText('direct', { exact: true }).waitFor();
    assert.match(await textOf(row(page, 'nanjing-line-4')), /21\.4 ms[\s\S]*direct answers in 21\.4 ms/);
    assert.match(
      await textOf(page.locator('#changes li').first()),
      /nanjing-line-4[\s\S]*punching → direct[\s\S]*21\.4 ms/,
    );
    assert.equal(await page.locator('#announce').getAttribute('aria-live'), 'polite');
    assert.match(await textOf(page.locator('#announce')), /^nanjing-line-4: punching to direct/);
    assert.equal(await page.evaluate('globalThis.stillTheSamePage'), true);
  });
});

test('the worst stands first, and moves down when it is well', async () => {
  const of = world();
  await withTab(of, {}, async ({ page }) => {
    assert.deepEqual((await names(page)).slice(0, 3), ['qingdao-kiosk', 'nanjing-line-4', 'xian-lab']);
    of.change('xian-lab', 'direct', 'direct answers in 21.4 ms, relay in 58.3 ms');
    await until('it moved', async () => (await names(page)).indexOf('xian-lab') > 4);
    assert.match(await textOf(page.locator('#groups')), /9 all\s*1 not answering\s*1 punching\s*2 relayed\s*5 direct/);
  });
});

test('it lives through the restart of the agent', async () => {
  const first = world();
  let server = await serve(first);
  const { port } = server.where;
  const tab = await openTab(browser, `http://127.0.0.1:${port}/`);
  const { page, complaints } = tab;
  await live(page);
  await page.evaluate('globalThis.stillTheSamePage = true');
  await server.close();
  await page
    .getByRole('status')
    .getByText(/The agent does not answer; shown is \d\d:\d\d:\d\d/)
    .waitFor();
  assert.equal((await names(page)).length, 9, 'what was known stays in sight');
  const second = world([peer('after-the-restart')], { startedAt: Date.now() / 1000, node: 'shanghai-1b' });
  server = await serve(second, port);
  await live(page);
  await until('the new list', async () => (await names(page)).join() === 'after-the-restart');
  assert.equal(await textOf(page.getByRole('heading', { level: 1 })), 'shanghai-1b');
  assert.equal(await page.locator('#announce').textContent(), 'The agent was restarted');
  assert.equal(await page.evaluate('globalThis.stillTheSamePage'), true);
  assert.deepEqual(withoutAway(complaints), []);
  await page.context().close();
  await server.close();
});

test('a thousand gateways: a capped number of rows, found by filter and group, with the keyboard alone', async (t) => {
  const many = Array.from({ length: 1000 }, (_, index) =>
    peer(`site-${String(index).padStart(4, '0')}`, { subnets: [`10.${100 + (index >> 8)}.${index & 255}.0/24`] }),
  );
  const of = world(many);
  const head = () => {
    of.breathe();
    return of.head();
  };
  await withTab({ ...of, head }, {}, async ({ page }) => {
    await until('all are told', async () => /1000 all/.test(await textOf(page.locator('#groups'))));
    assert.equal((await names(page)).length, 100);
    await page.getByRole('button', { name: 'Show 100 more of 900' }).click();
    assert.equal((await names(page)).length, 200);
    await page.keyboard.press('/');
    await page.keyboard.type('site-07 10.102');
    await until('the filter', async () => (await names(page)).length === 68);
    await page.keyboard.press('Escape');
    await until('all again', async () => (await names(page)).length === 100);
    of.change('site-0777', 'relayed', 'direct does not answer');
    await until('the worst first', async () => (await names(page))[0] === 'site-0777');
    const slices = (await page.evaluate(LONG_TASKS)) as number[];
    t.diagnostic(
      `in 2 s with 20 words, each on all thousand, tasks over 50 ms: ${slices.map(Math.round).join(' ') || 'none'}`,
    );
  });
});

/** Milliseconds of each task that kept the page busy for more than 50 ms. */
const LONG_TASKS = `new Promise((resolve) => {
  const slices = [];
  const observer = new PerformanceObserver((list) => slices.push(...list.getEntries().map(({ duration }) => duration)));
  observer.observe({ entryTypes: ['longtask'] });
  setTimeout(() => resolve(slices), 2000);
})`;

test('a row opens by Enter, keeps the focus while rows move, and closes again', async () => {
  const of = world();
  await withTab(of, {}, async ({ page }) => {
    const button = page.getByRole('button', { name: 'wuhan-depot' });
    await button.focus();
    await page.keyboard.press('Enter');
    assert.equal(await button.getAttribute('aria-expanded'), 'true');
    const detail = page.locator('.detail');
    assert.match(
      await textOf(detail),
      /10\.244\.18\.0\/24[\s\S]*198\.51\.100\.20:4500[\s\S]*corax explain wuhan-depot/,
    );
    of.change('wuhan-depot', 'punching', 'direct does not answer');
    await until('it moved up', async () => (await names(page)).indexOf('wuhan-depot') < 3);
    assert.ok(await button.evaluate((element) => element === element.ownerDocument.activeElement));
    assert.ok(await detail.isVisible());
    await page.keyboard.press('Enter');
    assert.equal(await detail.count(), 0);
  });
});

describe('every width and both lights', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [320, 390, 860, 1280]) {
      test(`${colorScheme}, ${width} px: nothing sticks out, a table stays a table, all can be read`, async () => {
        const errors = [{ code: 'CORAX_GATEWAY', gateway: 'a'.repeat(63), message: 'b'.repeat(300), since: 1 }];
        const of = world(undefined, { errors });
        of.change('xian-lab', 'punching', `${'c'.repeat(200)}`);
        await withTab(of, { colorScheme, viewport: { width, height: 800 } }, async ({ page }) => {
          await page.locator('#changes li').first().waitFor();
          const over = await page.evaluate(
            'document.documentElement.scrollWidth - document.documentElement.clientWidth',
          );
          assert.equal(over, 0);
          assert.equal(await page.getByRole('table').getByRole('row').count(), 10);
          assert.equal(await page.getByRole('rowheader').count(), 9);
          assert.ok(await page.getByRole('heading', { name: 'Errors' }).isVisible());
          for (const [selector, ratio] of (await page.evaluate(CONTRASTS)) as [string, number][]) {
            assert.ok(ratio >= 4.5, `${selector}: ${ratio.toFixed(2)} (WCAG 2.2, 1.4.3)`);
          }
        });
      });
    }
  }
});

/** WCAG 2.2's contrast of each kind of text with what lies behind it: [selector, ratio]. */
const CONTRASTS = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).slice(0, 4).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor;
      if ((channels(color)[3] ?? 1) === 1) return color;
    }
  };
  const kinds = ['h1', '#place', '#link', 'dt', 'dd', 'dd small', '#errors li', '#errors .soft', '.name', '.sub', '.ms', '.why',
    '[data-path=direct] .path', '[data-path=punching] .path', '[data-urgency=silent] .path', '[data-path=relay] .path',
    '#groups button', '#groups [aria-pressed=true]', '.changes time', '.to-punching', 'footer'];
  return kinds.flatMap((kind) => [...document.querySelectorAll(kind)].slice(0, 1).map((element) => {
    const [a, b] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((x, y) => y - x);
    return [kind, (a + 0.05) / (b + 0.05)];
  }));
})()`;

test('what others wrote is text: no markup, no script, no line of theirs', async () => {
  const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  const of = world([peer(evil, { node: evil, subnets: [evil], reason: evil })], {
    node: evil,
    errors: [{ code: evil, gateway: evil, message: evil, since: null }],
  });
  of.change(evil, 'punching', evil);
  await withTab(of, {}, async ({ page }) => {
    await page.locator('.name').click();
    assert.equal(await textOf(page.locator('.name')), evil);
    assert.equal(await page.locator('img').count(), 0);
    assert.equal(await page.locator('script').count(), 1);
    assert.ok((await page.title()).includes('corax'));
  });
});

test('the policy holds: a script that somebody smuggles in does not run, and nothing is fetched from elsewhere', async () => {
  const of = world();
  const server = await serve(of);
  const asked: string[] = [];
  const tab = await openTab(browser, `http://127.0.0.1:${server.where.port}/`);
  tab.page.on('request', (request) => asked.push(request.url()));
  await tab.page.reload();
  await live(tab.page);
  assert.deepEqual(
    asked
      .map((url) => new URL(url))
      .map(({ protocol, pathname }) => (protocol === 'data:' ? protocol : pathname))
      .sort(),
    ['/', '/events', ...asked.filter((url) => url.startsWith('data:')).map(() => 'data:')],
  );
  const result = await tab.page.evaluate(`(() => {
    const script = document.createElement('script');
    try { script.textContent = 'globalThis.smuggled = true'; } catch (error) { return String(error); }
    document.body.append(script);
    return globalThis.smuggled ?? 'blocked';
  })()`);
  assert.match(String(result), /TrustedScript|blocked/);
  await tab.page.context().close();
  await server.close();
});
