import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DhtnodeProcess, type Host, Lan } from '@atoll/testkit';
import { PAIRS, type Program, startNode } from './atoll.js';

const discovering = (program: Program, host: Host): Promise<DhtnodeProcess> =>
  startNode(program, host, { args: ['--peer-discovery'] });

// They wait for dead nodes and timers more than they work.
describe('discovery on the LAN', { concurrency: 3 }, () => {
  for (const family of [4, 6] as const) {
    for (const [early, late] of PAIRS) {
      test(`${late} finds ${early} on the LAN by IPv${family}, and the other way round`, async () => {
        await using lan = await Lan.create({ hosts: 2, ipv6: family === 6 });
        if (family === 6) for (const host of lan.hosts) host.exec('ip', '-4', 'addr', 'flush', 'dev', 'eth0');
        await using first = await discovering(early, lan.host(0));
        await using second = await discovering(late, lan.host(1));
        await Promise.all([first.connected(1, family), second.connected(1, family)]);
        const id = await second.put('found', 'word');
        assert.deepEqual(await first.get('found'), [`Value[id:${id} data(text/plain):"word"]`]);
      });
    }
  }

  test('a node whose link comes up later finds dhtnode, and finds it again after the link was gone', async () => {
    await using lan = await Lan.create({ hosts: 2 });
    const [host, other] = [lan.host(0), lan.host(1)];
    host.exec('ip', 'link', 'set', 'eth0', 'down');
    await using node = await discovering('atoll', host);
    await using real = await discovering('dhtnode', other);
    const up = (): void => {
      host.exec('ip', 'link', 'set', 'eth0', 'up');
      host.exec('ip', 'route', 'add', 'default', 'dev', 'eth0');
    };
    up();
    await node.connected();
    host.exec('ip', 'link', 'set', 'eth0', 'down');
    // With the link the address is gone: nobody answers, and a put says so.
    assert.equal(await node.put('alone', 'word'), undefined);
    up();
    await node.connected();
    assert.ok(await node.put('again', 'word'));
    assert.match((await real.get('again')).join(), /"word"/);
  });

  test('a node finds dhtnodes on both of its links, the second one plugged in while it runs', async () => {
    await using lan = await Lan.create({ hosts: 3 });
    const [host, onFirst, onSecond] = [lan.host(0), lan.host(1), lan.host(2)];
    // The third host is on the second switch only.
    const address = lan.addLink(onSecond);
    onSecond.exec('ip', 'link', 'set', 'eth0', 'down');
    onSecond.exec('ip', 'route', 'add', 'default', 'dev', 'eth1');
    await using node = await discovering('atoll', host);
    await using first = await discovering('dhtnode', onFirst);
    await using second = await discovering('dhtnode', onSecond);
    await Promise.all([node.connected(), first.connected()]);
    assert.equal(await second.goodNodes(), 0);
    lan.addLink(host);
    await Promise.all([node.connected(2), second.connected()]);
    await node.command('lr', new RegExp(`${second.id} ${address}:4222`));
  });
});
