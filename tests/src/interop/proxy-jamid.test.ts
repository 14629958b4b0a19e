import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, type Host, Jamid, Lan, type ManagedProcess } from '@atoll/testkit';

const ATOLL = fileURLToPath(new URL('../../../packages/cli/bin/atoll.mjs', import.meta.url));
/** Reference clients ask a lost proxy again once a minute (protocol/dht-proxy.md 16.6). */
const BACK_MS = 150_000;

/** `atoll up` on a host, ready. */
async function startHub(host: Host, state: string): Promise<ManagedProcess> {
  const hub = host.spawn(process.execPath, [ATOLL, 'up', '--state', state], { LC_ALL: 'C' });
  await hub.waitForOutput(new RegExp(`DHT proxy \\(for phones\\): +http://${host.address}:8080`), 60_000);
  return hub;
}

/** Waits until the account is in a state now: the states of before are known, too. */
function isNow(jamid: Jamid, state: string): Promise<void> {
  return eventually(
    async () => {
      const details = await jamid.call('getVolatileAccountDetails', 's', [jamid.account]);
      const pairs = Array.isArray(details) ? Object.fromEntries(details) : {};
      return pairs['Account.registrationStatus'] === state;
    },
    `the account is not ${state}`,
    BACK_MS,
  );
}

/** Open listens, as the proxy's statistics have it. */
function listensOf(host: Host): number {
  return JSON.parse(host.exec('curl', '--silent', `http://${host.address}:8080/node/stats`)).listenCount;
}

async function talkBothWays(alice: Jamid, bob: Jamid, conversation: string, words: string): Promise<void> {
  await alice.sendText(conversation, `${words} from alice`);
  await bob.waitForText(`${words} from alice`, BACK_MS);
  await bob.sendText(conversation, `${words} from bob`);
  await alice.waitForText(`${words} from bob`, BACK_MS);
}

test('a real Jami daemon lives on the proxy alone, survives its end, and goes on by UDP', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 3 });
  const [a, b, h] = [lan.host(0), lan.host(1), lan.host(2)];
  try {
    const first = await startHub(h, state);
    const bootstrap = `${h.address}:4222`;
    const settings = {
      'Account.proxyEnabled': 'true',
      'Account.proxyServer': `http://${h.address}:8080`,
      'Account.dhtProxyListUrl': '',
    };
    // No bootstrap: there is no other way for her.
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap: '', settings });
    await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap });
    const conversation = await alice.becomeContactOf(bob);
    await talkBothWays(alice, bob, conversation, 'hello');
    assert.ok(listensOf(h) > 0);
    await first.kill();
    await isNow(alice, 'UNREGISTERED');
    await using _again = await startHub(h, state);
    await isNow(alice, 'REGISTERED');
    await talkBothWays(alice, bob, conversation, 'still here');
    await alice.set({ 'Account.proxyEnabled': 'false', 'Account.hostname': bootstrap });
    await eventually(() => listensOf(h) === 0, 'the account still listens through the proxy', BACK_MS);
    await isNow(alice, 'REGISTERED');
    await talkBothWays(alice, bob, conversation, 'by UDP');
    assert.equal(listensOf(h), 0);
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});
