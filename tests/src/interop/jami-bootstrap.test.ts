import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AirGap, Jamid, LAN_GROUPS, Lan } from '@atoll/testkit';
import { startHub } from './atoll.js';

async function talkBothWays(alice: Jamid, bob: Jamid, conversation: string, words: string): Promise<void> {
  await alice.sendText(conversation, `${words} from alice`);
  await bob.waitForText(`${words} from alice`);
  await bob.sendText(conversation, `${words} from bob`);
  await alice.waitForText(`${words} from bob`);
}

test('two real Jami daemons meet and talk through nothing but a hub, also after it was killed and started anew', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 4 });
  const [a, b, c, h] = [lan.host(0), lan.host(1), lan.host(2), lan.host(3)];
  const gap = AirGap.watch(h, [lan.network, ...LAN_GROUPS]);
  try {
    const first = await startHub(h, state);
    const bootstrap = `${h.address}:4222`;
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap });
    await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap });
    const conversation = await alice.becomeContactOf(bob);
    await talkBothWays(alice, bob, conversation, 'hello');
    await first.kill();
    await using _again = await startHub(h, state);
    await talkBothWays(alice, bob, conversation, 'still here');
    await using carol = await Jamid.start(c, { displayName: 'carol', bootstrap });
    const withCarol = await carol.becomeContactOf(bob);
    await talkBothWays(carol, bob, withCarol, 'new here');
    gap.assertQuiet();
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});

test('two real Jami daemons with an empty bootstrap find a hub by LAN discovery alone', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 3 });
  const [a, b, h] = [lan.host(0), lan.host(1), lan.host(2)];
  try {
    await using _hub = await startHub(h, state);
    const settings = { 'Account.peerDiscovery': 'true' };
    await using alice = await Jamid.start(a, { displayName: 'alice', bootstrap: '', settings });
    await using bob = await Jamid.start(b, { displayName: 'bob', bootstrap: '', settings });
    const conversation = await alice.becomeContactOf(bob);
    await talkBothWays(alice, bob, conversation, 'found you');
    assert.ok(alice.log.length > 0);
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});
