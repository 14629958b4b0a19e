import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { AirGap, eventually, LAN_GROUPS, Lan } from '@atoll/testkit';
import { ATOLL, startNode } from './atoll.js';

test('a hub with everything on speaks to nobody but its LAN, on IPv4 and IPv6', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 2, ipv6: true });
  const [hubHost, nodeHost] = [lan.host(0), lan.host(1)];
  // The hosts have a default route that leads nowhere: whatever would leave the LAN is sent, and seen.
  const gaps = [hubHost, nodeHost].map((host) =>
    AirGap.watch(host, [lan.network, 'fd77::/16', 'fe80::/10', ...LAN_GROUPS]),
  );
  try {
    await using hub = hubHost.spawn(process.execPath, [ATOLL, 'up', '--state', state], { LC_ALL: 'C' });
    await hub.waitForOutput(/Bootstrap \(DHT settings\): +\S+:4222/, 30_000);
    await using node = await startNode('atoll', nodeHost, { args: ['-D', '-i'] });
    const isJoined = async (): Promise<boolean> => {
      const [, good = '0'] = await node.command('ll', /IPv4 stats:\s+Known nodes: (\d+) good/);
      return Number(good) > 0;
    };
    await eventually(isJoined, 'the node did not find the hub');
    await node.command('s somewhere something', /Put signed: success/);
    await node.command('g somewhere', /"something"/);
    // It prints nothing.
    await node.command('cc', /^/);
    await eventually(isJoined, 'the node did not find the hub again');
    for (const gap of gaps) gap.assertQuiet();
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});

test('the watch sees a single datagram to a stranger', async () => {
  await using lan = await Lan.create({ hosts: 1 });
  const host = lan.host(0);
  const gap = AirGap.watch(host, [lan.network]);
  host.exec('bash', '-c', 'echo > /dev/udp/203.0.113.7/4222');
  assert.deepEqual(gap.strangers(), ['203.0.113.7 . 17 . 4222']);
  assert.throws(() => gap.assertQuiet(), /sent to strangers: 203\.0\.113\.7/);
});
