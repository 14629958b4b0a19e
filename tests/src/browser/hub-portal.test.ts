import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { JoinFacts, StatusFacts } from '@atoll/hub';
import { DhtnodeProcess, type Host, Lan } from '@atoll/testkit';
import { type BrowserContext, chromium, type Locator, type Page } from 'playwright-core';
import { ATOLL, Scratch } from '../interop/turn-server-process.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-dev-shm-usage'];
const LIMIT_MS = 60_000;
const PASSWORD = 'correct horse battery';

const screens = fileURLToPath(new URL('../../../output/screens/', import.meta.url));

/** A person's Chromium on a host, with the profile of `scratch`. Nothing of it overlooks a certificate. */
function browserOn(host: Host, scratch: Scratch): Promise<BrowserContext> {
  const wrapper = scratch.file('chromium');
  writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${host.name} /usr/bin/chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  return chromium.launchPersistentContext(scratch.file('profile'), {
    executablePath: wrapper,
    headless: true,
    args: FLAGS,
    env: { ...process.env, HOME: scratch.path },
    locale: 'en-GB',
    viewport: { width: 1280, height: 800 },
    timeout: 120_000,
  });
}

/** The browser's page; what goes wrong in it is added to `faults`. */
async function pageOf(browser: BrowserContext, faults: string[]): Promise<Page> {
  const page = browser.pages()[0] ?? (await browser.newPage());
  page.on('pageerror', ({ message }) => faults.push(message));
  page.setDefaultTimeout(LIMIT_MS);
  page.setDefaultNavigationTimeout(LIMIT_MS);
  return page;
}

/** Keeps a picture of the real hub, for people to look at. */
async function shoot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${screens}hub-${name}.png`, fullPage: true });
}

/** Saves what a link of the page downloads. */
async function download(page: Page, link: Locator, path: string): Promise<void> {
  const [file] = await Promise.all([page.waitForEvent('download', { timeout: LIMIT_MS }), link.click()]);
  await file.saveAs(path);
}

/** Takes an authority into the certificate database of the browser's user, as its settings do. */
function trust(host: Host, scratch: Scratch, certificate: string): void {
  const database = scratch.file('.pki/nssdb');
  mkdirSync(database, { recursive: true });
  host.exec('certutil', '-N', '-d', `sql:${database}`, '--empty-password');
  host.exec('certutil', '-A', '-d', `sql:${database}`, '-n', 'hub', '-t', 'C,,', '-i', certificate);
}

/** Whether the relay gives an address to this user, as any page would ask for it. */
function isRelayed(page: Page, server: string, user: string, credential: string): Promise<boolean> {
  return page.evaluate(
    async ([urls, username, password]) => {
      const peer = new RTCPeerConnection({
        iceTransportPolicy: 'relay',
        iceServers: [{ urls, username, credential: password }],
      });
      const found = new Promise<boolean>((resolve) => {
        peer.addEventListener('icecandidate', ({ candidate }) => resolve(candidate?.type === 'relay'));
      });
      peer.createDataChannel('test');
      await peer.setLocalDescription();
      const isFound = await found;
      peer.close();
      return isFound;
    },
    [`turn:${server}?transport=udp`, user, credential] as const,
  );
}

/** What Join must show, in the order of the page, on GNU/Linux. */
function entriesOf({ bootstrap, nameServer, turn, proxy }: JoinFacts): (string | undefined)[] {
  return [bootstrap, nameServer, turn?.server, turn?.user, turn?.password, turn?.realm, proxy];
}

test('a person joins a real hub by its page, trusts it, and runs it, from another machine', async () => {
  mkdirSync(screens, { recursive: true });
  await using lan = await Lan.create({ hosts: 2 });
  const [hubHost, visitor] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const state = scratch.file('state');
  const args = [ATOLL, 'up', '--state', state, '--hub-name', 'Reef House'];
  await using hub = hubHost.spawn(process.execPath, args, { LC_ALL: 'C' });
  await hub.waitForOutput(/Stop with Ctrl-C/, LIMIT_MS);
  const askHub = <T>(command: string): T =>
    JSON.parse(hubHost.exec(process.execPath, ATOLL, command, '--json', '--state', state)) as T;
  const facts = askHub<JoinFacts>('join');
  const { dht: nodeBefore, operatorLink = '' } = askHub<StatusFacts>('status');
  const [plain, secure] = [`http://${hubHost.address}:8088/`, `https://${hubHost.address}:8444/`];

  const faults: string[] = [];
  let browser = await browserOn(visitor, scratch);
  try {
    let page = await pageOf(browser, faults);
    await page.goto(plain);
    await page.getByRole('heading', { level: 1, name: 'Join Reef House' }).waitFor();
    const shown = page.locator('main .field .value');
    await page.getByText('OpenDHT configuration').first().waitFor();
    assert.deepEqual(await shown.allTextContents(), entriesOf(facts));
    await shoot(page, 'join-en');
    await page.getByRole('button', { name: 'Français' }).click();
    await page.getByRole('heading', { level: 1, name: 'Rejoindre Reef House' }).waitFor();
    await page.getByText('Configuration d’OpenDHT').first().waitFor();
    assert.deepEqual(await shown.allTextContents(), entriesOf(facts));
    await shoot(page, 'join-fr');
    await page.getByRole('button', { name: 'English' }).click();

    await page.getByRole('link', { name: 'Trust', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Trust this hub' }).waitFor();
    const authority = new X509Certificate(readFileSync(`${state}/authority/atoll.crt`));
    const pairs = await page.locator('.print code span').allTextContents();
    assert.equal(pairs.join(':'), authority.fingerprint256);
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByText('Not yet.').waitFor();
    await assert.rejects((await browser.newPage()).goto(secure), /ERR_CERT_AUTHORITY_INVALID/);
    await download(page, page.getByRole('link', { name: 'Get the certificate' }), scratch.file('atoll.crt'));
    await browser.close();

    trust(visitor, scratch, scratch.file('atoll.crt'));
    browser = await browserOn(visitor, scratch);
    page = await pageOf(browser, faults);
    await page.goto(`${plain}trust`);
    await page.getByRole('button', { name: 'Check now' }).click();
    await page.getByText('Yes: this browser trusts the hub.').waitFor();
    await shoot(page, 'trust');
    await page.getByRole('link', { name: 'Go on over HTTPS' }).click();
    await page.waitForURL(secure);
    await page.getByRole('heading', { level: 1, name: 'Join Reef House' }).waitFor();

    await using node = await DhtnodeProcess.start(visitor, { args: ['-b', facts.bootstrap] });
    await node.connected();
    await page.goto(plain);
    await page.getByRole('button', { name: 'Test the connection' }).click();
    await page.getByRole('button', { name: 'Test again' }).waitFor();
    const outcomes = await page.locator('section[aria-labelledby=tests] li').allTextContents();
    await shoot(page, 'tests');
    assert.equal(outcomes.length, 6);
    for (const outcome of outcomes) assert.match(outcome, /Good: .*(answers after \d+ ms|hears a DHT node from)/s);

    // Without HTTPS there is no such page: the hub leads to where there is.
    await page.goto(`${plain}network`);
    assert.equal(page.url(), `${secure}network`);
    const services = page.locator('section[aria-labelledby=services] li');
    await page.getByText('Every service answers.').waitFor();
    const running = askHub<StatusFacts>('status').services.filter(({ isOn }) => isOn).length;
    assert.equal(await services.filter({ hasText: /answering for/ }).count(), running);
    await page.getByRole('img', { name: 'this hub and 1 other node, 1 of them good' }).waitFor();
    await shoot(page, 'network');

    await page.getByRole('link', { name: 'Why?' }).click();
    await page.getByLabel('One of you').fill('alice');
    await page.getByLabel('The other').fill('bob');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Here is what is in the way.' }).waitFor();
    const reasons = await page.locator('main li').allTextContents();
    assert.match(reasons.join('\n'), /Fault:.*alice.*Fault:.*bob/s);
    await shoot(page, 'why');

    await page.goto(operatorLink);
    await page.getByText('No password is set yet').waitFor();
    await page.getByLabel('New password').fill(PASSWORD);
    await page.getByLabel('The same again').fill(PASSWORD);
    await page.getByRole('button', { name: 'Set the password' }).click();
    await page.getByText('No password is set yet').waitFor({ state: 'detached' });
    assert.equal(askHub<StatusFacts>('status').operatorLink, undefined);

    await page.getByRole('button', { name: 'Switch off: Name server' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click();
    const on = page.getByRole('button', { name: 'Switch on: Name server' });
    await on.waitFor();
    assert.equal(askHub<JoinFacts>('join').nameServer, undefined);
    await on.click();
    await page.getByRole('button', { name: 'Switch off: Name server' }).waitFor();
    assert.equal(askHub<JoinFacts>('join').nameServer, facts.nameServer);
    await shoot(page, 'operator-services');

    const open = (section: string): Promise<void> =>
      page.getByRole('radio', { name: section, exact: true }).check({ force: true });
    const { server = '' } = facts.turn ?? {};
    await open('TURN users');
    await page.getByText('shown on Join').waitFor();
    assert.equal(await isRelayed(page, server, 'anna', 'anna-anna'), false);
    await page.getByLabel('Name', { exact: true }).fill('anna');
    await page.getByLabel('Password', { exact: true }).last().fill('anna-anna');
    await page.getByRole('button', { name: 'Add' }).click();
    await page.getByRole('button', { name: 'Remove: anna' }).waitFor();
    assert.equal(await isRelayed(page, server, 'anna', 'anna-anna'), true);

    await open('Settings');
    const name = page.getByLabel(/hubName/);
    assert.deepEqual([await name.inputValue(), await name.isDisabled()], ['Reef House', true]);
    await shoot(page, 'operator-settings');

    await open('Doctor');
    await page.getByRole('heading', { name: /All is well\.|Something needs you\./ }).waitFor();
    const findings = await page.locator('main li').allTextContents();
    assert.ok(findings.length > 5 && !findings.join().includes('Fault: '), findings.join('\n'));
    await shoot(page, 'operator-doctor');

    await open('Backup');
    await download(page, page.getByRole('link', { name: 'Download the backup' }), scratch.file('hub.backup'));
    await open('TURN users');
    await page.getByRole('button', { name: 'Remove: anna' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Remove: anna' }).waitFor({ state: 'detached' });
    await open('Backup');
    await page.getByLabel('Backup file').setInputFiles(scratch.file('hub.backup'));
    const before = hub.output.length;
    await page.getByRole('button', { name: 'Restore' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
    await page.getByText('Restored. The hub starts again').waitFor();
    await shoot(page, 'operator-backup');
    await hub.waitForOutput(/Starting again from the backup.*Stop with Ctrl-C/s, LIMIT_MS, before);
    assert.equal(askHub<StatusFacts>('status').dht?.id, nodeBefore?.id);
    assert.deepEqual(entriesOf(askHub<JoinFacts>('join')), entriesOf(facts));

    // The hub forgot who was logged in, and the page asks.
    const logIn = page.getByRole('button', { name: 'Log in' });
    await logIn.waitFor();
    await page.getByLabel('Password').fill(PASSWORD);
    await logIn.click();
    await open('TURN users');
    await page.getByRole('button', { name: 'Remove: anna' }).waitFor();
    assert.equal(await isRelayed(page, server, 'anna', 'anna-anna'), true);
    await page.getByRole('button', { name: 'Log out' }).click();
    await logIn.waitFor();
    await page.goto(`${secure}operator`);
    await logIn.waitFor();
    assert.deepEqual(faults, []);
  } catch (error) {
    for (const page of browser.pages().slice(0, 1)) await shoot(page, 'when-it-failed');
    throw new Error(`The page’s own errors: ${faults.join('; ') || 'none'}`, { cause: error });
  } finally {
    await browser.close();
  }
});
