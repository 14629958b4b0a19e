import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Host, Lan } from '@atoll/testkit';
import axe from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { startHub } from '../interop/atoll.js';
import { Scratch } from '../interop/turn-server-process.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'];
const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } } as const;
/** Three streams on each of two ways, and the making of both connections. */
const LIMIT_MS = 150_000;

const screens = fileURLToPath(new URL('../../../output/screens/', import.meta.url));

/** Chromium on a host of the lab. */
function browserOn(host: Host, scratch: Scratch): Promise<Browser> {
  const wrapper = scratch.file(`chromium-${host.name}`);
  writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${host.name} /usr/bin/chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  return chromium.launch({ executablePath: wrapper, headless: true, args: FLAGS, timeout: 120_000 });
}

async function visit(browser: Browser, size: keyof typeof SIZES, faults: string[]): Promise<Page> {
  const page = await browser.newPage({ viewport: SIZES[size], locale: size === 'phone' ? 'fr-CH' : 'en-GB' });
  page.setDefaultTimeout(LIMIT_MS);
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    // The hub's headers are for HTTPS, too: Chromium says that it passes over one of them here.
    if (message.type() === 'error' && !message.text().startsWith('The Cross-Origin-Opener-Policy'))
      faults.push(message.text());
  });
  return page;
}

/** What axe finds, and how many pixels the page is too wide. */
async function look(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${screens}quality-${name}.png`, fullPage: true });
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)) <= 0, `${name} is too wide`);
  const source = axe.source;
  // The hub's policy lets no script in but its own; the debugger is not bound by it.
  const violations = await page.evaluate(`(async () => { ${source}; return (await axe.run()).violations.flatMap(
    ({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html)); })()`);
  assert.deepEqual(violations, [], name);
}

test('two browsers measure video between them directly and through the relay, and both see what came of it', async () => {
  mkdirSync(screens, { recursive: true });
  await using lan = await Lan.create({ hosts: 3 });
  const [host, one, other] = [lan.host(0), lan.host(1), lan.host(2)];
  using scratch = await Scratch.make();
  await using hub = await startHub(host, scratch.file('state'));
  await hub.waitForOutput(/Operator’s page/);
  const [first, second] = [await browserOn(one, scratch), await browserOn(other, scratch)];
  try {
    const faults: string[] = [];
    const [desktop, phone] = [await visit(first, 'desktop', faults), await visit(second, 'phone', faults)];
    await desktop.goto(`http://${host.address}:8088/quality?seconds=2`);
    await desktop.getByRole('button', { name: 'Measure with a second device' }).click();
    await desktop.getByRole('img', { name: 'QR code: link for the second device' }).waitFor();
    await look(desktop, 'meeting-en-desktop');
    const link = await desktop.locator('.link .mono').textContent();
    assert.match(link ?? '', new RegExp(`^http://${host.address}:8088/quality#code=[a-z2-9]{6}$`));
    await phone.goto(link ?? '');
    await desktop.getByText('Directly: camera picture').waitFor();
    for (const page of [desktop, phone]) {
      await page.getByRole('heading', { level: 2 }).nth(1).waitFor();
      const report = await page.getByRole('link', { name: 'JSON' }).getAttribute('href');
      const { ways } = JSON.parse(decodeURIComponent(report?.replace(/^[^,]*,/, '') ?? ''));
      assert.deepEqual(
        ways.map(({ way, path }: { way: string; path: string }) => [way, /relay/.test(path)]),
        [
          ['direct', false],
          ['relay', true],
        ],
      );
      // How much of it comes is a matter of the machine: no more than that pictures do is asked for.
      for (const { streams } of ways) {
        assert.ok(streams !== undefined, 'a way was given up');
        for (const figures of [streams.camera.fromHere, streams.camera.toHere]) {
          assert.ok(figures.shownFramesPerSecond > 0 && figures.madeFramesPerSecond > 0, JSON.stringify(figures));
        }
      }
    }
    await look(desktop, 'en-desktop');
    await look(phone, 'fr-phone');
    assert.deepEqual(faults, []);
  } finally {
    await first.close();
    await second.close();
  }
});
