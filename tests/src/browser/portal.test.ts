import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { PortalStub } from './portal-stub.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'];
const PAGES = ['', 'trust', 'network', 'why', 'quality', 'operator'] as const;
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } } as const;
/** Budget of the script that one page loads, uncompressed. */
const SCRIPT_BYTES_MAX = 150_000;
const LIMIT_MS = 60_000;

const screens = fileURLToPath(new URL('../../../output/screens/', import.meta.url));
let browser: Browser;
let hub: PortalStub;

before(async () => {
  mkdirSync(screens, { recursive: true });
  hub = await PortalStub.start();
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    headless: true,
    args: FLAGS,
    timeout: 120_000,
  });
});

after(async () => {
  await browser?.close();
  await hub?.[Symbol.asyncDispose]();
});

interface Look {
  readonly language: 'en' | 'fr';
  readonly scheme: 'light' | 'dark';
}

/** A person's browser; `faults` gathers what the page does wrong: errors, and requests to anybody else. */
async function visit({ language, scheme }: Look): Promise<{ context: BrowserContext; page: Page; faults: string[] }> {
  const context = await browser.newContext({
    locale: language === 'fr' ? 'fr-CH' : 'en-GB',
    colorScheme: scheme,
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  const faults: string[] = [];
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/401|404/.test(message.text())) faults.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(`${hub.url}/`)) faults.push(`asks ${request.url()}`);
  });
  return { context, page, faults };
}

async function open(page: Page, path: string): Promise<void> {
  await page.goto(`${hub.url}/${path}`);
  await page.locator('main h1').waitFor();
  if (path === '' || path === 'trust') await page.locator('main h2').first().waitFor();
  if (path === 'network') await page.locator('main svg[role=img]').first().waitFor();
}

/** What axe finds, one line each. */
async function findingsOfAxe(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: engine } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> };
    };
    const { violations } = await engine.run();
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  });
}

for (const language of ['en', 'fr'] as const) {
  for (const scheme of ['light', 'dark'] as const) {
    test(`every page, ${language}, ${scheme}: accessible, nothing overflows, nothing foreign`, async () => {
      const { context, page, faults } = await visit({ language, scheme });
      for (const path of PAGES) {
        await open(page, path);
        assert.equal(await page.evaluate(() => document.documentElement.lang), language);
        for (const [size, viewport] of Object.entries(SIZES)) {
          await page.setViewportSize(viewport);
          const name = `${path === '' ? 'join' : path}-${language}-${size}-${scheme}`;
          await page.screenshot({ path: `${screens}${name}.png`, fullPage: true });
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide`);
          // Colors do not change with the size, nor structure with the colors: one look at each is enough.
          if ((size === 'phone') === (scheme === 'dark')) assert.deepEqual(await findingsOfAxe(page), [], name);
        }
      }
      assert.deepEqual(faults, []);
      await context.close();
    });
  }
}

test('each page loads little script, and says how soon it can be used', async () => {
  for (const path of PAGES) {
    const { context, page } = await visit({ language: 'en', scheme: 'light' });
    let bytes = 0;
    const sizes: Promise<void>[] = [];
    page.on('response', (response) => {
      if (!response.url().endsWith('.js')) return;
      sizes.push(
        response.body().then(({ length }) => {
          bytes += length;
        }),
      );
    });
    await open(page, path);
    const usableMs = await page.evaluate(() => performance.now());
    await Promise.all(sizes);
    console.log(`/${path}: ${bytes} bytes of script, usable after ${Math.round(usableMs)} ms`);
    assert.ok(bytes > 0 && bytes < SCRIPT_BYTES_MAX, `/${path} loads ${bytes} bytes of script`);
    await context.close();
  }
});

test('Join is used by keyboard alone: language, app, copy, code, tests', async () => {
  const { context, page, faults } = await visit({ language: 'en', scheme: 'light' });
  await open(page, '');
  /** Tabs on until the focus is on what fits. */
  const reach = async (selector: string): Promise<void> => {
    for (let n = 0; n < 80; n++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) === true, selector)) return;
    }
    assert.fail(`the keyboard does not reach ${selector}`);
  };
  await reach('a.skip');
  await reach('button[lang=fr]');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Rejoindre Coral Street 12' }).waitFor();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { level: 1, name: 'Join Coral Street 12' }).waitFor();
  await reach('nav a[aria-current=page]');
  await reach('input[type=radio]');
  await page.getByText('OpenDHT configuration').first().waitFor();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await page.getByText('Peer-to-peer connectivity').waitFor();
  await reach('button[aria-label="Copy: TURN password"]');
  await page.keyboard.press('Enter');
  await page.getByText('Copied').waitFor({ state: 'attached' });
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'mUx3-9fLq-22bT');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.getByRole('img', { name: 'QR code: TURN password' }).waitFor();
  await reach('section[aria-labelledby=tests] button');
  await page.keyboard.press('Enter');
  await page.getByText('the hub hears a DHT node from 192.168.1.23').waitFor();
  await page.getByText(/Name server: answers after \d+ ms/).waitFor();
  await page.getByText(/DHT proxy: answers after \d+ ms/).waitFor();
  await page.getByText('Relay (TURN) over UDP: no answer').waitFor();
  await page.getByRole('button', { name: 'Test again' }).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('where the clipboard of secure pages is missing, copying works too', async () => {
  const { context, page } = await visit({ language: 'en', scheme: 'light' });
  await page.addInitScript(() => {
    const { clipboard } = navigator;
    Object.assign(globalThis, { kept: clipboard });
    Object.defineProperty(navigator, 'clipboard', { value: undefined });
  });
  await open(page, '');
  await page.getByRole('button', { name: 'Copy: Bootstrap' }).click();
  await page.getByText('Copied').waitFor({ state: 'attached' });
  const text = await page.evaluate(() => (globalThis as unknown as { kept: Clipboard }).kept.readText());
  assert.equal(text, '192.168.1.10:4222');
  await context.close();
});

test('the menu leads on without loading the page anew, and back', async () => {
  const { context, page, faults } = await visit({ language: 'fr', scheme: 'dark' });
  await open(page, '');
  await page.evaluate(() => Object.assign(globalThis, { isSame: true }));
  await page.getByRole('link', { name: 'Réseau' }).click();
  await page.getByRole('heading', { level: 1, name: 'Le réseau maintenant' }).waitFor();
  assert.equal(await page.title(), 'Le réseau maintenant · Coral Street 12');
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1');
  await page.getByText('12 appareils anciens et 9 récents, reliés.').waitFor();
  await page.getByText('Le réseau').first().waitFor();
  hub.nodeCount = 101;
  await page.getByRole('img', { name: 'ce hub et 101 autres nœuds' }).waitFor();
  hub.nodeCount = 100;
  await page.goBack();
  await page.getByRole('heading', { level: 1, name: 'Rejoindre Coral Street 12' }).waitFor();
  assert.equal(await page.evaluate(() => 'isSame' in globalThis), true);
  assert.deepEqual(faults, []);
  await context.close();
});

test('Why? shows what is in the way, the worst first, with its remedy', async () => {
  const { context, page } = await visit({ language: 'en', scheme: 'light' });
  await open(page, 'why');
  await page.getByLabel('One of you').fill('alice');
  await page.getByLabel('The other').fill('bob');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Here is what is in the way.' }).waitFor();
  assert.match((await page.locator('main li').first().textContent()) ?? '', /Fault:.*Multicast.*client isolation/s);
  assert.deepEqual(await findingsOfAxe(page), []);
  await context.close();
});

test('the operator comes in by the link, sets a password, and is asked before anything dangerous', async () => {
  const { context, page, faults } = await visit({ language: 'en', scheme: 'dark' });
  await page.goto(`${hub.url}/operator#link=once`);
  await page.getByText('No password is set yet').waitFor();
  assert.equal(page.url(), `${hub.url}/operator`);
  await page.getByLabel('New password').fill('correct horse');
  await page.getByLabel('The same again').fill('correct horse');
  await page.getByRole('button', { name: 'Set the password' }).click();
  await page.getByText('No password is set yet').waitFor({ state: 'detached' });
  assert.deepEqual(hub.changes.splice(0), ['POST operator/password {"password":"correct horse"}']);

  const off = page.getByRole('button', { name: 'Switch off: Relay (TURN)' });
  await off.click();
  await page.getByRole('dialog', { name: 'Switch off “Relay (TURN)”?' }).waitFor();
  assert.deepEqual(await findingsOfAxe(page), []);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.deepEqual(hub.changes, []);
  await off.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click();
  await page.getByRole('button', { name: 'Switch on: Relay (TURN)' }).waitFor();
  assert.deepEqual(hub.changes.splice(0), ['POST operator/services/turn {"isOn":false}']);

  for (const section of ['Doctor', 'Settings', 'TURN users', 'Names', 'Certificate', 'Backup', 'Password', 'Log']) {
    await page.getByRole('radio', { name: section }).check({ force: true });
    await page.locator('main section, main form').first().waitFor();
    if (section !== 'Certificate' && section !== 'Backup' && section !== 'Password')
      await page.locator('main li, main [role=log] p').first().waitFor();
    const name = `operator-${section.toLowerCase().replace(' ', '-')}`;
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      await page.screenshot({ path: `${screens}${name}-en-${size}-dark.png`, fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide`);
    }
    assert.deepEqual(await findingsOfAxe(page), [], section);
  }

  await page.getByRole('radio', { name: 'Settings' }).check({ force: true });
  await page.getByLabel('Find a setting').fill('relay');
  await page.getByText('UDP port of the DHT node').waitFor({ state: 'detached' });
  await page.getByLabel('Relay allocations for each user').fill('80');
  await page.getByRole('button', { name: 'Save: turn-quota' }).click();
  await page.getByText('Done.').waitFor();
  assert.deepEqual(hub.changes.splice(0), ['PATCH operator/settings {"turn-quota":"80"}']);
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log in' }).waitFor();

  await page.getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('That is not the password.').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});
